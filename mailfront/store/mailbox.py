"""One mailbox, shared by all sessions of the process: what `mailbox_contents` shows, and changes.

Every method may be called from any thread and blocks for as long as its work takes; see
`MailStore.perform` for what belongs in a thread. Nothing here is asynchronous but `refresh` and the
signal of a `Watch`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from mailfront.configuration.durable_file import sync_directory
from mailfront.store.changes import Watch
from mailfront.store.failure import storage_failures
from mailfront.store.flags import NO_FLAGS, FlagSet
from mailfront.store.mailbox_contents import MailboxContents, portions
from mailfront.store.maildir import Maildir, SpooledMessage
from mailfront.store.message_file import MessageFile
from mailfront.store.message_record import (
    CachedValues,
    FlagChange,
    MailboxStatus,
    MessageRecord,
    StoreOutcome,
)
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


class Mailbox(MailboxContents):
    """Made by `Account.open`; call `close` when done (the object is shared and counted)."""

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
        for portion in portions(uids):
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
        for portion in portions(uids):
            done, misplaced = self._storage.expunge(portion)
            removed += done
            if misplaced:
                self._storage.scan(full=True)
                removed += self._storage.expunge(misplaced)[0]
        self._publish()
        return sorted(removed)

    # For the account.

    def forget_abandoned(self) -> None:
        """Remove from `tmp/` what crashed writers left long ago."""
        with contextlib.suppress(OSError):
            self._storage.maildir.forget_abandoned()

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
