"""What webmail is told by the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.front.login_policy import LoginPolicy


@dataclass(frozen=True, slots=True)
class MailAccess:
    """One port that a mail client may be told of: `protocol` is imap, pop3 or smtp, `socket_type`
    is SSL or STARTTLS (the words of Thunderbird's autoconfig format)."""

    protocol: str
    port: int
    socket_type: str


# There is nothing but HTTPS, under whatever its cipher list allows.
_LOGIN = LoginPolicy(plaintext_minimum_cipher=0)


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`admins` may see the status page (canonical addresses). `mail_access` is in order of
    preference. `login` says how people sign in, `home` where they go then. Times are in seconds,
    `message_size_limit` is in octets. `mta_sts_policy` is what other mail servers are told
    under the names `policy_hosts`."""

    hostname: str
    domain: str
    admins: frozenset[str] = frozenset()
    mail_access: tuple[MailAccess, ...] = ()
    session_timeout: float = 7200
    session_lifetime: float = 24 * 3600
    session_limit: int = 10_000
    request_timeout: float = 120
    message_size_limit: int = 25 * 1024 * 1024
    login: LoginPolicy = _LOGIN
    home: str = "/mail"
    policy_hosts: frozenset[str] = frozenset()
    mta_sts_policy: str = ""
