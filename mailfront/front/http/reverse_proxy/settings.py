"""What the reverse proxy is told by the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """`paths` are passed on with everything below; `hosts` are the names that may be asked for,
    empty for all. `balancers` may tell us whom they speak for. The header names say who a client
    certificate stands for; an empty one is not sent. `body_limit` is in octets (0: none), `silence`
    in seconds. With `keeps_status` our own status page is served."""

    paths: tuple[str, ...] = ("/",)
    hosts: frozenset[str] = frozenset()
    balancers: tuple[IPv4Network | IPv6Network, ...] = ()
    user_header: str = "X-Client-User"
    name_header: str = "X-Client-DN"
    fingerprint_header: str = "X-Client-Fingerprint"
    body_limit: int = 0
    silence: float = 300.0
    keeps_status: bool = False
