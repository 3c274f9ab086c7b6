"""Who logged in from where: exactly, for a while, in bounded memory, shared with a site."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mailfront.authentication.recent_logins import MOST_SENDERS, LoginTable
from mailfront.configuration.networks import NetworkSet
from mailfront.errors import SharedStoreUnavailableError

ALICE = "alice@example.test"
ALIAS = "alias@example.test"
BOB = "bob@example.test"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Store:
    """The store of a site, in memory; `away` makes it fail."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.seconds: set[str] = set()
        self.away = False

    def name(self, *parts: str) -> str:
        return ":".join(parts)

    async def get(self, names: Sequence[str]) -> list[bytes | None]:
        if self.away:
            raise SharedStoreUnavailableError("away")
        return [self.kept.get(name) for name in names]

    async def run_each(self, script: str, calls: Sequence[tuple[str, Sequence[str]]]) -> None:
        if self.away:
            raise SharedStoreUnavailableError("away")
        for name, (user, seconds) in calls:
            self.kept[name] = user.encode()
            self.seconds.add(seconds)


async def test_a_login_counts_for_the_address_and_the_senders_of_the_user() -> None:
    table = LoginTable(900)
    assert not await table.knows("192.0.2.1")
    table.note("192.0.2.1", ALICE, frozenset({ALICE, ALIAS}))
    assert await table.knows("192.0.2.1")
    assert await table.user_of("192.0.2.1", ALIAS) == ALICE
    assert await table.user_of("192.0.2.1", BOB) is None
    assert await table.user_of("192.0.2.2", ALICE) is None


async def test_several_users_behind_one_address_send_as_themselves() -> None:
    table = LoginTable(900)
    table.note("192.0.2.1", ALICE, frozenset({ALICE}))
    table.note("192.0.2.1", BOB, frozenset({BOB}))
    assert await table.user_of("192.0.2.1", ALICE) == ALICE
    assert await table.user_of("192.0.2.1", BOB) == BOB
    assert await table.user_of("192.0.2.1", "") == BOB


async def test_it_is_over_after_its_time_since_the_last_login() -> None:
    clock = Clock()
    table = LoginTable(900, clock=clock)
    table.note("192.0.2.1", ALICE, frozenset({ALICE}))
    clock.now += 899
    assert await table.knows("192.0.2.1")
    table.note("192.0.2.1", ALICE, frozenset({ALICE}))
    clock.now += 899
    assert await table.user_of("192.0.2.1", ALICE) == ALICE
    clock.now += 1
    assert await table.user_of("192.0.2.1", ALICE) is None
    assert not await table.knows("192.0.2.1")
    assert len(table) == 0


@pytest.mark.parametrize(
    ("noted", "asked", "same"),
    [
        ("2001:db8::1", "2001:0db8:0:0::1", True), ("2001:db8::1", "2001:db8::2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True), ("fe80::1%eth0", "fe80::1", True),
    ],
)  # fmt: skip
async def test_an_address_is_one_address_however_it_is_written(
    noted: str, asked: str, same: bool
) -> None:
    table = LoginTable(900)
    table.note(noted, ALICE, frozenset({ALICE}))
    assert await table.knows(asked) is same


@pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "", "nowhere"])
async def test_an_address_of_a_trusted_proxy_is_nobodys(address: str) -> None:
    table = LoginTable(900, never=NetworkSet("10.0.0.0/8"))
    table.note(address, ALICE, frozenset({ALICE}))
    assert len(table) == 0
    assert not await table.knows(address)


async def test_memory_is_bounded_and_the_oldest_make_room() -> None:
    table = LoginTable(900, capacity=100)
    for number in range(200):
        table.note(f"192.0.2.{number}", ALICE, frozenset({ALICE}))
    assert len(table) == 100
    assert await table.knows("192.0.2.199")
    assert not await table.knows("192.0.2.0")
    table.note("192.0.2.1", BOB, frozenset(f"{number}@example.test" for number in range(10_000)))
    assert len(LoginTable(900)) == 0
    assert len(table) <= 100
    assert MOST_SENDERS < 100


async def test_front_ends_with_a_store_know_of_each_others_logins() -> None:
    store = Store()
    one, two, stranger = (LoginTable(900, store=store, secret=each) for each in (b"s", b"s", b"x"))
    one.note("192.0.2.1", ALICE, frozenset({ALICE, ALIAS}))
    for _ in range(10):
        await asyncio.sleep(0)
    assert await two.knows("192.0.2.1")
    assert await two.user_of("192.0.2.1", ALIAS) == ALICE
    assert not await two.knows("192.0.2.2")
    # Nobody without the secret of the site can say where somebody logged in.
    assert not await stranger.knows("192.0.2.1")
    assert store.seconds == {"900"}
    assert not any("192" in name or "alice" in name for name in store.kept)


async def test_without_the_store_each_knows_its_own() -> None:
    store = Store()
    store.away = True
    one = LoginTable(900, store=store, secret=b"s")
    one.note("192.0.2.1", ALICE, frozenset({ALICE}))
    for _ in range(10):
        await asyncio.sleep(0)
    assert await one.knows("192.0.2.1")
    assert not await one.knows("192.0.2.2")


async def test_nonsense_in_the_store_is_no_login() -> None:
    store = Store()
    one = LoginTable(900, store=store, secret=b"s")
    one.note("192.0.2.1", ALICE, frozenset({ALICE}))
    for _ in range(10):
        await asyncio.sleep(0)
    store.kept = dict.fromkeys(store.kept, b"\xff\xfe")
    two = LoginTable(900, store=store, secret=b"s")
    assert not await two.knows("192.0.2.1")
