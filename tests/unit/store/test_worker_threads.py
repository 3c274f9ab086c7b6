from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from mailfront.store.worker_threads import WorkerThreads

MOST = 3


@pytest.fixture
def threads() -> Iterator[WorkerThreads]:
    threads = WorkerThreads(MOST, "work")
    yield threads
    threads.close()


async def test_work_is_done_in_another_thread_and_its_result_comes_back(
    threads: WorkerThreads,
) -> None:
    assert await threads.submit(threading.get_ident) != threading.get_ident()


async def test_a_failure_comes_back_as_it_was_raised(threads: WorkerThreads) -> None:
    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await threads.submit(fail)
    assert await threads.submit(lambda: 5) == 5


async def test_one_thing_after_the_other_is_done_by_one_thread(threads: WorkerThreads) -> None:
    used = {await threads.submit(threading.get_ident) for _ in range(20)}
    assert len(used) == 1


async def test_things_at_the_same_time_are_done_by_as_many_threads_as_allowed(
    threads: WorkerThreads,
) -> None:
    together = threading.Barrier(MOST, timeout=10)

    def meet() -> int:
        together.wait()
        return threading.get_ident()

    used = await asyncio.gather(*(threads.submit(meet) for _ in range(MOST * 4)))
    assert len(set(used)) == MOST


async def test_what_is_cancelled_before_it_began_is_not_done(threads: WorkerThreads) -> None:
    release = threading.Event()
    done: list[int] = []
    busy = [threads.submit(lambda: release.wait(10)) for _ in range(MOST)]
    first, second = (threads.submit(partial(done.append, number)) for number in (1, 2))
    first.cancel()
    release.set()
    await second
    assert all(await asyncio.gather(*busy))
    assert done == [2]


async def test_what_is_cancelled_after_it_began_runs_to_its_end_unheard(
    threads: WorkerThreads,
) -> None:
    begun, release, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        release.wait(10)
        done.set()

    future = threads.submit(work)
    await asyncio.to_thread(begun.wait, 10)
    future.cancel()
    release.set()
    assert await asyncio.to_thread(done.wait, 10)
    assert await threads.submit(lambda: 1) == 1


async def test_closing_finishes_everything_and_ends_the_threads() -> None:
    before = threading.active_count()
    threads = WorkerThreads(MOST, "work")
    futures = [threads.submit(partial(int, number)) for number in range(50)]
    threads.close()
    assert threading.active_count() == before
    assert await asyncio.gather(*futures) == list(range(50))
    with pytest.raises(RuntimeError, match="ended"):
        threads.submit(lambda: 0)
    threads.close()


def test_another_loop_may_use_them_after_the_first_has_ended() -> None:
    threads = WorkerThreads(MOST, "work")

    async def ask() -> int:
        return await threads.submit(lambda: 7)

    assert [asyncio.run(ask()) for _ in range(2)] == [7, 7]
    threads.close()
