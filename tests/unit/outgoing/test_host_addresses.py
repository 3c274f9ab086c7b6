"""Addresses of HTTPS hosts out of the mail's resolver."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from dns.rdata import from_text

from mailfront.outgoing.host_addresses import HostAddresses
from mailfront.outgoing.resolver import Answer, NameServer, Resolver


def no_servers() -> Sequence[NameServer]:
    return ()


@dataclass
class Zone(Resolver):
    """A resolver that knows one host."""

    addresses: Mapping[str, str] = field(default_factory=dict)

    async def lookup(self, name: str, kind: str) -> Answer:
        text = self.addresses.get(kind)
        return Answer(name, () if text is None else (from_text("IN", kind, text),))


BOTH = Zone(no_servers, addresses={"A": "192.0.2.1", "AAAA": "2001:db8::1"})


async def test_a_host_has_the_addresses_of_both_families() -> None:
    found = await HostAddresses(BOTH).resolve("mta-sts.example.org", 443, socket.AF_UNSPEC)
    assert [(each["host"], each["port"], each["family"]) for each in found] == [
        ("2001:db8::1", 443, socket.AF_INET6),
        ("192.0.2.1", 443, socket.AF_INET),
    ]


async def test_one_family_alone_may_be_wanted() -> None:
    found = await HostAddresses(BOTH).resolve("mta-sts.example.org", 443, socket.AF_INET)
    assert [each["host"] for each in found] == ["192.0.2.1"]


@pytest.mark.parametrize("resolver", [Zone(no_servers), Resolver(no_servers)])
async def test_a_host_without_address_is_an_error_that_http_knows(resolver: Resolver) -> None:
    with pytest.raises(OSError, match="example"):
        await HostAddresses(resolver).resolve("mta-sts.example.org", 443)
