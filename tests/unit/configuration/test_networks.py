from __future__ import annotations

import pytest

from mailfront.configuration.networks import NetworkSet


def test_an_address_is_in_a_network_however_it_is_written() -> None:
    networks = NetworkSet("10.0.0.0/24,2001:db8::/64")
    for address in ("10.0.0.7", "::ffff:10.0.0.7", "2001:db8::7", "2001:db8::7%eth0"):
        assert address in networks


@pytest.mark.parametrize("address", ["10.0.1.7", "2001:db8:1::", "unknown", ""])
def test_others_are_not(address: str) -> None:
    assert address not in NetworkSet("10.0.0.0/24,2001:db8::/64")


def test_no_networks_hold_nobody() -> None:
    assert "127.0.0.1" not in NetworkSet("")
