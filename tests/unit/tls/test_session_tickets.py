"""How long a key seals session tickets, and how long it opens them."""

from __future__ import annotations

import pytest

from mailfront.tls.session_tickets import TicketKeys

HOUR = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_key_seals_for_one_lifetime_and_opens_for_another_one(clock: Clock) -> None:
    keys = TicketKeys(clock)
    first = keys.sealing_key()
    clock.now = 12 * HOUR - 1
    assert keys.sealing_key() is first
    clock.now = 12 * HOUR
    second = keys.sealing_key()
    assert second is not first
    assert keys.opening_key(first.name) is first
    assert not keys.is_sealing(first)
    assert keys.is_sealing(second)
    clock.now = 24 * HOUR
    assert keys.opening_key(first.name) is None
    assert keys.opening_key(second.name) is second


def test_keys_that_nobody_used_since_are_forgotten_too(clock: Clock) -> None:
    keys = TicketKeys(clock)
    first = keys.sealing_key()
    clock.now = 24 * HOUR
    keys.forget_overdue()
    clock.now = 0
    assert keys.opening_key(first.name) is None


def test_another_lifetime_counts_for_the_keys_in_use(clock: Clock) -> None:
    keys = TicketKeys(clock)
    first = keys.sealing_key()
    clock.now = HOUR
    keys.set_lifetime(1)
    assert keys.sealing_key() is not first
    assert keys.opening_key(first.name) is first


def test_a_name_that_is_not_ours_opens_nothing(clock: Clock) -> None:
    keys = TicketKeys(clock)
    assert keys.opening_key(b"x" * 16) is None
    keys.sealing_key()
    assert keys.opening_key(b"x" * 16) is None


def test_keys_are_random_and_show_no_secret(clock: Clock) -> None:
    one, other = TicketKeys(clock).sealing_key(), TicketKeys(clock).sealing_key()
    assert len({one.name, one.authentication[:16], one.encryption[:16]}) == 3
    assert one.name != other.name
    assert one.encryption != other.encryption
    assert repr(one.encryption) not in repr(one)
    assert "authentication" not in repr(one)


def test_keys_in_use_begin_with_the_one_that_seals(clock: Clock) -> None:
    keys = TicketKeys(clock)
    (first,) = keys.in_use()
    clock.now = 12 * HOUR
    second, older = keys.in_use()
    assert keys.is_sealing(second)
    assert older is first
    clock.now = 23 * HOUR
    assert keys.in_use() == (second, first)
    clock.now = 24 * HOUR
    assert first not in keys.in_use()
