"""Options about certificates and TLS: which personality, which profile, session tickets."""

from __future__ import annotations

from mailfront.configuration.option import Effect, Option
from mailfront.configuration.option_types import Boolean, Choice, Names

TLS_PROFILES = ("modern", "intermediate", "legacy")

_SERVICES = {
    "imta": "SMTP and submission",
    "imap": "IMAP",
    "pop": "POP3",
    "http": "webmail (HTTPS)",
}


def _nicknames(service: str, title: str) -> Option:
    return Option(
        f"local.{service}.sslnicknames",
        Names(),
        "",
        f"Nicknames of the certificates for {title}, divided by commas, each of a "
        "different key type (one RSA and one ECDSA, say). Empty: the service presents the "
        "certificates of encryption.rsa.nssslpersonalityssl. A nickname that is not in the "
        "certificate database keeps the former certificate in use and is reported in the log and "
        "by `mailfront status`.",
        Effect.LIVE,
    )


def _profile(service: str, title: str) -> Option:
    return Option(
        f"local.{service}.tlsprofile",
        Choice(TLS_PROFILES, may_be_empty=True),
        "",
        f"TLS profile of {title}, where it must differ from the others. Empty: the one of "
        "encryption.tlsprofile.",
        Effect.LIVE,
    )


def _session_tickets(service: str, title: str) -> Option:
    default, reason = "yes", "Clients that connect often then save most of the handshake's cost."
    if service == "imta":
        default, reason = (
            "no",
            "Other mail servers seldom come back while a ticket is valid, so it is off here.",
        )
    return Option(
        f"local.{service}.sessiontickets",
        Boolean(),
        default,
        f"Whether clients of {title} get TLS session tickets, with which they resume a session "
        f"(RFC 8446 section 2.2). {reason}",
        Effect.LIVE,
    )


OPTIONS = (
    Option(
        "encryption.rsa.nssslpersonalityssl",
        Names(),
        "Server-Cert",
        "Nicknames of the certificates that every service presents unless its own "
        "local.SERVICE.sslnicknames says otherwise; divided by commas, each of a different key "
        "type. In spite of the name, which is the original's, ECDSA certificates are welcome. "
        "`msgcert list-certs` shows the nicknames there are.",
        Effect.LIVE,
    ),
    Option(
        "encryption.tlsprofile",
        Choice(TLS_PROFILES),
        "intermediate",
        "Which TLS versions and cipher suites are accepted, after RFC 9325 and Mozilla's "
        "guidelines. modern: TLS 1.3 alone. intermediate: TLS 1.2 and 1.3 with forward secrecy and "
        "authenticated encryption, right for nearly everybody. legacy: TLS 1.2 and 1.3, also with "
        "suites that lack one or both, for old clients that cannot be replaced.",
        Effect.LIVE,
    ),
    Option(
        "local.ssl.autorenewselfsigned",
        Boolean(),
        "no",
        "Whether the server itself renews self-signed certificates that a service presents, with "
        "the same key, once they have lived two thirds of their life. Clients that pinned the "
        "certificate rather than its key must be told of each renewal.",
        Effect.LIVE,
    ),
    *(_nicknames(service, title) for service, title in _SERVICES.items()),
    *(_profile(service, title) for service, title in _SERVICES.items()),
    *(_session_tickets(service, title) for service, title in _SERVICES.items()),
)
