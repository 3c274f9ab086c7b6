"""The one way to start a task: named, and referenced until it ends.

The event loop keeps only weak references to tasks, so a task that nobody holds may vanish.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Coroutine, Generator
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")
_running: set[asyncio.Task[Any]] = set()
_log = logging.getLogger("mailfront.tasks")


def start_task(work: Coroutine[Any, Any, Result], *, name: str) -> asyncio.Task[Result]:
    """Start `work` and hold it until it ends; a failure nobody awaited is logged with its stack."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def run_at_once(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine that has nothing to wait for, without a task; return its result."""
    try:
        work.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    work.close()
    raise RuntimeError(f"{work!r} had to wait")


def run_until_it_waits(work: Coroutine[Any, Any, Result]) -> Coroutine[Any, Any, Result] | None:
    """Run a coroutine that seldom has to wait up to where it does; return the rest of it, to be
    awaited or made a task, or None if it ended.

    What runs here is in no task: it may wait for futures and tasks, but `asyncio.timeout` and its
    like have to be in a task that it starts.
    """
    try:
        waited_for = work.send(None)
    except StopIteration:
        return None
    return _rest(work, waited_for)


async def _rest(work: Coroutine[Any, Any, Result], waited_for: object) -> Result:
    return await _resumed(work, waited_for)


@types.coroutine
def _resumed(
    work: Coroutine[Any, Any, Result], waited_for: object
) -> Generator[object, Any, Result]:
    """Hand what `work` waits for to the task that now runs it, and what comes of it back."""
    while True:
        try:
            answer = yield waited_for
            step = partial(work.send, answer)
        except BaseException as failure:
            step = partial(work.throw, failure)
        try:
            waited_for = step()
        except StopIteration as end:
            result: Result = end.value
            return result


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (failure := task.exception()) is not None:
        _log.error("task=%s failed", task.get_name(), exc_info=failure)
