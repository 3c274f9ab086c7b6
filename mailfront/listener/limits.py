"""How many connections may exist: in total, per service, and per client address."""

from __future__ import annotations

import ipaddress
from collections import Counter
from functools import lru_cache


class ConnectionLimits:
    """Counts connections of the whole process. 0 means no limit.

    IPv6 clients are counted by their /64, the smallest network a client is given.
    """

    def __init__(self, *, total: int, per_address: int) -> None:
        self.total = total
        self.per_address = per_address
        self._connections = 0
        self._by_group: Counter[str] = Counter()
        self._by_network: Counter[str] = Counter()

    def admit(self, address: str, group: str = "", maximum: int = 0) -> str:
        """Count a connection in. Returns an empty text, or why it is refused.

        `group` is the service whose ports together have at most `maximum` sessions.
        """
        if maximum and self._by_group[group] >= maximum:
            return "too many sessions"
        network = network_of(address)
        if self.total and self._connections >= self.total:
            return "too many connections"
        if self.per_address and self._by_network[network] >= self.per_address:
            return "too many connections from this address"
        self._connections += 1
        self._by_group[group] += 1
        self._by_network[network] += 1
        return ""

    def release(self, address: str, group: str = "") -> None:
        """Count a connection out."""
        network = network_of(address)
        self._connections -= 1
        self._by_group[group] -= 1
        self._by_network[network] -= 1
        if not self._by_network[network]:
            del self._by_network[network]


@lru_cache(maxsize=4096)
def network_of(address: str) -> str:
    """The key under which an address is counted."""
    if ":" not in address:
        return address
    plain = ipaddress.IPv6Address(address.partition("%")[0])
    if plain.ipv4_mapped is not None:
        return str(plain.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(plain), 64), strict=False))
