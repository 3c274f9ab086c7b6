"""The scripts that count failed logins, in a real Redis."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator

import pytest

from mailfront.authentication.shared_throttle import SharedThrottle
from mailfront.authentication.throttle import HALF_LIFE
from mailfront.configuration.shared_store_url import parse_shared_store
from mailfront.errors import SharedStoreUnavailableError
from mailfront.interfaces.secret import Secret
from mailfront.sharing.settings import SharingSettings
from mailfront.sharing.site_secret import SiteSecret
from mailfront.sharing.store import SharedStore
from tests.support.redis import SITE_SECRET, RedisServer

SITE = SiteSecret(Secret(SITE_SECRET))
ADDRESS, ELSEWHERE = "192.0.2.1", "198.51.100.1"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with RedisServer(tmp_path_factory.mktemp("redis") / "data") as running:
        yield running


def made(server: RedisServer) -> SharedStore:
    address = parse_shared_store(server.url)
    assert address is not None
    settings = SharingSettings(address, Secret(""), SITE, 5.0, ticket_keys=False, throttle=True)
    return SharedStore(settings, ssl.create_default_context)


async def reached(store: SharedStore) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                await store.get([store.name("nothing")])
                return
            except SharedStoreUnavailableError:
                await asyncio.sleep(0.01)


@pytest.fixture
async def store(server: RedisServer) -> AsyncIterator[SharedStore]:
    server.client.flushall()
    store = made(server)
    store.start()
    await reached(store)
    yield store
    await store.close()


def throttle(store: SharedStore, half_life: float = HALF_LIFE) -> SharedThrottle:
    return SharedThrottle(store, SITE.key("login scores"), half_life=half_life)


async def fail(one: SharedThrottle, address: str, user: str) -> None:
    attempt = await one.judge(address, user)
    await one.begin(attempt)
    await one.failed(attempt)


async def counted(server: RedisServer, number: int) -> None:
    async with asyncio.timeout(20):
        while len(server.client.keys("*:login-score:*")) != number:
            await asyncio.sleep(0.01)


async def test_the_delays_are_those_of_one_process(server: RedisServer, store: SharedStore) -> None:
    one, other = throttle(store), throttle(store)
    delays = []
    for front_end in (one, other, one, other, one):
        delays.append((await front_end.judge(ADDRESS, "alice")).delay)
        await fail(front_end, ADDRESS, "alice")
        await counted(server, 2)
        # Counting is not waited for; a question on another connection may overtake it.
        await asyncio.sleep(0.1)
    assert delays == pytest.approx([0, 0.5, 1.5, 3.5, 7.5], rel=0.05)


async def test_scores_decay_by_the_clock_of_the_store_and_their_entries_expire(
    server: RedisServer, store: SharedStore
) -> None:
    await fail(throttle(store, half_life=0.2), ADDRESS, "alice")
    await counted(server, 2)
    fresh = throttle(store, half_life=0.2)
    assert 0 < (await fresh.judge(ELSEWHERE, "alice")).delay < 0.5
    # From 1 to next to nothing in less than five half-lives, rounded up to whole seconds.
    await counted(server, 0)
    assert (await fresh.judge(ELSEWHERE, "alice")).delay == 0


async def test_a_success_leaves_only_that_the_pair_is_known(
    server: RedisServer, store: SharedStore
) -> None:
    one = throttle(store)
    attempt = await one.judge(ADDRESS, "alice")
    await one.begin(attempt)
    await one.succeeded(attempt)
    other = throttle(store)
    async with asyncio.timeout(20):
        while not (await other.judge(ADDRESS, "alice")).familiar:
            await asyncio.sleep(0.01)
    await counted(server, 1)
    (name,) = server.client.keys("*:login-score:*")
    assert 29 * 86400 < int(server.client.ttl(name)) <= 30 * 86400


async def test_scores_have_a_ceiling(server: RedisServer, store: SharedStore) -> None:
    one = throttle(store)
    attempt = await one.judge(ADDRESS, "alice")
    for _ in range(100):
        await one.begin(attempt)
        await one.failed(attempt)
    await counted(server, 2)
    async with asyncio.timeout(20):
        scores: list[float] = []
        while sorted(map(round, scores)) != [40, 100]:
            names = server.client.keys("*:login-score:*")
            scores = [float(server.client.hget(name, "score") or 0) for name in names]
            await asyncio.sleep(0.01)


async def test_an_entry_of_another_kind_under_the_name_is_a_refusal_of_the_store_not_of_the_login(
    server: RedisServer, store: SharedStore
) -> None:
    one = throttle(store)
    await fail(one, ADDRESS, "alice")
    await counted(server, 2)
    for name in server.client.keys("*:login-score:*"):
        server.client.set(name, "something else")
    assert not (await throttle(store).judge(ADDRESS, "alice")).refused
    await reached(store)
    assert store.problem == ""


async def test_a_store_that_may_not_be_written_to_counts_as_away(
    server: RedisServer, store: SharedStore
) -> None:
    client = server.client
    client.config_set("min-replicas-to-write", "1")
    try:
        await fail(throttle(store), ADDRESS, "alice")
        async with asyncio.timeout(20):
            while "NOREPLICAS" not in store.problem:
                await asyncio.sleep(0.01)
    finally:
        client.config_set("min-replicas-to-write", "0")
    await reached(store)
    assert store.problem == ""
