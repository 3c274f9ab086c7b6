"""Ticket keys come from the shared store into the ring, and new ones into the store.

Takes the store, the seal and the ring; looks every `LOOK_INTERVAL` seconds. A key that is missing,
of this period or the next, is made by whoever comes first (SET NX), and all take what the store has
then. A key that the store lost is put back by those who know it. While the store is away the ring
goes on with what it has: the present key and the next one, so a period at least.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from mailfront.errors import SharedStoreUnavailableError
from mailfront.interfaces.tasks import start_task
from mailfront.sharing.sealed_key import KeySeal, SharedKey
from mailfront.sharing.ticket_ring import TicketRing
from mailfront.tls.session_tickets import TicketKey

LOOK_INTERVAL = 2.0

_log = logging.getLogger("mailfront.sharing")


class EntryStore(Protocol):
    """What is needed of the shared store."""

    def name(self, *parts: str) -> str:
        """Return the name of an entry of this site."""
        ...

    async def get(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under each name. Raises `SharedStoreUnavailableError`."""
        ...

    async def set_new(self, name: str, value: bytes, seconds: int) -> None:
        """Store `value` for so long, unless there is something already. Raises
        `SharedStoreUnavailableError`."""
        ...


class TicketDistribution:
    """Keeps `ring` in step with `store`. `lifetime` gives the seconds that a period is long.

    `problem` says what is wrong with the entries, empty if nothing is.
    """

    def __init__(
        self,
        store: EntryStore,
        seal: KeySeal,
        ring: TicketRing,
        lifetime: Callable[[], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.problem = ""
        self._store = store
        self._seal = seal
        self._ring = ring
        self._lifetime = lifetime
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, in the running event loop."""
        self._task = start_task(self._follow(), name="ticket keys")

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def look(self) -> None:
        """Fetch what is stored and add what is missing. Raises `SharedStoreUnavailableError`."""
        periods = self._ring.window()
        names = [self._name(period) for period in periods]
        entries = await self._store.get(names)
        missing = [
            period
            for period, entry in zip(periods, entries, strict=True)
            if entry is None and (period != periods[0] or self._ring.known(period) is not None)
        ]
        for period in missing:
            await self._offer(period)
        if missing:
            entries = await self._store.get(names)
        unfit = 0
        for period, name, entry in zip(periods, names, entries, strict=True):
            if entry is None:
                continue
            shared = self._seal.open(name, entry)
            if shared is None:
                unfit += 1
            else:
                self._ring.take(period, shared)
        self._judge(unfit)

    async def _offer(self, period: int) -> None:
        now = self._clock()
        shared = self._ring.known(period) or SharedKey(now, TicketKey(now))
        seconds = math.ceil(self._ring.seconds_of_use(period))
        if seconds > 0:
            name = self._name(period)
            await self._store.set_new(name, self._seal.seal(name, shared), seconds)

    def _judge(self, unfit: int) -> None:
        problem = (
            "the shared store holds ticket keys that this site did not seal; they are not used"
            if unfit
            else ""
        )
        if problem and not self.problem:
            _log.error(problem)
        self.problem = problem

    def _name(self, period: int) -> str:
        return self._store.name("ticket-key", str(int(self._lifetime())), str(period))

    async def _follow(self) -> None:
        while True:
            try:
                await self.look()
            except SharedStoreUnavailableError:
                pass  # The store tells of it; the ring goes on with what it has.
            except Exception:
                _log.exception("a look for ticket keys failed; the next follows")
            await asyncio.sleep(LOOK_INTERVAL)
