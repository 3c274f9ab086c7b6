"""A selected mailbox as one session sees it: sequence numbers, `\\Recent`, what it was told.

Sequence numbers change only when the session says so to its client (RFC 3501 §7.4.1), whatever
happens to the mailbox meanwhile. The cost of every update follows the number of changes, not their
product with the size of the mailbox.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.sequence_set import SequenceSet
from mailfront.protocol.mime.scan import Part
from mailfront.store.changes import Watch
from mailfront.store.flags import SYSTEM_FLAGS, FlagSet
from mailfront.store.mailbox import Mailbox

# Removing one by one moves the rest of the array each time; above this it is built anew.
_FEW = 8
_REMEMBERED_FLAG_SETS = 1000


class View:
    """Made by SELECT and EXAMINE; `close` gives the mailbox back."""

    __slots__ = (
        "_arrived", "_flag_bytes", "_flagged", "keywords", "mailbox", "read_only", "recent",
        "scanned", "uids", "watch",
    )  # fmt: skip

    def __init__(self, mailbox: Mailbox, *, read_only: bool) -> None:
        self.mailbox = mailbox
        self.read_only = read_only
        self.watch: Watch = mailbox.watch()
        self.uids: array[int] = self.watch.uids
        self.recent: set[int] = set()
        self.keywords = mailbox.keywords
        # The structure of the message whose parts were read last: clients fetch large parts in
        # slices, and each slice would scan the whole message again.
        self.scanned: tuple[int, Part] | None = None
        self._arrived: set[int] = set()
        self._flagged: set[int] = set()
        self._flag_bytes: dict[tuple[FlagSet, bool], bytes] = {}
        self.claim_recent()

    def close(self) -> None:
        """End the view; the object is not used again."""
        self.watch.silence()
        self.mailbox.unwatch(self.watch)
        self.mailbox.close()

    def claim_recent(self) -> None:
        r"""Take messages that no session was told of as this one's `\Recent`; EXAMINE only takes
        note of none, because it may not change anything (RFC 3501 §6.3.2)."""
        if not self.read_only:
            self.recent.update(self.mailbox.claim_recent())

    def number(self, uid: int) -> int | None:
        """The sequence number of a UID, None if this session does not know it."""
        index = bisect_left(self.uids, uid)
        if index < len(self.uids) and self.uids[index] == uid:
            return index + 1
        return None

    def by_numbers(self, messages: SequenceSet) -> list[int]:
        """UIDs for a set of sequence numbers.

        Raises `ImapSyntaxError` for numbers that no message has, as RFC 3501 §9 demands
        (`seq-number`).
        """
        count = len(self.uids)
        if messages.largest() > count or (not count and messages.has_last()):
            raise ImapSyntaxError("No message has such a number")
        return self._slices((low - 1, high) for low, high in messages.ranges(count))

    def by_present_numbers(self, messages: SequenceSet) -> list[int]:
        """UIDs for those sequence numbers of a set that exist, for SEARCH: there a number is a
        condition that no message meets, not a mistake."""
        count = len(self.uids)
        return self._slices((low - 1, high) for low, high in messages.ranges(count) if count)

    def by_uids(self, messages: SequenceSet) -> list[int]:
        """Those UIDs of a set that this session knows."""
        if not self.uids:
            return []
        ranges = messages.ranges(self.uids[-1])
        return self._slices(
            (bisect_left(self.uids, low), bisect_right(self.uids, high)) for low, high in ranges
        )

    def select(self, messages: SequenceSet, *, uid: bool) -> list[int]:
        """UIDs for the set of a command or of its UID form."""
        return self.by_uids(messages) if uid else self.by_numbers(messages)

    def flags(self, flags: FlagSet, uid: int) -> bytes:
        r"""`FLAGS (…)`, `\Recent` included."""
        key = (flags, uid in self.recent)
        known = self._flag_bytes.get(key)
        if known is None:
            if len(self._flag_bytes) >= _REMEMBERED_FLAG_SETS:
                self._flag_bytes.clear()
            names = flags.names() + (["\\Recent"] if key[1] else [])
            known = self._flag_bytes[key] = b"FLAGS (" + " ".join(names).encode() + b")"
        return known

    def collect(self) -> None:
        """Take over what the watch has, without expunged messages, which keep their numbers."""
        changes = self.watch.take(expunges=False)
        self._arrived.update(changes.arrived)
        self._flagged.update(changes.flagged)

    def told(self, uids: Sequence[int]) -> None:
        """The flags of these have just been sent."""
        self._flagged.difference_update(uids)
        self.watch.acknowledge(uids)

    def updates(self, *, expunges: bool) -> Iterator[bytes]:
        """Responses for everything that changed; with `expunges` False, none that would change
        the numbers of messages."""
        self.collect()
        if expunges:
            yield from self._expunges(self.watch.take().expunged)
        yield from self._arrivals()
        yield from self._flag_changes()

    def flag_names(self) -> bytes:
        """The flags that messages here may have, for FLAGS and PERMANENTFLAGS."""
        return " ".join([*SYSTEM_FLAGS, *self.keywords]).encode()

    def permanent_flags(self) -> bytes:
        """The response that says which flags can be set for good; `\\*` allows new keywords."""
        names = b"" if self.read_only else self.flag_names() + b" \\*"
        return b"* OK [PERMANENTFLAGS (" + names + b")] Flags that stay\r\n"

    def _slices(self, bounds: Iterator[tuple[int, int]]) -> list[int]:
        found: list[int] = []
        for start, stop in bounds:
            found.extend(self.uids[start:stop])
        return found

    def _expunges(self, expunged: Sequence[int]) -> Iterator[bytes]:
        gone = [uid for uid in expunged if self.number(uid) is not None]
        indexes = [bisect_left(self.uids, uid) for uid in gone]
        if len(gone) <= _FEW:
            for index in reversed(indexes):
                self.uids.pop(index)
        else:
            without = set(gone)
            self.uids = array("I", (uid for uid in self.uids if uid not in without))
        self.recent.difference_update(gone)
        self._flagged.difference_update(gone)
        # Those that came and went between two looks were never announced.
        self._arrived.difference_update(expunged)
        # From the last to the first, so that each number is still what the client counts.
        for index in reversed(indexes):
            yield b"* %d EXPUNGE\r\n" % (index + 1)

    def _arrivals(self) -> Iterator[bytes]:
        if not self._arrived:
            return
        last = self.uids[-1] if self.uids else 0
        arrived = sorted(uid for uid in self._arrived if uid > last)
        self._arrived.clear()
        self.uids.extend(arrived)
        self.claim_recent()
        yield b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(self.uids), len(self.recent))

    def _flag_changes(self) -> Iterator[bytes]:
        if not self._flagged:
            return
        yield from self.new_keywords()
        uids = sorted(self._flagged)
        self._flagged.clear()
        for record in self.mailbox.records(uids):
            number = self.number(record.uid)
            if number is not None:
                flags = self.flags(record.flags, record.uid)
                yield b"* %d FETCH (UID %d %s)\r\n" % (number, record.uid, flags)

    def new_keywords(self) -> Iterator[bytes]:
        """Announce keywords that came into use, before any message is shown with them."""
        if self.mailbox.keywords != self.keywords:
            self.keywords = self.mailbox.keywords
            yield b"* FLAGS (" + self.flag_names() + b")\r\n"
            yield self.permanent_flags()
