"""Tasks are held until they end, and none fails in silence."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from mailfront.interfaces.tasks import run_at_once, run_until_it_waits, start_task


async def test_a_task_is_named_and_gives_its_result() -> None:
    async def work() -> int:
        return 42

    task = start_task(work(), name="work")
    assert task.get_name() == "work"
    assert await task == 42


async def test_a_task_that_nobody_holds_goes_on() -> None:
    release = asyncio.Event()
    finished = []

    async def work() -> None:
        await release.wait()
        finished.append(True)

    reference = weakref.ref(start_task(work(), name="work"))
    await asyncio.sleep(0)
    gc.collect()
    release.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert finished == [True]
    await asyncio.sleep(0)
    assert reference() is None


async def test_a_failure_is_logged_with_its_stack(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        raise ValueError("x")

    start_task(work(), name="the work")
    for _ in range(3):
        await asyncio.sleep(0)
    [record] = caplog.records
    assert record.getMessage() == "task=the work failed"
    assert record.exc_info


async def test_a_cancelled_task_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    task = start_task(asyncio.sleep(60), name="work")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert caplog.records == []


async def test_a_coroutine_that_waits_for_nothing_runs_at_once() -> None:
    async def answer() -> int:
        return 42

    assert run_at_once(answer()) == 42


async def test_a_coroutine_that_would_have_to_wait_is_refused() -> None:
    async def wait() -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="had to wait"):
        run_at_once(wait())


def test_a_failure_leaves_a_coroutine_that_runs_at_once() -> None:
    async def fail() -> None:
        raise ValueError("bad")

    with pytest.raises(ValueError, match="bad"):
        run_at_once(fail())


async def test_what_need_not_wait_ends_without_a_task() -> None:
    done = []

    async def work() -> None:
        done.append(asyncio.current_task())

    here = asyncio.current_task()
    assert run_until_it_waits(work()) is None
    assert done == [here]


async def test_the_rest_of_what_waits_goes_on_in_a_task_of_its_own() -> None:
    first: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    second: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> int:
        result = await first
        await asyncio.sleep(0)
        try:
            await second
        except ValueError:
            result += 1
        async with asyncio.timeout(10):
            return result

    rest = run_until_it_waits(work())
    assert rest is not None
    task = start_task(rest, name="rest")
    await asyncio.sleep(0)
    first.set_result(41)
    second.set_exception(ValueError())
    assert await task == 42


async def test_the_rest_can_be_cancelled_where_it_waits() -> None:
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    cleaned = []

    async def work() -> None:
        try:
            await waiting
        finally:
            cleaned.append(True)

    rest = run_until_it_waits(work())
    assert rest is not None
    task = start_task(rest, name="rest")
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (cleaned, waiting.cancelled()) == ([True], True)


async def test_a_failure_before_the_first_wait_is_raised_at_once() -> None:
    async def work() -> None:
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        run_until_it_waits(work())
