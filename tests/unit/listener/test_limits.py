"""How many connections may exist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.listener.limits import ConnectionLimits, network_of

CLIENT = "192.0.2.1"


def test_connections_are_counted_in_total() -> None:
    limits = ConnectionLimits(total=2, per_address=0)
    assert limits.admit("192.0.2.1") == ""
    assert limits.admit("192.0.2.2") == ""
    assert limits.admit("192.0.2.3") == "too many connections"
    limits.release("192.0.2.1")
    assert limits.admit("192.0.2.3") == ""


def test_connections_are_counted_per_client() -> None:
    limits = ConnectionLimits(total=0, per_address=1)
    assert limits.admit(CLIENT) == ""
    assert limits.admit(CLIENT) == "too many connections from this address"
    assert limits.admit("192.0.2.2") == ""
    limits.release(CLIENT)
    assert limits.admit(CLIENT) == ""


def test_zero_is_no_limit() -> None:
    limits = ConnectionLimits(total=0, per_address=0)
    assert {limits.admit(CLIENT) for _ in range(1000)} == {""}


def test_a_refused_connection_is_not_counted() -> None:
    limits = ConnectionLimits(total=1, per_address=1)
    limits.admit(CLIENT)
    limits.admit("192.0.2.2")
    limits.release(CLIENT)
    assert limits.admit("192.0.2.2") == ""


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_a_client_is_its_address_or_its_ipv6_network(address: str, network: str) -> None:
    assert network_of(address) == network


@given(st.lists(st.ip_addresses().map(str), max_size=20))
def test_what_was_counted_in_can_be_counted_out(addresses: list[str]) -> None:
    limits = ConnectionLimits(total=20, per_address=20)
    for address in addresses:
        assert limits.admit(address) == ""
    for address in addresses:
        limits.release(address)
    assert all(limits.admit(CLIENT) == "" for _ in range(20))
