"""Options of logins: SASL mechanisms, certificates in place of passwords, access tokens."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import BadValueError, Boolean, Integer, Names, Text, Value
from mailfront.configuration.suggest import did_you_mean

MECHANISMS = (
    "EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN",
)  # fmt: skip
"""What may stand in `sasl.default.mech_list`."""

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class MechanismList:
    """SASL mechanisms, divided by blanks or commas, in any letter case."""

    @property
    def description(self) -> str:
        """The mechanisms there are."""
        return f"list divided by blanks of {', '.join(MECHANISMS)}, or empty"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the mechanisms in upper case."""
        names = Names(blanks_divide=True).parse(text.upper())
        for name in names:
            if name not in MECHANISMS:
                guess = did_you_mean(name, MECHANISMS)
                expected = f"{name} is no mechanism that can be offered"
                raise BadValueError(f"{expected}; {guess}" if guess else expected)
        return names

    def text(self, value: Value) -> str:
        """Return the mechanisms divided by blanks."""
        assert isinstance(value, tuple)
        return " ".join(value)


@dataclass(frozen=True, slots=True)
class WebAddress:
    """The address of something on the web that is trusted: https, or http on this machine."""

    description: str = "https address, or empty"

    def parse(self, text: str) -> str:
        """Return the address as it is."""
        Text().parse(text)
        parts = urlsplit(text)
        safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if text and not (safe and parts.hostname and not parts.query and not parts.fragment):
            raise BadValueError(
                "expected an address such as https://login.example.com (http is taken for this "
                "machine alone), without query"
            )
        return text

    def text(self, value: Value) -> str:
        """Return the address."""
        return str(value)


def _of_service(service: str, title: str) -> tuple[Option, ...]:
    return (
        Option(
            f"service.{service}.allowpasswordlogin",
            Boolean(),
            "yes",
            f"Whether {title} takes anything but a client certificate. No: a certificate is the "
            "only door; no password, no SCRAM and no access token is offered or taken.",
        ),
        Option(
            f"service.{service}.certanypassword",
            Boolean(),
            "no",
            f"For clients that cannot log in by certificate alone: whether {title} takes any "
            "password for exactly the user to whom the client's certificate maps.",
        ),
        Option(
            f"service.{service}.certotheruser",
            Boolean(),
            "no",
            f"Whether {title} lets a client whose certificate maps to one user log in as another "
            "with that one's password.",
        ),
    )


OPTIONS = (
    Option(
        "sasl.default.mech_list",
        MechanismList(),
        "",
        "The SASL mechanisms that may be offered, each only where it works: EXTERNAL to a client "
        "with a certificate that may log somebody in, those that send the password under "
        "plaintextmincipher, tokens only inside TLS and with oauth.issuer, PLUS only under TLS "
        "1.3. Empty: all that work for every user, which are EXTERNAL, PLAIN and LOGIN, and with "
        "oauth.issuer OAUTHBEARER and XOAUTH2. SCRAM has to be named, because a client that is "
        "offered it uses nothing else, and only users with a SCRAM verifier can log in by it "
        "(mailfront user passwd stores one where SCRAM is named here).",
    ),
    Option(
        "sasl.default.scram_iterations",
        Integer(4096, 1_000_000),
        "65536",
        "Rounds of PBKDF2 in new SCRAM verifiers, and in what a client is told for a user who "
        "does not exist: where an LDAP directory holds the verifiers, set it to their number.",
    ),
    *_of_service("imap", "IMAP"),
    *_of_service("pop", "POP3"),
    *_of_service("submit", "submission"),
    *_of_service("http", "webmail"),
    Option(
        "service.imap.certpreauth",
        Boolean(),
        "no",
        "Whether IMAP greets a client whose certificate maps to a user with PREAUTH, logged in "
        "without a word of its own. Only on the port where TLS starts at once, for clients that "
        "know no AUTHENTICATE EXTERNAL.",
    ),
    Option(
        "oauth.issuer",
        WebAddress(),
        "",
        "The OpenID provider whose access tokens are taken by OAUTHBEARER and XOAUTH2, written "
        "exactly as it stands in its tokens. Empty: none. Its keys are found by its configuration "
        "(/.well-known/openid-configuration).",
    ),
    Option(
        "oauth.audience",
        Text(),
        "",
        "For whom tokens must be issued: the value of their claim `aud`. Must be set with "
        "oauth.issuer, or a token for anybody's service would log in here.",
    ),
    Option(
        "oauth.jwksuri",
        WebAddress(),
        "",
        "Where the provider's keys are, for one that publishes no configuration.",
    ),
    Option(
        "oauth.userclaim",
        Text(),
        "email",
        "The claim whose value is the login or the address of the user. With `email` a token that "
        "says `email_verified: false` is refused.",
    ),
)
