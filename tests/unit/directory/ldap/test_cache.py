import asyncio
from collections.abc import Awaitable, Callable

import pytest

from mailfront.directory.ldap.cache import LookupCache
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.tasks import run_until_it_waits


class Source:
    """Answers look-ups with `value` or `failure`, counts them, and has a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked = 0
        self.value = "found"
        self.failure: Exception | None = None
        self.release: asyncio.Event | None = None

    def clock(self) -> float:
        return self.now

    async def look_up(self) -> str:
        self.asked += 1
        value = self.value
        if self.release is not None:
            await self.release.wait()
        if self.failure is not None:
            raise self.failure
        return value


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def cache(source: Source) -> LookupCache[str]:
    return LookupCache(capacity=3, lifetime=60, negative_lifetime=10, clock=source.clock)


Get = Callable[[str], Awaitable[str]]


@pytest.fixture
def get(cache: LookupCache[str], source: Source) -> Get:
    return lambda key: cache.get(key, source.look_up)


async def test_a_result_is_kept_for_its_lifetime_from_the_question(
    source: Source, get: Get
) -> None:
    for now, asked in ((0, 1), (59, 1), (60, 2)):
        source.now = now
        assert await get("alice") == "found"
        assert source.asked == asked


async def test_that_there_is_nothing_is_kept_for_less(source: Source, get: Get) -> None:
    source.value = ""
    for now, asked in ((0, 1), (9, 1), (10, 2)):
        source.now = now
        assert await get("nobody") == ""
        assert source.asked == asked


async def test_equal_look_ups_at_the_same_time_are_one(source: Source, get: Get) -> None:
    assert await asyncio.gather(*(get("alice") for _ in range(50))) == ["found"] * 50
    assert source.asked == 1


async def test_a_failure_is_told_to_all_who_wait_and_not_kept(source: Source, get: Get) -> None:
    source.failure = DirectoryUnavailableError("away")
    answers = await asyncio.gather(*(get("alice") for _ in range(3)), return_exceptions=True)
    assert [str(answer) for answer in answers] == ["away"] * 3
    assert len({id(answer) for answer in answers}) == 3
    source.failure = None
    assert await get("alice") == "found"
    assert source.asked == 2


async def test_a_result_outlives_an_outage_only_within_its_lifetime(
    source: Source, get: Get
) -> None:
    await get("alice")
    source.failure = DirectoryUnavailableError("away")
    source.now = 59
    assert await get("alice") == "found"
    source.now = 61
    with pytest.raises(DirectoryUnavailableError):
        await get("alice")


async def test_who_leaves_does_not_take_the_look_up_from_the_others(
    source: Source, get: Get
) -> None:
    source.release = asyncio.Event()
    first, second = (asyncio.ensure_future(get("alice")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    source.release.set()
    assert await second == "found"


async def test_the_oldest_make_room(source: Source, cache: LookupCache[str], get: Get) -> None:
    for key in "abcd":
        await get(key)
    assert len(cache) == 3
    await get("d")
    assert source.asked == 4
    await get("a")
    assert source.asked == 5


async def test_what_is_kept_is_told_without_waiting(
    cache: LookupCache[str], source: Source
) -> None:
    await cache.get("alice", source.look_up)
    assert run_until_it_waits(cache.get("alice", source.look_up)) is None


async def test_without_room_nothing_is_kept(source: Source) -> None:
    cache: LookupCache[str] = LookupCache(capacity=0, lifetime=60, negative_lifetime=10)
    for _ in range(2):
        await cache.get("alice", source.look_up)
    assert (source.asked, len(cache)) == (2, 0)
