"""Scores of several front ends, over a store in memory; the scripts run in tests/interop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from mailfront.authentication.shared_throttle import ADD, PAIR_SECONDS, READ, SharedThrottle
from mailfront.errors import SharedStoreUnavailableError

ADDRESS, ELSEWHERE = "192.0.2.1", "198.51.100.1"
SECRET = b"s" * 32


class MemoryScores:
    """The shared store in memory, where no time passes."""

    def __init__(self) -> None:
        self.scores: dict[str, float] = {}
        self.seconds: dict[str, str] = {}
        self.away = False
        self.garbage = False

    def name(self, *parts: str) -> str:
        return ":".join(parts)

    async def run(
        self, script: str, names: Sequence[str], arguments: Sequence[str]
    ) -> list[bytes | None]:
        await asyncio.sleep(0)
        self._require()
        assert script == READ
        if self.garbage:
            return [b"garbage"]
        return [str(self.scores.get(name, "")).encode() for name in names]

    async def run_each(self, script: str, calls: Sequence[tuple[str, Sequence[str]]]) -> None:
        await asyncio.sleep(0)
        self._require()
        assert script == ADD
        for name, (_half_life, amount, ceiling, _negligible, seconds) in calls:
            score = min(max(self.scores.get(name, 0.0) + float(amount), 0.0), float(ceiling))
            self.scores[name], self.seconds[name] = score, seconds

    def _require(self) -> None:
        if self.away:
            raise SharedStoreUnavailableError("away")


@pytest.fixture
def store() -> MemoryScores:
    return MemoryScores()


def throttle(store: MemoryScores, secret: bytes = SECRET) -> SharedThrottle:
    return SharedThrottle(store, secret, clock=lambda: 0.0, user_limit=5, address_limit=10)


async def sent() -> None:
    """Let what was counted reach the store."""
    for _ in range(10):
        await asyncio.sleep(0)


async def fail(one: SharedThrottle, address: str, user: str, times: int) -> None:
    for _ in range(times):
        attempt = await one.judge(address, user)
        await one.begin(attempt)
        await one.failed(attempt)
    await sent()


async def succeed(one: SharedThrottle, address: str, user: str) -> None:
    attempt = await one.judge(address, user)
    assert not attempt.refused
    await one.begin(attempt)
    await one.succeeded(attempt)
    await sent()


async def test_failures_elsewhere_delay_and_refuse_here(store: MemoryScores) -> None:
    one, other = throttle(store), throttle(store)
    await fail(one, ADDRESS, "alice", 3)
    for each in (one, other):
        assert (await each.judge(ELSEWHERE, "alice")).delay == 3.5
    await fail(other, ELSEWHERE, "alice", 2)
    for each in (one, other):
        assert (await each.judge("203.0.113.1", "alice")).refused
        assert not (await each.judge("203.0.113.1", "bob")).refused


async def test_failures_of_an_address_count_at_all(store: MemoryScores) -> None:
    one, other = throttle(store), throttle(store)
    for number in range(10):
        await fail(one, ADDRESS, f"user{number}", 1)
    assert (await other.judge(ADDRESS, "somebody")).refused
    assert (await other.judge(ADDRESS, None)).refused
    assert not (await other.judge(ELSEWHERE, None)).refused


async def test_who_logged_in_at_one_from_there_is_not_locked_out_at_another(
    store: MemoryScores,
) -> None:
    one, other = throttle(store), throttle(store)
    await succeed(one, ADDRESS, "alice")
    await fail(other, ELSEWHERE, "alice", 5)
    assert (await other.judge(ELSEWHERE, "alice")).refused
    assert (await other.judge(ADDRESS, "alice")).familiar
    await succeed(other, ADDRESS, "alice")
    assert str(PAIR_SECONDS) in store.seconds.values()


async def test_a_success_takes_back_its_own_point_everywhere(store: MemoryScores) -> None:
    one = throttle(store)
    await succeed(one, ADDRESS, "alice")
    assert set(store.scores.values()) == {0.0}
    attempt = await one.judge(ELSEWHERE, "bob")
    await one.begin(attempt)
    await one.abandoned(attempt)
    await sent()
    assert set(store.scores.values()) == {0.0}


async def test_without_the_store_each_judges_by_itself(store: MemoryScores) -> None:
    one, other = throttle(store), throttle(store)
    store.away = True
    await fail(one, ADDRESS, "alice", 5)
    assert (await one.judge(ADDRESS, "alice")).refused
    assert not (await other.judge(ADDRESS, "alice")).refused
    store.away = False
    assert (await one.judge(ADDRESS, "alice")).refused
    await fail(other, ADDRESS, "alice", 1)
    assert max(store.scores.values()) == 1.0


async def test_an_answer_that_makes_no_sense_counts_as_none(store: MemoryScores) -> None:
    one = throttle(store)
    store.garbage = True
    assert not (await one.judge(ADDRESS, "alice")).refused


async def test_many_attempts_at_a_time_are_bounded_before_the_store_knows(
    store: MemoryScores,
) -> None:
    one = throttle(store)
    begun = 0

    async def attempt() -> None:
        nonlocal begun
        judged = await one.judge(ADDRESS, "alice")
        if not judged.refused:
            await one.begin(judged)
            begun += 1

    await asyncio.gather(*(attempt() for _ in range(50)))
    assert begun == 5


async def test_names_are_digests_under_the_secret_of_the_site(store: MemoryScores) -> None:
    await fail(throttle(store), ADDRESS, "alice", 1)
    first = set(store.scores)
    assert not any("alice" in name or ADDRESS in name for name in first)
    await fail(throttle(store, b"t" * 32), ADDRESS, "alice", 1)
    assert len(set(store.scores)) == 2 * len(first)
