"""The messages of an open mailbox in memory: columns, some forty octets a message.

A row costs a few machine words instead of an object; `MessageRecord` is made when one is asked
for. Not locked: the mailbox holds its lock around every call.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import compress
from typing import NamedTuple

from mailfront.store.flags import (
    DELETED,
    FORWARDED,
    FORWARDED_KEYWORD,
    SEEN,
    FlagSet,
    bits_of_letters,
)
from mailfront.store.index import SummaryColumns, SummaryRow
from mailfront.store.message_record import MessageRecord

# Beyond so many removals at once the columns are built anew instead of closing each gap.
SINGLE_REMOVALS = 16
MOST_SHARED_KEYWORD_SETS = 1000
_NO_KEYWORDS: frozenset[str] = frozenset()


class Applied(NamedTuple):
    """What `MessageTable.apply` changed, as UIDs."""

    expunged: list[int]
    arrived: list[int]
    flagged: list[int]


class MessageTable:
    """Rows in the order of UIDs."""

    def __init__(self) -> None:
        self.uids = array("I")
        self.sizes = array("Q")
        self._dates = array("q")
        self._modseqs = array("Q")
        self._bits = bytearray()
        self._keywords: list[frozenset[str]] = []
        self._shared_keywords: dict[str, frozenset[str]] = {}
        self._bits_by_letters: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.uids)

    def load(self, rows: Sequence[SummaryColumns]) -> None:
        """Replace everything by `rows`, which are in the order of UIDs."""
        uids, sizes, dates, letters, keywords, modseqs = (
            zip(*rows, strict=True) if rows else ((),) * 6
        )
        self.uids = array("I", uids)
        self.sizes = array("Q", sizes)
        self._dates = array("q", dates)
        self._modseqs = array("Q", modseqs)
        self._bits = bytearray(map(self._bits_of, letters))
        self._keywords = [self._keywords_of(text) for text in keywords]

    def apply(self, rows: Iterable[SummaryRow], expunged: Iterable[int]) -> Applied:
        """Take in new and changed rows and removals."""
        gone = self._remove(expunged)
        arrived: list[int] = []
        flagged: list[int] = []
        for row in rows:
            position = self.position(row.uid)
            if position is None:
                self._insert(row)
                arrived.append(row.uid)
            else:
                self._bits[position] = self._bits_of(row.letters)
                self._keywords[position] = self._keywords_of(row.keywords)
                self._modseqs[position] = row.modseq
                flagged.append(row.uid)
        return Applied(gone, arrived, flagged)

    def position(self, uid: int) -> int | None:
        """The place of a UID, from 0; None if it is not there."""
        position = bisect_left(self.uids, uid)
        if position < len(self.uids) and self.uids[position] == uid:
            return position
        return None

    def record(self, position: int) -> MessageRecord:
        """The row at a position."""
        bits = self._bits[position]
        keywords = self._keywords[position]
        if bits & FORWARDED:
            keywords |= {FORWARDED_KEYWORD}
        return MessageRecord(
            self.uids[position],
            self.sizes[position],
            self._dates[position],
            FlagSet(bits & ~FORWARDED, keywords),
            self._modseqs[position],
        )

    def total_size(self) -> int:
        """The sum of all sizes."""
        return sum(self.sizes)

    def uids_where(self, mask: int, wanted: int) -> list[int]:
        """UIDs whose flag bits under `mask` equal `wanted`."""
        return list(compress(self.uids, self._matches(mask, wanted)))

    def count_where(self, mask: int, wanted: int) -> int:
        """How many `uids_where` would return, without making the list."""
        return self._matches(mask, wanted).count(1)

    def first_uid_where(self, mask: int, wanted: int) -> int | None:
        """The first of what `uids_where` would return, without making the list."""
        position = self._matches(mask, wanted).find(1)
        return None if position < 0 else self.uids[position]

    def unseen(self) -> int:
        r"""How many lack `\Seen`."""
        return self.count_where(SEEN, 0)

    def deleted(self) -> int:
        r"""How many have `\Deleted`."""
        return self.count_where(DELETED, DELETED)

    def count_from(self, uid: int) -> int:
        """How many messages have at least this UID."""
        return len(self.uids) - bisect_left(self.uids, uid)

    def uids_changed_since(self, modseq: int) -> list[int]:
        """UIDs with a greater modification sequence."""
        return [uid for uid, last in zip(self.uids, self._modseqs, strict=True) if last > modseq]

    def _matches(self, mask: int, wanted: int) -> bytearray:
        """1 at the position of each row whose flag bits under `mask` equal `wanted`, else 0."""
        return self._bits.translate(bytes((bits & mask) == wanted for bits in range(256)))

    def _insert(self, row: SummaryRow) -> None:
        position = bisect_left(self.uids, row.uid)
        self.uids.insert(position, row.uid)
        self.sizes.insert(position, row.size)
        self._dates.insert(position, row.internal_date)
        self._modseqs.insert(position, row.modseq)
        self._bits.insert(position, self._bits_of(row.letters))
        self._keywords.insert(position, self._keywords_of(row.keywords))

    def _remove(self, uids: Iterable[int]) -> list[int]:
        positions = [
            position for uid in sorted(set(uids)) if (position := self.position(uid)) is not None
        ]
        gone = [self.uids[position] for position in positions]
        if len(positions) <= SINGLE_REMOVALS:
            for position in reversed(positions):
                for column in self._columns():
                    del column[position]
        else:
            removed = set(positions)
            kept = [position for position in range(len(self.uids)) if position not in removed]
            self.uids = array("I", [self.uids[k] for k in kept])
            self.sizes = array("Q", [self.sizes[k] for k in kept])
            self._dates = array("q", [self._dates[k] for k in kept])
            self._modseqs = array("Q", [self._modseqs[k] for k in kept])
            self._bits = bytearray(self._bits[k] for k in kept)
            self._keywords = [self._keywords[k] for k in kept]
        return gone

    def _columns(
        self,
    ) -> tuple[array[int] | bytearray | list[frozenset[str]], ...]:
        return self.uids, self.sizes, self._dates, self._modseqs, self._bits, self._keywords

    def _bits_of(self, letters: str) -> int:
        bits = self._bits_by_letters.get(letters)
        if bits is None:
            if len(self._bits_by_letters) >= MOST_SHARED_KEYWORD_SETS:
                self._bits_by_letters.clear()
            bits = self._bits_by_letters[letters] = bits_of_letters(letters)
        return bits

    def _keywords_of(self, text: str) -> frozenset[str]:
        if not text:
            return _NO_KEYWORDS
        keywords = self._shared_keywords.get(text)
        if keywords is None:
            if len(self._shared_keywords) >= MOST_SHARED_KEYWORD_SETS:
                self._shared_keywords.clear()
            keywords = self._shared_keywords[text] = frozenset(text.split(" "))
        return keywords
