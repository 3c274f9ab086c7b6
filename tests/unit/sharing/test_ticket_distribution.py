"""Ticket keys between the ring and a store."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailfront.errors import SharedStoreUnavailableError
from mailfront.interfaces.secret import Secret
from mailfront.sharing.sealed_key import KeySeal
from mailfront.sharing.site_secret import SiteSecret
from mailfront.sharing.ticket_distribution import TicketDistribution
from mailfront.sharing.ticket_ring import DISTRIBUTION, TicketRing

LIFETIME = 3600.0
SEAL = KeySeal(SiteSecret(Secret("s" * 32)))


class MemoryStore:
    """The shared store in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}
        self.seconds: dict[str, int] = {}
        self.away = False

    def name(self, *parts: str) -> str:
        return ":".join(parts)

    async def get(self, names: Sequence[str]) -> list[bytes | None]:
        self._require()
        return [self.entries.get(name) for name in names]

    async def set_new(self, name: str, value: bytes, seconds: int) -> None:
        self._require()
        if name not in self.entries:
            self.entries[name], self.seconds[name] = value, seconds

    def _require(self) -> None:
        if self.away:
            raise SharedStoreUnavailableError("away")


class FrontEnd:
    """One front end, whose clock is a little `ahead`."""

    def __init__(self, store: MemoryStore, ahead: float = 0.0) -> None:
        self.now = 100 * LIFETIME + ahead
        self.ring = TicketRing(lambda: LIFETIME, lambda: self.now)
        self.distribution = TicketDistribution(
            store, SEAL, self.ring, lambda: LIFETIME, lambda: self.now
        )

    async def look(self) -> None:
        await self.distribution.look()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def test_whoever_comes_first_makes_the_keys_and_all_have_the_same(
    store: MemoryStore,
) -> None:
    one, other = FrontEnd(store), FrontEnd(store, ahead=2)
    await one.look()
    assert set(store.entries) == {"ticket-key:3600:100", "ticket-key:3600:101"}
    entries = dict(store.entries)
    await other.look()
    assert store.entries == entries
    for each in (one, other):
        each.now += DISTRIBUTION
    first, second = one.ring.sealing_key(), other.ring.sealing_key()
    assert first is not None
    assert first == second


async def test_the_key_of_the_next_period_is_everywhere_before_it_seals(
    store: MemoryStore,
) -> None:
    one, other = FrontEnd(store), FrontEnd(store)
    await one.look()
    await other.look()
    one.now += LIFETIME
    fresh = one.ring.sealing_key()
    assert fresh is not None
    assert other.ring.opening_key(fresh.name) == fresh
    await one.look()
    assert "ticket-key:3600:102" in store.entries


async def test_entries_expire_when_their_keys_are_of_no_use_any_more(store: MemoryStore) -> None:
    await FrontEnd(store).look()
    assert store.seconds == {
        "ticket-key:3600:100": 2 * LIFETIME,
        "ticket-key:3600:101": 3 * LIFETIME,
    }


async def test_keys_that_the_store_lost_are_put_back(store: MemoryStore) -> None:
    one, other = FrontEnd(store), FrontEnd(store)
    await one.look()
    one.now += LIFETIME
    await one.look()
    key = one.ring.sealing_key()
    store.entries.clear()
    await one.look()
    assert len(store.entries) == 3, "the one before, too"
    other.now = one.now
    await other.look()
    assert other.ring.sealing_key() == key
    assert one.ring.sealing_key() is key


async def test_while_the_store_is_away_the_known_keys_go_on(store: MemoryStore) -> None:
    one = FrontEnd(store)
    await one.look()
    store.away = True
    with pytest.raises(SharedStoreUnavailableError):
        await one.look()
    one.now += LIFETIME
    assert one.ring.sealing_key() is not None
    one.now += LIFETIME
    assert one.ring.sealing_key() is None


async def test_entries_of_others_are_told_and_not_used(
    store: MemoryStore, caplog: pytest.LogCaptureFixture
) -> None:
    one = FrontEnd(store)
    await one.look()
    one.now += DISTRIBUTION
    key = one.ring.sealing_key()
    store.entries["ticket-key:3600:100"] = store.entries["ticket-key:3600:101"]
    for _ in range(3):
        await one.look()
    assert "did not seal" in one.distribution.problem
    assert len(caplog.records) == 1
    assert one.ring.sealing_key() is key
    del store.entries["ticket-key:3600:100"]
    await one.look()
    assert one.distribution.problem == ""


async def test_an_old_entry_put_back_is_not_looked_at(store: MemoryStore) -> None:
    one = FrontEnd(store)
    await one.look()
    one.now += DISTRIBUTION
    old = one.ring.sealing_key()
    assert old is not None
    stolen = dict(store.entries)
    one.now += 5 * LIFETIME
    store.entries.clear()
    await one.look()
    store.entries.update(stolen)
    await one.look()
    assert one.ring.opening_key(old.name) is None
