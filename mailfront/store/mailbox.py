"""One mailbox: messages by UID, their flags, bytes and cached values, and what changes.

One `Mailbox` object per mailbox and process is shared by all sessions (IMAP, POP3, webmail,
delivery). Every method may be called from any thread and blocks for as long as its work takes; see
`MailStore.perform` for what belongs in a thread. Nothing here is asynchronous but the signal of a
`Watch`.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import NamedTuple

from mailfront.store.changes import Watch
from mailfront.store.flags import NO_FLAGS, FlagSet
from mailfront.store.message_file import MessageFile


class MessageRecord(NamedTuple):
    """What the index knows of a message without opening its file.

    `size` in octets with CRLF line ends; `internal_date` in seconds since the epoch; `modseq` is
    the modification sequence of its last flag change (RFC 7162).
    """

    uid: int
    size: int
    internal_date: int
    flags: FlagSet
    modseq: int


class MailboxStatus(NamedTuple):
    """The counts of STATUS (RFC 9051 section 6.3.11); `size` is the sum of all message sizes."""

    messages: int
    unseen: int
    deleted: int
    size: int
    uid_next: int
    uid_validity: int
    highest_modseq: int
    recent: int


class FlagChange(Enum):
    """What STORE does with the flags it names."""

    ADD = "+FLAGS"
    REMOVE = "-FLAGS"
    REPLACE = "FLAGS"


class StoreOutcome(NamedTuple):
    """UIDs whose flags changed, and those refused because they changed after `unchanged_since`
    (RFC 7162 section 3.1.3). UIDs that are gone are in neither."""

    changed: list[int]
    modified: list[int]


class CachedValues(NamedTuple):
    """Values computed once from a message's bytes and kept in the index; None is "not computed".

    `envelope` and `body_structure` are finished response bytes; `header` is the raw header block
    for searching and HEADER.FIELDS (the engine decides up to which size it is worth keeping).
    """

    envelope: bytes | None = None
    body_structure: bytes | None = None
    header: bytes | None = None


class SpooledMessage:
    """A message that is being received into the mailbox's `tmp/`; from `Mailbox.spool`.

    `write` each piece (in order), then `Mailbox.append_file`; `discard` if it comes to nothing.
    """

    def write(self, data: bytes) -> None:
        """Append a piece; does not wait for the disk."""
        raise NotImplementedError

    @property
    def size(self) -> int:
        """Octets written so far."""
        raise NotImplementedError

    def discard(self) -> None:
        """Remove what was written; harmless when the message has been appended."""
        raise NotImplementedError


class Mailbox:
    """Made by `Account.open`; call `close` when done (the object is shared and counted)."""

    @property
    def name(self) -> str:
        """The name as clients see it (it follows a RENAME)."""
        raise NotImplementedError

    @property
    def exists(self) -> bool:
        """False once the mailbox has been deleted under its sessions."""
        raise NotImplementedError

    @property
    def uid_validity(self) -> int:
        """RFC 9051 section 2.3.1.1."""
        raise NotImplementedError

    @property
    def uid_next(self) -> int:
        """Larger than any UID ever given in this mailbox."""
        raise NotImplementedError

    @property
    def highest_modseq(self) -> int:
        """The modification sequence of the last change (RFC 7162)."""
        raise NotImplementedError

    @property
    def keywords(self) -> tuple[str, ...]:
        """All keywords ever used in this mailbox, for the FLAGS answer of SELECT."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back one `Account.open`; the last one frees the memory and the index."""
        raise NotImplementedError

    def synchronise(self) -> None:
        """Take in what other programs and processes did to the Maildir and the index.

        Costs three `stat` calls when nothing changed. Watches learn of what was found.
        """
        raise NotImplementedError

    async def refresh(self) -> None:
        """`synchronise`, inline when nothing changed on disk, else in a thread."""
        raise NotImplementedError

    def watch(self) -> Watch:
        """Begin a session's view: its UIDs now, and every change from now on."""
        raise NotImplementedError

    def unwatch(self, watch: Watch) -> None:
        """End a session's view."""
        raise NotImplementedError

    def claim_recent(self) -> range:
        """UIDs that no session was told of yet, now claimed as this session's `\\Recent`."""
        raise NotImplementedError

    def uids(self) -> array[int]:
        """A copy of all UIDs, ascending (type code `I`)."""
        raise NotImplementedError

    def record(self, uid: int) -> MessageRecord | None:
        """The record of one message, or None if it is gone."""
        raise NotImplementedError

    def records(self, uids: Iterable[int]) -> Iterator[MessageRecord]:
        """The records of those of `uids` that are still there, in the order given."""
        raise NotImplementedError

    def status(self) -> MailboxStatus:
        """Counts of the mailbox as last synchronised."""
        raise NotImplementedError

    def uids_with(self, bits: int) -> list[int]:
        """UIDs of messages that have all these system flag bits (`flags.DELETED`, …)."""
        raise NotImplementedError

    def uids_without(self, bits: int) -> list[int]:
        """UIDs of messages that have none of these system flag bits."""
        raise NotImplementedError

    def uids_changed_since(self, modseq: int) -> list[int]:
        """UIDs whose modification sequence is greater (CHANGEDSINCE of RFC 7162)."""
        raise NotImplementedError

    def expunged_since(self, modseq: int) -> list[int] | None:
        """UIDs expunged after `modseq` (QRESYNC), or None if that is too long ago to know."""
        raise NotImplementedError

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
        raise NotImplementedError

    def append_file(
        self, spooled: SpooledMessage, flags: FlagSet = NO_FLAGS, internal_date: int | None = None
    ) -> int:
        """Like `append` for a message that `spool` has taken piece by piece."""
        raise NotImplementedError

    def spool(self) -> SpooledMessage:
        """Begin a message whose bytes arrive piece by piece (a literal of unknown patience)."""
        raise NotImplementedError

    def copy_to(self, uids: Sequence[int], target: Mailbox) -> list[tuple[int, int]]:
        """Copy messages with flags and dates; all or none of those that still exist.

        Returns (UID here, UID there) pairs in ascending order.
        """
        raise NotImplementedError

    def move_to(self, uids: Sequence[int], target: Mailbox) -> list[tuple[int, int]]:
        """Move messages; pairs as in `copy_to`. No message is ever in both or in neither."""
        raise NotImplementedError

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
        raise NotImplementedError

    def expunge(self, uids: Sequence[int]) -> list[int]:
        """Remove messages for good; return the UIDs removed by this call."""
        raise NotImplementedError

    def read(self, uid: int) -> bytes:
        """The whole message, CRLF line ends. Raises `MessageGoneError`."""
        raise NotImplementedError

    def open_message(self, uid: int) -> MessageFile:
        """Open a message for reading in parts; a context manager. Raises `MessageGoneError`."""
        raise NotImplementedError

    def cached_values(self, uids: Sequence[int]) -> dict[int, CachedValues]:
        """The cached values of those of `uids` that have any. Ask for some hundreds at a time."""
        raise NotImplementedError

    def set_cached_values(self, values: Mapping[int, CachedValues]) -> None:
        """Keep computed values, one transaction for all; None fields leave what is there."""
        raise NotImplementedError
