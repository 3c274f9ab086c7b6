"""Who is told what: a session's pending changes of a mailbox, and the signal that there are some.

A `Watch` belongs to one session that has a mailbox selected. The mailbox adds to every watch what
changed, whoever changed it; the session takes it when its protocol allows (RFC 9051 section
7.5.1). Cost is proportional to the changes, and what waits is bounded by the mailbox itself.
"""

from __future__ import annotations

import asyncio
import threading
from array import array
from collections.abc import Callable, Iterable
from typing import NamedTuple


class Changes(NamedTuple):
    """What changed since the last look, as UIDs in ascending order.

    A message that came and went between two looks is in none of the lists; one that came is never
    also in `flagged`.
    """

    expunged: list[int]
    arrived: list[int]
    flagged: list[int]

    def __bool__(self) -> bool:
        return bool(self.expunged or self.arrived or self.flagged)


class Watch:
    """One session's view of the changes of one mailbox; made by `Mailbox.watch`.

    `uids` are the UIDs present at the moment the watch began, ascending: the session makes its
    sequence numbers from them, and may change the array. Safe to feed from any thread; the rest
    belongs to the session.
    """

    __slots__ = ("_arrived", "_expunged", "_flagged", "_lock", "_on_waiting", "_signal", "uids")

    def __init__(self, uids: array[int], on_waiting: Callable[[Watch, bool], None]) -> None:
        self.uids = uids
        self._on_waiting = on_waiting
        self._lock = threading.Lock()
        self._expunged: set[int] = set()
        self._arrived: set[int] = set()
        self._flagged: set[int] = set()
        self._signal: asyncio.Future[None] | None = None

    @property
    def pending(self) -> bool:
        """Whether `take()` would return something."""
        return bool(self._expunged or self._arrived or self._flagged)

    def take(self, *, expunges: bool = True) -> Changes:
        """Return and forget what is pending; with `expunges=False` expunged UIDs stay pending
        (RFC 9051 section 7.5.1: no EXPUNGE answer during FETCH, STORE and SEARCH)."""
        with self._lock:
            changes = Changes(
                sorted(self._expunged) if expunges else [],
                sorted(self._arrived),
                sorted(self._flagged),
            )
            if expunges:
                self._expunged = set()
            self._arrived = set()
            self._flagged = set()
        return changes

    def acknowledge(self, flagged: Iterable[int]) -> None:
        """Forget the pending flag changes of these UIDs: the session has just told its client."""
        with self._lock:
            self._flagged.difference_update(flagged)

    def signal(self) -> asyncio.Future[None]:
        """A future that is done as soon as something is pending; for IDLE.

        While such a future is undone, the mailbox is also looked at once per second for changes
        made by other processes. Call `silence` when IDLE ends. Needs a running event loop.
        """
        if self._signal is None or self._signal.done():
            self._signal = asyncio.get_running_loop().create_future()
            self._on_waiting(self, True)
        if self.pending and not self._signal.done():
            self._signal.set_result(None)
        return self._signal

    def silence(self) -> None:
        """Stop waiting: no more polling on this watch's behalf."""
        if self._signal is not None:
            self._signal.cancel()
            self._signal = None
            self._on_waiting(self, False)

    def record(
        self, *, expunged: Iterable[int], arrived: Iterable[int], flagged: Iterable[int]
    ) -> None:
        """Add changes; called by the mailbox, from any thread."""
        with self._lock:
            self._arrived.update(arrived)
            self._flagged.update(uid for uid in flagged if uid not in self._arrived)
            for uid in expunged:
                if uid in self._arrived:
                    self._arrived.discard(uid)
                else:
                    self._expunged.add(uid)
                self._flagged.discard(uid)
        self.wake()

    def wake(self) -> None:
        """Complete the signal, if somebody waits; from any thread."""
        signal = self._signal
        if signal is not None:
            loop = signal.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_complete, signal)


def _complete(signal: asyncio.Future[None]) -> None:
    if not signal.done():
        signal.set_result(None)
