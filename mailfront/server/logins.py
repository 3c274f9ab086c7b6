"""How users log in: options become the authenticator and each service's policy.

`login_problems` is what `mailfront check` tells of options that contradict each other.
"""

from __future__ import annotations

from collections.abc import Callable

from mailfront.authentication.access_token import AccessTokens, IssuerSettings
from mailfront.authentication.authenticate import DirectoryAuthenticator
from mailfront.authentication.certificate_login import LoginRules
from mailfront.authentication.certificate_mapping import CertificateMapper
from mailfront.authentication.certmap_file import CertmapFile
from mailfront.authentication.confirmed_mapping import ConfirmedMapper
from mailfront.authentication.issuer_keys import IssuerKeys, discovery_address
from mailfront.authentication.present_trust import Confirm, PresentTrust
from mailfront.authentication.scram_verifier import (
    VerifierForgery,
    installation_secret,
    verifier_among,
)
from mailfront.authentication.throttle import LoginThrottle
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.options.login import MECHANISMS
from mailfront.directory.directory import Directory
from mailfront.directory.users_file import parse_users, read_users_file
from mailfront.errors import OperatorError
from mailfront.front.login_policy import LoginPolicy
from mailfront.tls.client_verification import ClientTrust

GROUPS = {"imta": "submit", "imap": "imap", "pop": "pop", "http": "http"}
"""The services that log users in, with their names in options."""

SCRAM = frozenset({"SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"})
_TOKENS = frozenset({"OAUTHBEARER", "XOAUTH2"})


def administrators(configuration: Configuration) -> tuple[str, ...]:
    """Return the addresses of those who may act as others."""
    domain = configuration.string("service.defaultdomain")
    names = (name.lower() for name in configuration.names("store.admins"))
    return tuple(name if "@" in name else f"{name}@{domain}" for name in names)


def mechanisms(configuration: Configuration) -> tuple[str, ...]:
    """Return the mechanisms that may be offered."""
    named = configuration.names("sasl.default.mech_list")
    if named:
        return named
    with_tokens = bool(configuration.string("oauth.issuer"))
    return tuple(
        name for name in MECHANISMS if name not in SCRAM and (with_tokens or name not in _TOKENS)
    )


def login_policy(configuration: Configuration, service: str) -> LoginPolicy:
    """Return the policy of `service` (imta, imap, pop, http)."""
    group = GROUPS[service]
    issuer = configuration.string("oauth.issuer")
    return LoginPolicy(
        # Webmail has no such option: it is served inside TLS alone.
        plaintext_minimum_cipher=0
        if service == "http"
        else configuration.integer(f"service.{group}.plaintextmincipher"),
        password_login=configuration.boolean(f"service.{group}.allowpasswordlogin"),
        any_password=configuration.boolean(f"service.{group}.certanypassword"),
        preauthenticated=service == "imap" and configuration.boolean("service.imap.certpreauth"),
        mechanisms=mechanisms(configuration),
        discovery=discovery_address(issuer) if issuer else "",
    )


class Logins:
    """The authenticator of all services, and what it needs. `start` once the loop runs, `close`
    when the server stops. Raises `ConfigurationError`."""

    def __init__(
        self,
        root: ServerRoot,
        configuration: Configuration,
        directory: Directory,
        throttle: LoginThrottle | None = None,
    ) -> None:
        self._certmap = CertmapFile(root.certmap_conf) if root.certmap_conf.exists() else None
        self._keys: IssuerKeys | None = None
        tokens = None
        if issuer := configuration.string("oauth.issuer"):
            settings = IssuerSettings(
                issuer,
                configuration.string("oauth.audience"),
                configuration.string("oauth.userclaim"),
            )
            self._keys = IssuerKeys(issuer, configuration.string("oauth.jwksuri"))
            tokens = AccessTokens(settings, self._keys)
        forgery = None
        if SCRAM & set(mechanisms(configuration)):
            forgery = VerifierForgery(
                installation_secret(root.scram_secret),
                configuration.integer("sasl.default.scram_iterations"),
            )
        self._trust = PresentTrust()
        mapper: ConfirmedMapper | None = None
        if self._certmap is not None:
            by_certmap = CertificateMapper(directory, self._certmap, self._trust.enrolled)
            mapper = ConfirmedMapper(by_certmap, self._trust)
        self.authenticator = DirectoryAuthenticator(
            directory,
            configuration.string("service.defaultdomain"),
            mapper=mapper,
            tokens=tokens,
            forgery=forgery,
            administrators=administrators(configuration),
            rules={service: _rules(configuration, group) for service, group in GROUPS.items()},
            throttle=throttle,
            hold_seconds=configuration.integer("service.holdwait"),
        )

    def judge_certificates(self, trust: Callable[[], ClientTrust | None], confirm: Confirm) -> None:
        """From now on judge each certificate by the trust in force, and those that it verifies by
        `confirm`, before they log somebody in. Until then no CA is trusted."""
        self._trust.trust, self._trust.confirm = trust, confirm

    def start(self) -> None:
        """Begin to fetch what logins need from elsewhere."""
        if self._keys is not None:
            self._keys.start()

    def close(self) -> None:
        """Let go of threads and tasks."""
        if self._keys is not None:
            self._keys.close()
        self.authenticator.close()

    def takes_enrolled_keys(self) -> bool:
        """Whether a certificate that no CA vouches for may log somebody in at present."""
        return self._certmap is not None and self._certmap.current().certmap.pins_keys

    def problems(self) -> list[str]:
        """What is wrong at present, for the operator."""
        sources = (self._certmap, self._keys)
        return [source.problem for source in sources if source is not None and source.problem]


def _rules(configuration: Configuration, group: str) -> LoginRules:
    return LoginRules(
        password_login=configuration.boolean(f"service.{group}.allowpasswordlogin"),
        any_password=configuration.boolean(f"service.{group}.certanypassword"),
        other_user=configuration.boolean(f"service.{group}.certotheruser"),
    )


def login_warnings(root: ServerRoot, configuration: Configuration) -> list[str]:
    """Return a warning if SCRAM is offered to users of `users.ldif` who cannot log in by it."""
    embedded = not configuration.names("local.ugldaphost")
    if not embedded or not SCRAM & set(mechanisms(configuration)):
        return []
    try:
        content, _ = read_users_file(root.users_ldif)
        users = parse_users(content, root.users_ldif)
    except OperatorError:
        # Told where the directory itself is checked.
        return []
    without = [
        entry.user
        for entry in users.entries()
        if entry.password_values and verifier_among(entry.password_values) is None
    ]
    if not without:
        return []
    more = f" and {len(without) - 1} more" if len(without) > 1 else ""
    return [
        f"SCRAM is offered, but {without[0]}{more} cannot log in by it: mailfront user passwd "
        "stores what it needs"
    ]


def login_problems(configuration: Configuration) -> list[str]:
    """Return what is wrong with the options of logins, taken together."""
    problems = []
    issuer = configuration.string("oauth.issuer")
    if issuer and not configuration.string("oauth.audience"):
        problems.append(
            "oauth.audience is not set: a token for anybody's service would log in here "
            "(set it to the value of `aud` in your provider's tokens)"
        )
    named = sorted(_TOKENS & set(configuration.names("sasl.default.mech_list")))
    if named and not issuer:
        problems.append(
            f"sasl.default.mech_list names {' and '.join(named)}, but oauth.issuer is not set"
        )
    return problems
