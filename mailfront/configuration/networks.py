"""Networks of an option (`option_types.Networks`) as a set of addresses: is this one of them?"""

from __future__ import annotations

import ipaddress


class NetworkSet:
    """The addresses of networks that are divided by commas; none if there are no networks."""

    def __init__(self, networks: str) -> None:
        self._networks = [ipaddress.ip_network(name) for name in networks.split(",") if name]

    def __contains__(self, text: object) -> bool:
        """Whether the address `text` is in one of them; what is no address is in none."""
        if not self._networks or not isinstance(text, str):
            return False
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)
