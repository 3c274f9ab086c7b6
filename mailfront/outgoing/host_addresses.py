"""Addresses of HTTPS hosts for aiohttp, out of the resolver that is configured for mail.

So policies and reports use the same DNS as deliveries, and its answers are kept by its rules.
"""

from __future__ import annotations

import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from mailfront.errors import DnsUnavailableError
from mailfront.outgoing.resolver import Resolver

_KINDS = {"AAAA": socket.AF_INET6, "A": socket.AF_INET}


class HostAddresses(AbstractResolver):
    """The `aiohttp` side of a `Resolver`."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return every address of `host`. Raises `OSError` if it has none, or none is known."""
        found: list[ResolveResult] = []
        for kind, own_family in _KINDS.items():
            if family not in {socket.AF_UNSPEC, own_family}:
                continue
            try:
                answer = await self._resolver.lookup(host, kind)
            except DnsUnavailableError as failure:
                raise OSError(str(failure)) from failure
            found += [
                ResolveResult(
                    hostname=host,
                    host=record.address,
                    port=port,
                    family=own_family,
                    proto=socket.IPPROTO_TCP,
                    flags=socket.AI_NUMERICHOST,
                )
                for record in answer.records
                if isinstance(record, A | AAAA)
            ]
        if not found:
            raise OSError(f"{host} has no address")
        return found

    async def close(self) -> None:
        """Part of `AbstractResolver`; the resolver goes on."""
