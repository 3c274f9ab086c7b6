"""How a peer is written."""

from __future__ import annotations

import pytest

from mailfront.interfaces.peer import Peer


@pytest.mark.parametrize(
    ("address", "text"), [("192.0.2.1", "192.0.2.1:40000"), ("2001:db8::1", "[2001:db8::1]:40000")]
)
def test_address_and_port_can_be_told_apart(address: str, text: str) -> None:
    assert str(Peer(address, 40000, "192.0.2.2", 143)) == text
