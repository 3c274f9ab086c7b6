"""Sets of message numbers or UIDs: `1,3:7,12:*` (RFC 3501 §9 `sequence-set`).

Parsing keeps ranges as they were given; `SequenceSet.ranges` makes them ascending and disjoint for
a mailbox whose last number is known. Cost follows the number of ranges, never their width.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.lexer import MAXIMUM_NUMBER, Cursor

_SET = re.compile(rb"[0-9*:,]+")
# More digits than the largest number has cannot be right, and are not worth converting.
_MAXIMUM_DIGITS = 10

# The last message of the mailbox, written as "*".
LAST = 0


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Pairs of ends in any order; `LAST` stands for `*`."""

    pairs: tuple[tuple[int, int], ...]

    def ranges(self, last: int) -> list[tuple[int, int]]:
        """Ascending, disjoint, inclusive ranges when `*` is `last`.

        A range such as `12:*` holds the last message even if its number is below 12.
        """
        ordered = sorted(
            (min(ends), max(ends)) for ends in ((a or last, b or last) for a, b in self.pairs)
        )
        merged = [ordered[0]]
        for low, high in ordered[1:]:
            before_low, before_high = merged[-1]
            if low <= before_high + 1:
                merged[-1] = (before_low, max(before_high, high))
            else:
                merged.append((low, high))
        return merged

    def largest(self) -> int:
        """The largest number that is written out, 0 if there is none."""
        return max(max(pair) for pair in self.pairs)

    def has_last(self) -> bool:
        """Whether `*` occurs."""
        return any(LAST in pair for pair in self.pairs)


def sequence_set(cursor: Cursor) -> SequenceSet:
    """Consume a sequence set."""
    text = cursor.pattern(_SET, "message set")
    return SequenceSet(tuple(_pair(item) for item in text.split(b",")))


def _pair(item: bytes) -> tuple[int, int]:
    first, colon, second = item.partition(b":")
    start = _number(first)
    return start, _number(second) if colon else start


def _number(text: bytes) -> int:
    if text == b"*":
        return LAST
    if not text.isdigit() or len(text) > _MAXIMUM_DIGITS:
        raise ImapSyntaxError("Invalid message set")
    value = int(text)
    if not 0 < value <= MAXIMUM_NUMBER:
        raise ImapSyntaxError("Invalid message set")
    return value


def format_set(numbers: Sequence[int]) -> bytes:
    """Ascending `numbers` (at least one) as a set, runs joined: `1:3,7`."""
    parts: list[bytes] = []
    start = previous = numbers[0]
    for number in numbers[1:]:
        if number != previous + 1:
            parts.append(_range(start, previous))
            start = number
        previous = number
    parts.append(_range(start, previous))
    return b",".join(parts)


def _range(start: int, stop: int) -> bytes:
    return b"%d" % start if start == stop else b"%d:%d" % (start, stop)
