"""Results of look-ups, kept for a while; equal look-ups at the same time are one.

Takes a key and what to do where nothing is kept for it. At most `capacity` results are kept, the
oldest make room; an empty result has a lifetime of its own. What went wrong is never kept, but
told to all who waited for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.tasks import start_task

Value = TypeVar("Value")


class LookupCache(Generic[Value]):
    """Lifetimes in seconds. To be used from one event loop."""

    def __init__(
        self,
        *,
        capacity: int,
        lifetime: float,
        negative_lifetime: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._lifetime = lifetime
        self._negative_lifetime = negative_lifetime
        self._clock = clock
        self._kept: OrderedDict[Hashable, tuple[float, Value]] = OrderedDict()
        self._under_way: dict[Hashable, asyncio.Task[Value | DirectoryUnavailableError]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    async def get(self, key: Hashable, look_up: Callable[[], Awaitable[Value]]) -> Value:
        """Return what is kept for `key`, or what `look_up` gives, whatever it raises included.

        Where the result is kept the caller is not suspended.
        """
        kept = self._kept.get(key)
        if kept is not None:
            if self._clock() < kept[0]:
                return kept[1]
            del self._kept[key]
        task = self._under_way.get(key)
        if task is None:
            task = start_task(self._look_up(key, look_up), name="directory look-up")
            self._under_way[key] = task
        # It goes on when one who waits for it leaves: there may be others.
        outcome = await asyncio.shield(task)
        if isinstance(outcome, DirectoryUnavailableError):
            # A new one for each, because raising adds to it.
            raise DirectoryUnavailableError(str(outcome))
        return outcome

    async def _look_up(
        self, key: Hashable, look_up: Callable[[], Awaitable[Value]]
    ) -> Value | DirectoryUnavailableError:
        # The result is as old as the question.
        begun = self._clock()
        try:
            value = await look_up()
        except DirectoryUnavailableError as error:
            return error
        finally:
            del self._under_way[key]
        lifetime = self._lifetime if value else self._negative_lifetime
        if self._capacity and lifetime:
            self._kept[key] = (begun + lifetime, value)
            self._kept.move_to_end(key)
            if len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return value
