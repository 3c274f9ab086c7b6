"""One mailbox: messages by UID, their flags, bytes and cached values, and what changes.

One `Mailbox` object per mailbox and process is shared by all sessions (IMAP, POP3, webmail,
delivery). Every method may be called from any thread and blocks for as long as its work takes; see
`MailStore.perform` for what belongs in a thread. Nothing here is asynchronous but `refresh` and the
signal of a `Watch`.

What is in memory follows the index: after each of our own transactions, and whenever another
process has committed, the rows with a newer modification sequence are read and told to the watches.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from mailfront.configuration.durable_file import sync_directory
from mailfront.errors import MailboxError, MessageGoneError
from mailfront.store.changes import Watch
from mailfront.store.failure import storage_failures
from mailfront.store.flags import NO_FLAGS, FlagSet
from mailfront.store.index import FileRow, Index
from mailfront.store.maildir import Maildir, SpooledMessage
from mailfront.store.message_file import MessageFile
from mailfront.store.message_record import (
    CachedValues,
    FlagChange,
    MailboxStatus,
    MessageRecord,
    StoreOutcome,
)
from mailfront.store.message_table import MessageTable
from mailfront.store.storage import Append, MailboxStorage
from mailfront.store.transfer import Transferred, copy, move

__all__ = [
    "Append",
    "CachedValues",
    "FlagChange",
    "Mailbox",
    "MailboxStatus",
    "MessageFile",
    "MessageRecord",
    "SpooledMessage",
    "StoreOutcome",
    "Watch",
]

# So many messages change in one transaction: other sessions get their turn in between.
MESSAGES_PER_TRANSACTION = 500
ATTEMPTS_TO_OPEN = 3


class MailboxOwner(Protocol):
    """What a mailbox needs of its account."""

    async def in_thread(self, work: Callable[[], None]) -> None:
        """Do long work without stopping the event loop."""
        ...

    def mailbox_closed(self, mailbox: Mailbox) -> None:
        """Count one user of the mailbox less."""
        ...

    def watch_outside(self, mailbox: Mailbox, *, waiting: bool) -> None:
        """Begin or end polling for changes of other processes."""
        ...


class Mailbox:
    """Made by `Account.open`; call `close` when done (the object is shared and counted)."""

    def __init__(
        self, owner: MailboxOwner, name: str, path: Path, new_uid_validity: Callable[[], int]
    ) -> None:
        self._owner = owner
        self._name = name
        self._new_uid_validity = new_uid_validity
        self._exists = True
        self._index = Index(path, new_uid_validity)
        self._lock = self._index.lock
        self._storage = MailboxStorage(Maildir(path), self._index)
        self._table = MessageTable()
        self._watches: set[Watch] = set()
        self._waiting: set[Watch] = set()
        self._index.make_durable()
        with self._index.snapshot() as self._counters:
            self._table.load(self._index.summaries())
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
        with self._lock:
            return self._index.keywords()

    def close(self) -> None:
        """Give back one `Account.open`; the last one frees the memory and the index."""
        self._owner.mailbox_closed(self)

    # --- changes of others ------------------------------------------------------------------

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
        """`synchronise`, inline when nothing changed on disk, else in a thread."""
        if self.has_news():
            await self._owner.in_thread(self.synchronise)

    def has_news(self) -> bool:
        """Whether `synchronise` would find something; True too while a thread is at work here."""
        if not self._exists or not self._lock.acquire(blocking=False):
            return self._exists
        try:
            return (
                not self._storage.is_present()
                or self._index.counters() != self._counters
                or self._storage.has_news()
            )
        except OSError:
            return True
        finally:
            self._lock.release()

    def watch(self) -> Watch:
        """Begin a session's view: its UIDs now, and every change from now on."""
        with self._lock:
            watch = Watch(array("I", self._table.uids), self._watch_waits)
            self._watches.add(watch)
        return watch

    def unwatch(self, watch: Watch) -> None:
        """End a session's view."""
        watch.silence()
        with self._lock:
            self._watches.discard(watch)

    @storage_failures
    def claim_recent(self) -> range:
        r"""UIDs that no session was told of yet, now claimed as this session's `\Recent`."""
        with self._lock:
            if self._index.counters().first_recent >= self._counters.uid_next:
                return range(0)
            with self._index.transaction():
                first = self._index.counters().first_recent
                self._index.set_first_recent(max(first, self._counters.uid_next))
            self._counters = self._counters._replace(first_recent=self._counters.uid_next)
            return range(first, self._counters.uid_next)

    # --- reading ----------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._table)

    def uids(self) -> array[int]:
        """A copy of all UIDs, ascending (type code `I`)."""
        with self._lock:
            return array("I", self._table.uids)

    def record(self, uid: int) -> MessageRecord | None:
        """The record of one message, or None if it is gone."""
        with self._lock:
            position = self._table.position(uid)
            return None if position is None else self._table.record(position)

    def records(self, uids: Iterable[int]) -> Iterator[MessageRecord]:
        """The records of those of `uids` that are still there, in the order given."""
        for portion in _portions(uids if isinstance(uids, Sequence) else list(uids)):
            with self._lock:
                positions = [self._table.position(uid) for uid in portion]
                records = [self._table.record(p) for p in positions if p is not None]
            yield from records

    def uids_and_sizes(self) -> tuple[array[int], array[int]]:
        """Copies of the columns of UIDs (ascending) and of sizes, for a POP3 session."""
        with self._lock:
            return array("I", self._table.uids), array("Q", self._table.sizes)

    def status(self) -> MailboxStatus:
        """Counts of the mailbox as last synchronised."""
        with self._lock:
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
        with self._lock:
            return self._table.uids_where(bits, bits)

    def uids_without(self, bits: int) -> list[int]:
        """UIDs of messages that have none of these system flag bits."""
        with self._lock:
            return self._table.uids_where(bits, 0)

    def uids_changed_since(self, modseq: int) -> list[int]:
        """UIDs whose modification sequence is greater (CHANGEDSINCE of RFC 7162)."""
        with self._lock:
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

    # --- changing ---------------------------------------------------------------------------

    @storage_failures
    def spool(self) -> SpooledMessage:
        """Begin a message whose bytes arrive piece by piece."""
        self._require_existence()
        return self._storage.maildir.spool()

    @storage_failures
    def append(
        self,
        chunks: Iterable[bytes],
        flags: FlagSet = NO_FLAGS,
        internal_date: int | None = None,
    ) -> int:
        """Store a message durably and return its UID. For a thread: it waits for the disk.

        `internal_date` in seconds since the epoch, None for now. Raises `MailboxError` (LIMIT) for
        too many keywords, `BackendError` (temporary) when the disk refuses; then nothing is left.
        """
        self._require_existence()
        return self.append_file(self._storage.maildir.spool(chunks), flags, internal_date)

    def append_file(
        self, spooled: SpooledMessage, flags: FlagSet = NO_FLAGS, internal_date: int | None = None
    ) -> int:
        """Like `append` for a message that `spool` has taken piece by piece."""
        return self.append_files([Append(spooled, flags, internal_date)])[0]

    @storage_failures
    def append_files(self, messages: Sequence[Append]) -> list[int]:
        """Append several messages, all or none (MULTIAPPEND, RFC 3502). Failure discards them."""
        try:
            self._require_existence()
            uids = self._storage.append(messages)
        finally:
            for message in messages:
                message.spooled.discard()
        try:
            sync_directory(self._storage.maildir.cur)
            self._index.make_durable()
        except OSError:
            # The client will hear that it failed, so the message must not be there.
            self._storage.expunge(uids)
            raise
        finally:
            self._publish()
        return uids

    @storage_failures
    def copy_to(self, uids: Sequence[int], target: Mailbox) -> list[tuple[int, int]]:
        """Copy messages with flags and dates; all or none of those that still exist.

        Returns (UID here, UID there) pairs in ascending order.
        """
        self._require_existence()
        target._require_existence()
        copied = self._transfer(copy, uids, target)
        sync_directory(target._storage.maildir.cur)
        target._publish()
        return copied

    @storage_failures
    def move_to(self, uids: Sequence[int], target: Mailbox) -> list[tuple[int, int]]:
        """Move messages; pairs as in `copy_to`. No message is ever in both or in neither."""
        if target is self:
            pairs = self.copy_to(uids, target)
            self.expunge([uid for uid, _ in pairs])
            return pairs
        self._require_existence()
        target._require_existence()
        pairs = self._transfer(move, uids, target)
        sync_directory(target._storage.maildir.cur)
        sync_directory(self._storage.maildir.cur)
        target._publish()
        self._publish()
        return pairs

    @storage_failures
    def store_flags(
        self,
        uids: Sequence[int],
        change: FlagChange,
        flags: FlagSet,
        unchanged_since: int | None = None,
    ) -> StoreOutcome:
        """Change flags. A session that answers its client itself calls `Watch.acknowledge`.

        Raises `MailboxError` (LIMIT) when the keywords would be too many.
        """
        self._require_existence()
        changed: list[int] = []
        modified: list[int] = []
        for portion in _portions(uids):
            outcome = self._storage.store_flags(portion, change, flags, unchanged_since)
            changed += outcome.changed
            modified += outcome.modified
            if outcome.misplaced:
                self._storage.scan(full=True)
                again = self._storage.store_flags(outcome.misplaced, change, flags, unchanged_since)
                changed += again.changed
                modified += again.modified
        self._publish()
        return StoreOutcome(sorted(changed), sorted(modified))

    @storage_failures
    def expunge(self, uids: Sequence[int]) -> list[int]:
        """Remove messages for good; return the UIDs removed by this call."""
        self._require_existence()
        removed: list[int] = []
        for portion in _portions(uids):
            done, misplaced = self._storage.expunge(portion)
            removed += done
            if misplaced:
                self._storage.scan(full=True)
                removed += self._storage.expunge(misplaced)[0]
        self._publish()
        return sorted(removed)

    # --- for the account ----------------------------------------------------------------------

    def release(self) -> None:
        """Free the index; the account calls it when nobody uses the mailbox any more."""
        self._index.close()

    def forget_abandoned(self) -> None:
        """Remove from `tmp/` what crashed writers left long ago."""
        with contextlib.suppress(OSError):
            self._storage.maildir.forget_abandoned()

    def mark_deleted(self) -> None:
        """The mailbox is gone from the disk: tell everybody who waits."""
        with self._lock:
            self._exists = False
            for watch in self._watches:
                watch.wake()

    def relocate(self, name: str, path: Path, rename: Callable[[], None]) -> None:
        """Follow a RENAME: `rename` moves the directory while the index is closed."""
        with self._lock:
            self._index.close()
            try:
                rename()
                self._name = name
            except BaseException:
                path = self._storage.maildir.path
                raise
            finally:
                self._index.reopen(path)
                self._storage.maildir = Maildir(path)

    # --- inside -------------------------------------------------------------------------------

    def _require_existence(self) -> None:
        if not self._exists:
            raise MailboxError("the mailbox has been deleted", code="NONEXISTENT")

    def _still_exists(self) -> bool:
        if self._exists and not self._storage.is_present():
            self.mark_deleted()
        return self._exists

    def _transfer(
        self,
        transfer: Callable[[MailboxStorage, MailboxStorage, Sequence[int]], Transferred],
        uids: Sequence[int],
        target: Mailbox,
    ) -> list[tuple[int, int]]:
        outcome = transfer(self._storage, target._storage, uids)
        pairs = outcome.pairs
        if outcome.misplaced:
            self._storage.scan(full=True)
            pairs += transfer(self._storage, target._storage, outcome.misplaced).pairs
        return sorted(pairs)

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
                    if counters.modseq != self._counters.modseq:
                        self._take_in_rows(counters.expunged_floor)
                    self._counters = counters
                    return
            # A UID that a client may remember must not be lost with the machine.
            self._index.make_durable()
            with self._lock:
                self._durable_uid_next = max(self._durable_uid_next, counters.uid_next)

    def _take_in_rows(self, expunged_floor: int) -> None:
        since = self._counters.modseq
        if since < expunged_floor:
            rows = self._index.summaries()
            expunged = sorted(set(self._table.uids) - {row.uid for row in rows})
            rows = [row for row in rows if row.modseq > since]
        else:
            rows = self._index.summaries(since)
            expunged = self._index.expunged_since(since)
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


def _portions(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(uids), MESSAGES_PER_TRANSACTION):
        yield uids[start : start + MESSAGES_PER_TRANSACTION]
