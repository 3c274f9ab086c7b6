"""Is the server that mail would go to this one? Mail that came back would go round for ever.

Takes this server's names and the port at which it takes mail; tells of names and of addresses.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ourselves:
    """`names` are host names in lower-case A-labels, `port` is where mail of others arrives."""

    names: frozenset[str]
    port: int = 25

    @classmethod
    def of(cls, names: Collection[str], port: int = 25) -> Ourselves:
        """Return the server that has these names."""
        return cls(frozenset(name.lower().rstrip(".") for name in names), port)

    def is_named(self, host: str) -> bool:
        """Whether a host name is this server's."""
        return host in self.names

    def is_at(self, address: str, port: int) -> bool:
        """Whether what listens at an IP address and port is this server."""
        return port == self.port and _is_of_this_machine(address)


def _is_of_this_machine(address: str) -> bool:
    """Only an address of this machine can be bound."""
    version = ipaddress.ip_address(address).version
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True
