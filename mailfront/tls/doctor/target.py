"""Which server is examined, and how TLS begins there: guessed from the port unless told.

Pure: texts in, a `Target` out. Raises `OperatorError` for a text that names no host and port.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import idna

from mailfront.errors import OperatorError
from mailfront.protocol.starttls_client import StarttlsProtocol

SMTP, IMAP, POP3 = StarttlsProtocol.SMTP, StarttlsProtocol.IMAP, StarttlsProtocol.POP3
# IANA's ports, and those of `mailfront quickstart`.
STARTTLS_PORTS = {
    25: SMTP, 587: SMTP, 2525: SMTP, 2587: SMTP,
    143: IMAP, 2143: IMAP,
    110: POP3, 2110: POP3,
}  # fmt: skip
IMPLICIT_PORTS = {
    465: SMTP, 2465: SMTP,
    993: IMAP, 2993: IMAP,
    995: POP3, 2995: POP3,
    443: None, 2443: None,
}  # fmt: skip
# The ALPN names of the IANA registry; SMTP has none.
_ALPN = {SMTP: "", IMAP: "imap", POP3: "pop3"}
DEFAULT_PORT = 993


@dataclass(frozen=True, slots=True)
class Target:
    """A server: `name` is what its certificate must be for, `protocol` what is spoken (None: HTTP
    or unknown), in clear until STARTTLS unless `implicit`; `alpn` what its clients offer."""

    host: str
    port: int
    name: str
    protocol: StarttlsProtocol | None
    implicit: bool
    alpn: str = ""

    @property
    def server_name(self) -> str:
        """The name for SNI, empty where the name is an address (RFC 6066 section 3)."""
        return "" if is_address(self.name) else self.name

    @property
    def starttls(self) -> StarttlsProtocol | None:
        """The protocol to speak before STARTTLS, None where TLS begins at once."""
        return None if self.implicit else self.protocol

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def target_of(
    host: str, port: int, name: str, protocol: StarttlsProtocol | None, *, implicit: bool
) -> Target:
    """A target with the ALPN name of its protocol; without a protocol it is HTTP."""
    alpn = "http/1.1" if protocol is None else _ALPN[protocol]
    return Target(host, port, name, protocol, implicit, alpn)


def is_address(text: str) -> bool:
    """Whether this is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_target(
    text: str,
    *,
    starttls: StarttlsProtocol | None = None,
    implicit: bool = False,
    name: str = "",
) -> Target:
    """The target that `HOST`, `HOST:PORT` or `[ADDRESS]:PORT` names; see the module."""
    host, port = _host_and_port(text)
    name = _ascii_name(name or host)
    if starttls is not None:
        return target_of(host, port, name, starttls, implicit=False)
    if port in STARTTLS_PORTS and not implicit:
        return target_of(host, port, name, STARTTLS_PORTS[port], implicit=False)
    if port in IMPLICIT_PORTS:
        return target_of(host, port, name, IMPLICIT_PORTS[port], implicit=True)
    if implicit:
        return Target(host, port, name, None, implicit=True)
    raise OperatorError(
        f"port {port} does not tell how TLS begins there",
        remedy="add --implicit, or --starttls smtp (or imap, pop3)",
    )


def _host_and_port(text: str) -> tuple[str, int]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise OperatorError(f"{text!r} is no [ADDRESS]:PORT", remedy="write [::1]:993")
        number = rest[1:]
    elif is_address(text):
        host, number = text, ""
    else:
        host, _, number = text.partition(":")
    if not host or any(character.isspace() for character in host):
        raise OperatorError(f"{text!r} names no host", remedy="write HOST or HOST:PORT")
    if not number:
        return host, DEFAULT_PORT
    if not number.isascii() or not number.isdigit() or not 0 < int(number[:6]) < 65536:
        raise OperatorError(f"{number!r} is no port", remedy="a number from 1 to 65535")
    return host, int(number)


def _ascii_name(name: str) -> str:
    if is_address(name):
        return name
    try:
        return idna.encode(name.rstrip("."), uts46=True).decode("ascii")
    except idna.IDNAError:
        raise OperatorError(f"{name!r} is no host name") from None
