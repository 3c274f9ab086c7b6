"""The queue as the process sees it that delivers: spool and database together, off the event loop.

The files say what was accepted, the database what is left to do. Order: a message's file is moved
to where the database's messages are after its rows are written; it is removed before they are. So
whatever moment a crash chooses, a message without rows is taken in again, and rows without a file
are of a message for which nothing was left to do.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from mailfront.errors import BackendError, OperatorError
from mailfront.queue.database import FIRST_NOTICE, NAME, QueueDatabase
from mailfront.queue.entry import (
    QueuedMail,
    QueuedRecipient,
    QueueSize,
    RecipientUpdate,
    Report,
    State,
)
from mailfront.queue.message_file import DamagedFileError, FileHeader, QueuedMessage, read_header
from mailfront.queue.spool import Spool

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# One transaction takes in so many messages.
BATCH = 500
# How often what was never accepted is looked for.
CLEARING_SECONDS = 3600.0
_MOST_TOLD = 1000

_log = logging.getLogger("mailfront.queue")

HopOf = Callable[[str], str]
"""The next hop of an address, as a text that is equal for those who share one."""


class MailQueue:
    """One process has it open. `hop_of` tells next hops; `first_notice` is the age in seconds at
    which a sender is first told that a recipient still waits. Methods raise `BackendError`
    (temporary) when the disk fails."""

    def __init__(self, spool: Spool, hop_of: HopOf, first_notice: Callable[[str], float]) -> None:
        self.spool = spool
        self.problems: list[str] = []
        self._told: set[str] = set()
        self._next_clearing = 0.0
        self._next_overdue = FIRST_NOTICE
        self._hop_of = hop_of
        self._first_notice = first_notice
        self._database: QueueDatabase | None = None
        # One thread: the order of changes is the order in which they are asked for.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="queue")
        # Opening a message reads all of it, which must not keep results from being written down.
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="queue-read")

    async def start(self) -> None:
        """Open the queue and put right what a crash left."""
        await self._run(self._start)

    async def close(self) -> None:
        """Close it once everything asked for is done."""
        await self._run(self._close)
        self._thread.shutdown()
        self._readers.shutdown()

    async def take_in(self) -> set[str]:
        """Take in messages that were accepted; return the next hops that have something new."""
        return await self._run(self._take_in)

    async def open(self, identifier: str) -> QueuedMessage:
        """Open a message; one that is damaged is set aside and raises `DamagedFileError`."""
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._readers, self.spool.open, identifier
            )
        except DamagedFileError:
            await self._run(self._set_aside, identifier)
            raise
        except FileNotFoundError as failure:
            raise DamagedFileError(f"{identifier}: the file of the message is gone") from failure
        except OSError as failure:
            raise BackendError(f"the queue: {failure}", temporary=True) from failure

    async def hops(self) -> list[tuple[str, float]]:
        """See `QueueDatabase.hops`."""
        return await self._run(lambda: self._opened.hops())

    async def next_attempt(self, hop: str, but_for: Sequence[str]) -> float | None:
        """See `QueueDatabase.next_attempt`."""
        return await self._run(lambda: self._opened.next_attempt(hop, but_for))

    async def due(
        self, hop: str, now: float, most: int, but_for: Sequence[str]
    ) -> QueuedMail | None:
        """See `QueueDatabase.due`."""
        return await self._run(lambda: self._opened.due(hop, now, most, but_for))

    async def find(self, identifier: str) -> QueuedMail | None:
        """See `QueueDatabase.find`."""
        return await self._run(lambda: self._opened.find(identifier))

    async def overdue(self, now: float, most: int) -> list[QueuedMail]:
        """See `QueueDatabase.overdue`. The next call goes on where this one ends, so that those
        for whom nothing is done keep nobody waiting; fewer than `most` are the last ones."""
        return await self._run(self._overdue, now, most)

    async def unreported(self, most: int, after: str = "") -> list[QueuedMail]:
        """See `QueueDatabase.unreported`."""
        return await self._run(lambda: self._opened.unreported(most, after))

    async def update(self, updates: Sequence[RecipientUpdate]) -> None:
        """See `QueueDatabase.update`."""
        await self._run(lambda: self._opened.update(updates))

    async def clear_reports(self, told: Sequence[QueuedRecipient]) -> None:
        """See `QueueDatabase.clear_reports`."""
        await self._run(lambda: self._opened.clear_reports(told))

    async def move_to_hop(self, rows: Sequence[int], hop: str) -> None:
        """See `QueueDatabase.move_to_hop`."""
        await self._run(lambda: self._opened.move_to_hop(rows, hop))

    async def remove_finished(self, among: Iterable[str]) -> int:
        """Remove those messages for which nothing is left to do; return how many."""
        return await self._run(self._remove_finished, list(among))

    async def delete(self, identifiers: Sequence[str]) -> int:
        """Remove messages whatever is left to do for them; return how many recipients they had."""
        return await self._run(self._remove, identifiers)

    async def hold(self, identifiers: Sequence[str]) -> int:
        """Hold messages; return how many recipients that concerns."""
        return await self._run(
            lambda: self._opened.change_state(identifiers, State.WAITING, State.HELD)
        )

    async def release(self, identifiers: Sequence[str]) -> int:
        """Release held messages; return how many recipients that concerns."""
        return await self._run(
            lambda: self._opened.change_state(identifiers, State.HELD, State.WAITING)
        )

    async def retry(self, identifiers: Sequence[str]) -> int:
        """Let messages be tried now; return how many recipients that concerns."""
        return await self._run(lambda: self._opened.try_at(identifiers, 0.0))

    async def select(self, domain: str) -> list[str]:
        """The names of all messages, or of those with something left for `domain`."""
        return await self._run(lambda: [each.identifier for each in self._opened.listing(domain)])

    async def size(self) -> QueueSize:
        """How much there is."""
        return await self._run(self._size)

    @property
    def _opened(self) -> QueueDatabase:
        if self._database is None:
            raise BackendError("the queue is not open", temporary=True)
        return self._database

    async def _run(
        self,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        work = functools.partial(function, *arguments, **named)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (OSError, sqlite3.Error) as failure:
            raise BackendError(f"the queue: {failure}", temporary=True) from failure
        except OperatorError as failure:
            raise BackendError(f"the queue: {failure}", temporary=False) from failure

    def _start(self) -> None:
        self.spool.create()
        self._forget_abandoned()
        self._database = self._sound_database()
        known = self._opened.identifiers()
        files = set(self.spool.known())
        lost = sorted(files - known)
        for first in range(0, len(lost), BATCH):
            self._add(lost[first : first + BATCH], from_new=False)
        if lost:
            _log.warning("queue: %d messages were not in the database; taken in again", len(lost))
        done = self._opened.finished()
        self._remove(done)
        missing = known - files - set(done) - set(self.spool.accepted(1_000_000))
        for name in sorted(missing):
            self._give_up(name, "the file of the message is gone")

    def _sound_database(self) -> QueueDatabase:
        path = self.spool.directory / NAME
        try:
            database = QueueDatabase(path)
            database.check()
        except sqlite3.OperationalError:
            # Locked, read-only, no room: nothing that a new one would mend.
            raise
        except sqlite3.DatabaseError as failure:
            aside = self.spool.set_aside(path)
            for suffix in ("-wal", "-shm"):
                if (log := path.with_name(path.name + suffix)).exists():
                    log.rename(aside.with_name(aside.name + suffix))
            self._tell(
                f"the database was damaged ({failure}); it is {aside} now, and made again from "
                "the messages: some may be delivered twice"
            )
            database = QueueDatabase(path)
        return database

    def _take_in(self) -> set[str]:
        self._forget_abandoned()
        hops: set[str] = set()
        passed: set[str] = set()
        # What stays in new/ because it cannot be read must not hide what comes behind it.
        while names := self.spool.accepted(BATCH, passed):
            hops |= self._add(names, from_new=True)
            passed.update(names)
            if len(names) < BATCH:
                break
        return hops

    def _forget_abandoned(self) -> None:
        now = time.monotonic()
        if now < self._next_clearing:
            return
        self._next_clearing = now + CLEARING_SECONDS
        if removed := self.spool.forget_abandoned():
            _log.info("queue: %d messages that were never accepted are removed", removed)

    def _add(self, names: Sequence[str], *, from_new: bool) -> set[str]:
        directory = self.spool.new if from_new else self.spool.messages
        arrivals: list[tuple[str, FileHeader, list[QueuedRecipient]]] = []
        for name in names:
            try:
                header = self._header(directory / name)
            except OSError as failure:
                # The others go on; this one is tried again.
                self._tell_once(f"{directory / name} cannot be taken in: {failure.strerror}")
                continue
            if header is not None:
                arrivals.append((name, header, self._recipients(header)))
        self._opened.add(arrivals)
        if from_new:
            self.spool.take_in(name for name, _, _ in arrivals)
        return {recipient.hop for _, _, each in arrivals for recipient in each}

    def _header(self, path: Path) -> FileHeader | None:
        """None for a file that is gone, or set aside because it is damaged."""
        try:
            return read_header(path)
        except FileNotFoundError:
            return None
        except DamagedFileError as failure:
            aside = self.spool.set_aside(path)
            self._tell(f"{failure}; set aside as {aside}")
            return None

    def _recipients(self, header: FileHeader) -> list[QueuedRecipient]:
        envelope = header.envelope
        return [
            QueuedRecipient(
                row=0,
                address=address,
                options=envelope.options_of(address),
                state=State.WAITING,
                hop=self._hop_of(address),
                next_attempt=header.arrived,
                next_notice=header.arrived + self._first_notice(address),
            )
            for address in envelope.recipients
        ]

    def _overdue(self, now: float, most: int) -> list[QueuedMail]:
        mails, self._next_overdue = self._opened.overdue(now, most, self._next_overdue)
        return mails

    def _set_aside(self, identifier: str) -> None:
        for directory in (self.spool.messages, self.spool.new):
            if (path := directory / identifier).exists():
                aside = self.spool.set_aside(path)
                self._tell(f"the message {identifier} is damaged; set aside as {aside}")

    def _give_up(self, identifier: str, why: str) -> None:
        mail = self._opened.find(identifier)
        if mail is None:
            return
        self._tell(f"{identifier}: {why}; its sender is told")
        self._opened.update([given_up(each, why) for each in mail.recipients])

    def _remove_finished(self, among: Sequence[str]) -> int:
        finished = self._opened.finished(among)
        self._remove(finished)
        return len(finished)

    def _remove(self, identifiers: Sequence[str]) -> int:
        if not identifiers:
            return 0
        self.spool.remove(identifiers)
        return self._opened.remove(identifiers)

    def _size(self) -> QueueSize:
        incoming = len(self.spool.accepted(1_000_000))
        return replace(self._opened.size(), incoming=incoming)

    def _tell(self, problem: str) -> None:
        _log.error("queue: %s", problem)
        self.problems = [*self.problems[-9:], f"queue: {problem}"]

    def _tell_once(self, problem: str) -> None:
        if problem not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(problem)
            self._tell(problem)

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None


def given_up(recipient: QueuedRecipient, why: str, status: str = "5.3.0") -> RecipientUpdate:
    """What giving up a recipient for good changes, unless it is done already."""
    if recipient.state not in (State.WAITING, State.HELD):
        return unchanged(recipient)
    return replace(
        unchanged(recipient), state=State.FAILED, text=why, status=status, report=Report.FAILED
    )


def unchanged(recipient: QueuedRecipient) -> RecipientUpdate:
    """The update that leaves a recipient as it is."""
    return RecipientUpdate(
        row=recipient.row,
        state=recipient.state,
        next_attempt=recipient.next_attempt,
        attempts=recipient.attempts,
        next_notice=recipient.next_notice,
        notices=recipient.notices,
        text=recipient.text,
        status=recipient.status,
        remote_host=recipient.remote_host,
        report=recipient.report,
    )
