"""What the IMAP and POP3 fronts are told by the configuration."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from mailfront.front.login_policy import LoginPolicy


def always() -> bool:
    """Yes."""
    return True


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """`banner` is the greeting's text. `tls_available` allows STARTTLS; `tls_ready` tells whether
    there is a certificate for it at this moment, for one on a token may be away. `login` says how
    users log in. `login_timeout` and `idle_timeout` are in seconds. `capabilities` are announced
    before the login, beside those of TLS and logins, and hold after it; none: those that the
    servers of this program have. `front_ends` are
    the addresses of those whose word about their clients is believed."""

    banner: str
    tls_available: bool
    login: LoginPolicy
    login_timeout: float
    idle_timeout: float
    bad_command_limit: int
    failed_login_limit: int = 3
    tls_ready: Callable[[], bool] = always
    capabilities: Callable[[], Sequence[bytes]] = tuple
    front_ends: Container[str] = frozenset()


# An HTTP request line on a mail port is a browser made to attack us (cross-protocol), never mail.
HTTP_VERBS = frozenset(
    {b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE"}
)
