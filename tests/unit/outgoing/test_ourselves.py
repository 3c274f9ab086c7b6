"""Mail that would come back to this server is told by name and by address."""

from __future__ import annotations

import pytest

from mailfront.outgoing.ourselves import Ourselves

US = Ourselves.of({"Mail.example.test."}, 25)


def test_names_are_compared_without_case_and_last_dot() -> None:
    assert US.is_named("mail.example.test")
    assert not US.is_named("mx.example.test")


@pytest.mark.parametrize(
    ("address", "port", "ours"),
    [
        ("127.0.0.1", 25, True),
        ("127.0.0.1", 26, False),
        ("192.0.2.1", 25, False),
        ("2001:db8::1", 25, False),
    ],
)
def test_only_our_own_port_at_an_address_of_this_machine_is_ours(
    address: str, port: int, ours: bool
) -> None:
    assert US.is_at(address, port) is ours
