"""Which of the site's keys counts when."""

from __future__ import annotations

import pytest

from mailfront.sharing.sealed_key import SharedKey
from mailfront.sharing.ticket_ring import DISTRIBUTION, MOST_KEYS_OF_A_PERIOD, TicketRing
from mailfront.tls.session_tickets import TicketKey, TicketKeys

LIFETIME = 3600.0
PERIOD = 100


class Clock:
    now = PERIOD * LIFETIME + 60
    lifetime = LIFETIME

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(clock: Clock) -> TicketRing:
    return TicketRing(lambda: clock.lifetime, clock)


def made(at: float) -> SharedKey:
    return SharedKey(at, TicketKey(at))


def long_ago(clock: Clock) -> SharedKey:
    return made(clock.now - LIFETIME)


def test_an_empty_ring_seals_and_opens_nothing(ring: TicketRing) -> None:
    assert ring.sealing_key() is None
    assert ring.opening_key(b"x" * 16) is None
    assert ring.known(PERIOD) is None


def test_a_key_seals_in_its_period_and_opens_one_period_before_and_after(
    ring: TicketRing, clock: Clock
) -> None:
    shared = long_ago(clock)
    ring.take(PERIOD + 1, shared)
    assert ring.sealing_key() is None
    assert ring.opening_key(shared.key.name) is shared.key, "clocks differ a little"
    clock.now += LIFETIME
    assert ring.sealing_key() is shared.key
    clock.now += LIFETIME
    assert ring.sealing_key() is None
    assert ring.opening_key(shared.key.name) is shared.key
    clock.now += LIFETIME
    assert ring.opening_key(shared.key.name) is None


def test_a_key_made_in_its_own_period_seals_when_all_have_had_the_time_to_fetch_it(
    ring: TicketRing, clock: Clock
) -> None:
    shared = made(clock.now)
    ring.take(PERIOD, shared)
    assert ring.sealing_key() is None
    assert ring.opening_key(shared.key.name) is shared.key
    clock.now += DISTRIBUTION
    assert ring.sealing_key() is shared.key


def test_a_new_key_of_the_same_period_takes_over_once_it_is_distributed(
    ring: TicketRing, clock: Clock
) -> None:
    old, new = long_ago(clock), made(clock.now)
    ring.take(PERIOD, old)
    ring.take(PERIOD, new)
    assert ring.sealing_key() is old.key
    assert ring.known(PERIOD) is new, "what the store has"
    clock.now += DISTRIBUTION
    assert ring.sealing_key() is new.key
    assert ring.opening_key(old.key.name) is old.key


def test_the_same_key_read_again_stays_the_same_object(ring: TicketRing, clock: Clock) -> None:
    shared = long_ago(clock)
    ring.take(PERIOD, shared)
    again = SharedKey(shared.made, TicketKey(shared.made, shared.key.name))
    ring.take(PERIOD, made(clock.now))
    ring.take(PERIOD, again)
    assert ring.sealing_key() is shared.key


def test_keys_of_one_period_are_bounded(ring: TicketRing, clock: Clock) -> None:
    keys = [long_ago(clock) for _ in range(MOST_KEYS_OF_A_PERIOD + 3)]
    for shared in keys:
        ring.take(PERIOD, shared)
    known = [shared for shared in keys if ring.opening_key(shared.key.name) is not None]
    assert known == keys[3:]


@pytest.mark.parametrize("period", [0, PERIOD - 2, PERIOD + 2, PERIOD * 1000])
def test_a_key_of_another_time_is_not_taken(ring: TicketRing, clock: Clock, period: int) -> None:
    shared = long_ago(clock)
    ring.take(period, shared)
    assert ring.opening_key(shared.key.name) is None
    assert period not in ring.window()


def test_another_length_of_periods_forgets_the_keys(ring: TicketRing, clock: Clock) -> None:
    shared = long_ago(clock)
    ring.take(PERIOD, shared)
    clock.lifetime = 2 * LIFETIME
    assert ring.opening_key(shared.key.name) is None
    assert ring.window() == (PERIOD // 2 - 1, PERIOD // 2, PERIOD // 2 + 1)


def test_a_key_is_of_use_until_the_next_period_has_ended(ring: TicketRing) -> None:
    assert ring.seconds_of_use(PERIOD) == 2 * LIFETIME - 60
    assert ring.seconds_of_use(PERIOD - 3) == 0


def test_a_process_seals_with_its_own_key_while_the_ring_has_none(
    ring: TicketRing, clock: Clock
) -> None:
    keys = TicketKeys(clock)
    keys.shared = ring
    own = keys.sealing_key()
    shared = long_ago(clock)
    ring.take(PERIOD, shared)
    assert keys.sealing_key() is shared.key
    assert keys.opening_key(own.name) is own
    assert not keys.is_sealing(own), "who brings an older ticket gets a new one"
    assert keys.opening_key(shared.key.name) is shared.key
    assert keys.is_sealing(shared.key)
