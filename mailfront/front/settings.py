"""What the IMAP and POP3 fronts are told by the configuration."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """`banner` is the greeting's text. `tls_available` allows STARTTLS. Passwords are taken
    under a cipher of at least `plaintext_minimum_cipher` bits: 0 takes them in clear too, a
    negative number never. `login_timeout` and `idle_timeout` are in seconds."""

    banner: str
    tls_available: bool
    plaintext_minimum_cipher: int
    login_timeout: float
    idle_timeout: float
    bad_command_limit: int
    failed_login_limit: int = 3


# An HTTP request line on a mail port is a browser made to attack us (cross-protocol), never mail.
HTTP_VERBS = frozenset(
    {b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"TRACE"}
)
