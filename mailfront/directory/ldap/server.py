"""LDAP servers as the options name them, and which of them answer at present.

Takes `local.ugldaphost` and what belongs to it, returns `LdapServer`s; takes what attempts came
to, tells whom to ask. A server that failed is asked by nobody until a probe, made apart from any
look-up, has reached it again: no user waits for a server that is known to be away.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mailfront.errors import ConfigurationError

FIRST_PAUSE = 0.25
"""Seconds from a failure to the first probe; each further pause is twice as long."""

LONGEST_PAUSE = 1.0

_URL = re.compile(r"(?:(ldaps?)://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?/?")
_PLAIN_PORT, _TLS_PORT = 389, 636


class LdapTls(Enum):
    """When TLS begins."""

    NONE = "none"
    STARTTLS = "StartTLS"
    IMPLICIT = "ldaps"


@dataclass(frozen=True, slots=True)
class LdapServer:
    """Where a server is and how to speak with it."""

    host: str
    port: int
    tls: LdapTls

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.tls is LdapTls.IMPLICIT else 'ldap'}://{host}:{self.port}"


def parse_servers(
    names: Sequence[str], *, default_port: int, implicit_tls: bool, starttls: bool
) -> tuple[LdapServer, ...]:
    """Return the servers in their order; `default_port` 0 stands for the protocol's own.

    Raises `ConfigurationError`.
    """
    servers = []
    for name in names:
        parts = _URL.fullmatch(name)
        if parts is None:
            raise ConfigurationError(
                f"{name[:80]!r} is not an LDAP server",
                remedy="write host, host:port, ldap://host or ldaps://host:port",
            )
        scheme, host, port = parts.groups()
        implicit = scheme == "ldaps" or (scheme is None and implicit_tls)
        number = int(port) if port else default_port or (_TLS_PORT if implicit else _PLAIN_PORT)
        if not 1 <= number <= 65535:
            raise ConfigurationError(f"{name[:80]!r} has a port that does not exist")
        tls = LdapTls.IMPLICIT if implicit else LdapTls.STARTTLS if starttls else LdapTls.NONE
        servers.append(LdapServer(host.strip("[]"), number, tls))
    return tuple(servers)


class ServerStates:
    """Which servers are up, as far as is known; at first all are."""

    def __init__(self, servers: Sequence[LdapServer]) -> None:
        self._servers = tuple(servers)
        self._failures: dict[LdapServer, tuple[int, str]] = {}

    def usable(self) -> list[LdapServer]:
        """Return the servers that are up, best first."""
        return [server for server in self._servers if server not in self._failures]

    def failed(self, server: LdapServer, reason: str) -> bool:
        """Note a failure; return whether the server was up before."""
        count, _ = self._failures.get(server, (0, ""))
        self._failures[server] = (count + 1, reason)
        return count == 0

    def answered(self, server: LdapServer) -> bool:
        """Note that a server answers; return whether it was down before."""
        return self._failures.pop(server, None) is not None

    def pause(self, server: LdapServer) -> float:
        """Return the seconds from the last failure of a server to its next probe."""
        count, _ = self._failures.get(server, (1, ""))
        return min(FIRST_PAUSE * 2.0 ** min(count - 1, 10), LONGEST_PAUSE)

    def problems(self) -> list[str]:
        """Return why each server that is down is."""
        return [f"{server}: {self._failures[server][1]}" for server in self._servers
                if server in self._failures]  # fmt: skip
