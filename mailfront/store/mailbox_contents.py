"""What a mailbox shows: messages by UID, their bytes and cached values, and what changes.

What is in memory follows the index: after each of our own transactions, and whenever another
process has committed, the rows with a newer modification sequence are read and told to the watches.
The changing half is `mailbox.Mailbox`.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from mailfront.errors import MailboxError, MessageGoneError
from mailfront.store.changes import Watch
from mailfront.store.failure import storage_failures
from mailfront.store.index import Counters, FileRow, Index, SummaryRow
from mailfront.store.maildir import Maildir
from mailfront.store.message_file import MessageFile
from mailfront.store.message_record import CachedValues, MailboxStatus, MessageRecord
from mailfront.store.message_table import MessageTable
from mailfront.store.storage import MailboxStorage

# So many messages are looked at, or changed in one transaction, before others get their turn.
MESSAGES_AT_A_TIME = 500
ATTEMPTS_TO_OPEN = 3


class MailboxOwner(Protocol):
    """What a mailbox needs of its account."""

    async def in_thread(self, work: Callable[[], None]) -> None:
        """Do long work without stopping the event loop."""
        ...

    def mailbox_closed(self, mailbox: MailboxContents) -> None:
        """Count one user of the mailbox less."""
        ...

    def let_go(self, mailbox: MailboxContents) -> None:
        """Close a mailbox that nobody uses."""
        ...

    def watch_outside(self, mailbox: MailboxContents, *, waiting: bool) -> None:
        """Begin or end polling for changes of other processes."""
        ...


class MailboxContents:
    """The reading half of `Mailbox`, and the memory that both halves share."""

    def __init__(
        self, owner: MailboxOwner, name: str, path: Path, new_uid_validity: Callable[[], int]
    ) -> None:
        self._owner = owner
        self._name = name
        self._new_uid_validity = new_uid_validity
        self._exists = True
        self._index = Index(path, new_uid_validity)
        # Held while the index is used, which may take as long as a COPY of everything does.
        self._lock = self._index.lock
        # Held for a moment, for what is in memory; the event loop waits for no other lock. Taken
        # last where both are.
        self._memory = threading.Lock()
        self._storage = MailboxStorage(Maildir(path), self._index)
        self._table = MessageTable()
        self._watches: set[Watch] = set()
        self._waiting: set[Watch] = set()
        self._index.make_durable()
        with self._index.snapshot() as self._counters:
            self._table.load(self._index.all_summaries())
            self._keywords = self._index.keywords()
        self._durable_uid_next = self._counters.uid_next

    @property
    def name(self) -> str:
        """The name as clients see it (it follows a RENAME)."""
        return self._name

    @property
    def exists(self) -> bool:
        """False once the mailbox has been deleted under its sessions."""
        return self._exists

    @property
    def uid_validity(self) -> int:
        """RFC 9051 section 2.3.1.1."""
        return self._counters.uid_validity

    @property
    def uid_next(self) -> int:
        """Larger than any UID ever given in this mailbox."""
        return self._counters.uid_next

    @property
    def highest_modseq(self) -> int:
        """The modification sequence of the last change (RFC 7162)."""
        return self._counters.modseq

    @property
    def keywords(self) -> tuple[str, ...]:
        """All keywords ever used in this mailbox, for the FLAGS answer of SELECT."""
        return self._keywords

    def close(self) -> None:
        """Give back one `Account.open`."""
        self._owner.mailbox_closed(self)

    # Changes of others.

    @storage_failures
    def synchronise(self) -> None:
        """Take in what other programs and processes did to the Maildir and the index.

        Costs some `stat` calls and one index look-up when nothing changed. Watches learn of what
        was found.
        """
        if self._still_exists():
            self._storage.scan()
            self._publish()

    async def refresh(self) -> None:
        """`synchronise`, inline when nothing changed on disk, else in a thread.

        While another thread is at work here, this does nothing: that one tells what it did, and
        what others did is found the next time.
        """
        with self.held() as free:
            needed = free and self.has_news()
        if needed:
            await self._owner.in_thread(self.synchronise)

    def has_news(self) -> bool:
        """Whether `synchronise` would find something; True too while a thread is at work here."""
        if not self._exists or not self._lock.acquire(blocking=False):
            return self._exists
        try:
            return self._storage.has_news(self._counters)
        except (OSError, sqlite3.Error):
            # Whoever looks closer will say what is wrong.
            return True
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Whether no thread is at work on the mailbox; if so, none begins within the block."""
        free = self._lock.acquire(blocking=False)
        try:
            yield free
        finally:
            if free:
                self._lock.release()

    def watch(self) -> Watch:
        """Begin a session's view: its UIDs now, and every change from now on."""
        with self._memory:
            watch = Watch(array("I", self._table.uids), self._watch_waits)
            self._watches.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """End a session's view."""
        watch.silence()
        with self._memory:
            self._watches.discard(watch)

    @storage_failures
    def claim_recent(self) -> range:
        r"""UIDs that no session was told of yet, now claimed as this session's `\Recent`. None if
        another thread is at work here: they are for the next who asks."""
        if self._counters.first_recent >= self._counters.uid_next:
            return range(0)
        with self.held() as free:
            if not free:
                return range(0)
            with self._index.transaction():
                first = self._index.counters().first_recent
                self._index.set_first_recent(max(first, self._counters.uid_next))
            with self._memory:
                self._counters = self._counters._replace(first_recent=self._counters.uid_next)
            return range(first, self._counters.uid_next)

    # Reading.

    def __len__(self) -> int:
        return len(self._table)

    def uids(self) -> array[int]:
        """A copy of all UIDs, ascending (type code `I`)."""
        with self._memory:
            return array("I", self._table.uids)

    def record(self, uid: int) -> MessageRecord | None:
        """The record of one message, or None if it is gone."""
        with self._memory:
            position = self._table.position(uid)
            return None if position is None else self._table.record(position)

    def records(self, uids: Iterable[int]) -> Iterator[MessageRecord]:
        """The records of those of `uids` that are still there, in the order given."""
        for portion in portions(uids if isinstance(uids, Sequence) else list(uids)):
            with self._memory:
                positions = [self._table.position(uid) for uid in portion]
                records = [self._table.record(p) for p in positions if p is not None]
            yield from records

    def uids_and_sizes(self) -> tuple[array[int], array[int]]:
        """Copies of the columns of UIDs (ascending) and of sizes, for a POP3 session."""
        with self._memory:
            return array("I", self._table.uids), array("Q", self._table.sizes)

    def status(self) -> MailboxStatus:
        """Counts of the mailbox as last synchronised."""
        with self._memory:
            return MailboxStatus(
                messages=len(self._table),
                unseen=self._table.unseen(),
                deleted=self._table.deleted(),
                size=self._table.total_size(),
                uid_next=self._counters.uid_next,
                uid_validity=self._counters.uid_validity,
                highest_modseq=self._counters.modseq,
                recent=self._table.count_from(self._counters.first_recent),
            )

    def uids_with(self, bits: int) -> list[int]:
        """UIDs of messages that have all these system flag bits (`flags.DELETED`, …)."""
        with self._memory:
            return self._table.uids_where(bits, bits)

    def uids_without(self, bits: int) -> list[int]:
        """UIDs of messages that have none of these system flag bits."""
        with self._memory:
            return self._table.uids_where(bits, 0)

    def first_uid_without(self, bits: int) -> int | None:
        """The lowest UID of a message that has none of these system flag bits."""
        with self._memory:
            return self._table.first_uid_where(bits, 0)

    def uids_changed_since(self, modseq: int) -> list[int]:
        """UIDs whose modification sequence is greater (CHANGEDSINCE of RFC 7162)."""
        with self._memory:
            return self._table.uids_changed_since(modseq)

    def expunged_since(self, modseq: int) -> list[int] | None:
        """UIDs expunged after `modseq` (QRESYNC), or None if that is too long ago to know."""
        with self._lock:
            if modseq < self._counters.expunged_floor:
                return None
            return self._index.expunged_since(modseq)

    @storage_failures
    def read(self, uid: int) -> bytes:
        """The whole message, CRLF line ends. Raises `MessageGoneError`."""
        with self._open(uid) as file:
            return file.read()

    @storage_failures
    def open_message(self, uid: int) -> MessageFile:
        """Open a message for reading in parts; a context manager. Raises `MessageGoneError`."""
        return self._open(uid)

    @storage_failures
    def cached_values(self, uids: Sequence[int]) -> dict[int, CachedValues]:
        """The cached values of those of `uids` that have any. Ask for some hundreds at a time."""
        with self._lock:
            return self._index.cached_values(uids)

    @storage_failures
    def set_cached_values(self, values: Mapping[int, CachedValues]) -> None:
        """Keep computed values, one transaction for all; None fields leave what is there."""
        with self._index.transaction():
            self._index.set_cached_values(values)

    # For the changing half and the account.

    def rest(self) -> None:
        """Nobody uses the mailbox at the moment: free what is easily had again."""
        with self.held() as free:
            if free:
                self._index.shrink()

    def let_go(self) -> None:
        """Close the mailbox, unless somebody uses it again."""
        self._owner.let_go(self)

    def release(self) -> None:
        """Free the index; the account calls it when nobody uses the mailbox any more."""
        self._index.close()

    def mark_deleted(self) -> None:
        """The mailbox is gone from the disk: tell everybody who waits."""
        with self._memory:
            self._exists = False
            for watch in self._watches:
                watch.wake()

    def _require_existence(self) -> None:
        if not self._exists:
            raise MailboxError("the mailbox has been deleted", code="NONEXISTENT")

    def _still_exists(self) -> bool:
        if self._exists and not self._storage.is_present():
            self.mark_deleted()
        return self._exists

    def _open(self, uid: int) -> MessageFile:
        for attempt in range(ATTEMPTS_TO_OPEN):
            with self._lock:
                rows = self._index.file_rows([uid])
            if not rows:
                break
            with contextlib.suppress(FileNotFoundError):
                return MessageFile(self._stream(rows[0]), rows[0].size, bare_lf=rows[0].bare_lf)
            # Renamed between the look-up and now, by us; the second time, by somebody else.
            if attempt and self._still_exists():
                self._storage.scan(full=True)
                self._publish()
        raise MessageGoneError(uid)

    def _stream(self, row: FileRow) -> BinaryIO:
        return self._storage.maildir.file(row.key, row.letters).open("rb")

    def _publish(self) -> None:
        while True:
            with self._index.snapshot() as counters:
                if counters.uid_next <= self._durable_uid_next:
                    if counters != self._counters:
                        self._take_in(counters)
                    return
            # A UID that a client may remember must not be lost with the machine.
            self._index.make_durable()
            with self._lock:
                self._durable_uid_next = max(self._durable_uid_next, counters.uid_next)

    def _take_in(self, counters: Counters) -> None:
        since = self._counters.modseq
        rows: list[SummaryRow] = []
        expunged: list[int] = []
        if since < counters.expunged_floor:
            rows = self._index.summaries()
            expunged = sorted(set(self._table.uids) - {row.uid for row in rows})
            rows = [row for row in rows if row.modseq > since]
        elif since != counters.modseq:
            rows = self._index.summaries(since)
            expunged = self._index.expunged_since(since)
        keywords = self._index.keywords()
        with self._memory:
            self._counters = counters
            self._keywords = keywords
            applied = self._table.apply(rows, expunged)
            for watch in self._watches:
                watch.record(
                    expunged=applied.expunged, arrived=applied.arrived, flagged=applied.flagged
                )

    def _watch_waits(self, watch: Watch, waiting: bool) -> None:
        if waiting:
            self._waiting.add(watch)
        else:
            self._waiting.discard(watch)
        self._owner.watch_outside(self, waiting=bool(self._waiting))


def portions(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    """`uids` in slices of at most `MESSAGES_AT_A_TIME`."""
    for start in range(0, len(uids), MESSAGES_AT_A_TIME):
        yield uids[start : start + MESSAGES_AT_A_TIME]
