"""The one way to start a task: named, and referenced until it ends.

The event loop keeps only weak references to tasks, so a task that nobody holds may vanish.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
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


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if not task.cancelled() and (failure := task.exception()) is not None:
        _log.error("task=%s failed", task.get_name(), exc_info=failure)
