"""Threads that do blocking work for an event loop, and hand each result back to it.

Takes functions, returns futures of the loop that asks. Unlike `run_in_executor` the loop keeps all
the books: an idle thread is woken by one write and answers with one, so that a hand-over there and
back costs half as much processor time (and a delivery is one of the shortest pieces of work). The
thread that was last in use is the first to be used again.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")
_WAKE = b"\0"


class _Job(Generic[Result]):
    """A function, what came out of it, and the future that waits for that."""

    __slots__ = ("_failure", "_result", "_work", "future")

    def __init__(self, work: Callable[[], Result], future: asyncio.Future[Result]) -> None:
        self._work = work
        self.future = future
        self._result: Result
        self._failure: BaseException | None = None

    def perform(self) -> None:
        """Do the work, in whichever thread."""
        try:
            self._result = self._work()
        except BaseException as failure:
            self._failure = failure

    def settle(self) -> None:
        """Tell the outcome, in the thread of the loop."""
        if self.future.done():
            return
        if self._failure is None:
            self.future.set_result(self._result)
        else:
            self.future.set_exception(self._failure)
            # Its traceback leads back to here.
            self._failure = None


class _Worker:
    """One thread. It does `job` when woken, then joins `finished`."""

    def __init__(self, name: str, finished: deque[_Worker], wake_loop: int) -> None:
        self.job: _Job[Any] | None = None
        self._finished = finished
        self._wake_loop = wake_loop
        self._signal, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def begin(self, job: _Job[Any]) -> None:
        """Hand over a job."""
        self.job = job
        os.write(self._wake, _WAKE)

    def end(self) -> None:
        """End the thread, which must be idle."""
        os.close(self._wake)
        self._thread.join()
        os.close(self._signal)

    def _work(self) -> None:
        while os.read(self._signal, 1) and self.job is not None:
            self.job.perform()
            self._finished.append(self)
            os.write(self._wake_loop, _WAKE)


class WorkerThreads:
    """At most `most` threads, started when first needed. Used from one loop at a time."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers: list[_Worker] = []
        self._idle: list[_Worker] = []
        self._waiting: deque[_Job[Any]] = deque()
        self._finished: deque[_Worker] = deque()
        self._finished_signal, self._wake_loop = os.pipe()
        self._closed = False

    def submit(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """Call `work` in a thread. Cancelling the future withdraws it if it has not begun.

        Raises `RuntimeError` after `close`.
        """
        if self._closed:
            raise RuntimeError(f"the threads {self._name!r} have ended")
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._loop = loop
            loop.add_reader(self._finished_signal, self._collect)
        job = _Job(work, loop.create_future())
        if self._idle:
            self._idle.pop().begin(job)
        elif len(self._workers) < self._most:
            name = f"{self._name}-{len(self._workers)}"
            worker = _Worker(name, self._finished, self._wake_loop)
            self._workers.append(worker)
            worker.begin(job)
        else:
            self._waiting.append(job)
        return job.future

    def close(self) -> None:
        """Finish all work and end the threads; in the thread of the loop, or after its end."""
        if self._closed:
            return
        self._closed = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._finished_signal)
        while len(self._idle) < len(self._workers):
            self._collect()
        for worker in self._workers:
            worker.end()
        os.close(self._finished_signal)
        os.close(self._wake_loop)

    def _collect(self) -> None:
        """Settle what is finished, and give the threads what waits."""
        os.read(self._finished_signal, 4096)
        while self._finished:
            worker = self._finished.popleft()
            job = worker.job
            while self._waiting and self._waiting[0].future.cancelled():
                self._waiting.popleft()
            if self._waiting:
                worker.begin(self._waiting.popleft())
            else:
                worker.job = None
                self._idle.append(worker)
            if job is not None and not job.future.get_loop().is_closed():
                job.settle()
