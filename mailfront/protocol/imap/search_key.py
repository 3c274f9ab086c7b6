"""The keys of SEARCH (RFC 3501 §6.4.4) as a tree of values. Depth and number are bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import Enum

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.date import search_date
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.sequence_set import SequenceSet, sequence_set

# No client nests deeper than a handful; the bound keeps recursion shallow.
MAXIMUM_DEPTH = 50
# Each key is tried on each message.
MAXIMUM_KEYS = 1000


class Comparison(Enum):
    """How a date or a size is compared."""

    BEFORE = "before"
    ON = "on"
    SINCE = "since"
    LARGER = "larger"
    SMALLER = "smaller"


@dataclass(frozen=True, slots=True)
class All:
    """Every message."""


@dataclass(frozen=True, slots=True)
class HasFlag:
    r"""A flag is set. `flag` is as it is stored, `\Recent` included."""

    flag: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """A header field of this name (any case) contains `value`; an empty value asks for any."""

    name: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Body:
    """The body contains `value`."""

    value: bytes


@dataclass(frozen=True, slots=True)
class Text:
    """Header or body contain `value`."""

    value: bytes


@dataclass(frozen=True, slots=True)
class InternalDate:
    """The day on which the message arrived."""

    comparison: Comparison
    day: date


@dataclass(frozen=True, slots=True)
class SentDate:
    """The day in the Date field."""

    comparison: Comparison
    day: date


@dataclass(frozen=True, slots=True)
class Size:
    """The size in octets, larger or smaller than."""

    comparison: Comparison
    octets: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """Message numbers, or UIDs."""

    numbers: SequenceSet
    uid: bool


@dataclass(frozen=True, slots=True)
class Not:
    """The key does not match."""

    key: SearchKey


@dataclass(frozen=True, slots=True)
class Or:
    """One of the two matches."""

    first: SearchKey
    second: SearchKey


@dataclass(frozen=True, slots=True)
class And:
    """All of them match."""

    keys: tuple[SearchKey, ...]


SearchKey = (
    All | HasFlag | Header | Body | Text | InternalDate | SentDate | Size | Numbers | Not | Or | And
)


@dataclass(frozen=True, slots=True)
class SearchProgram:
    """What to search; `charset` is in capitals and None where none was named."""

    charset: bytes | None
    key: And


_RECENT = HasFlag(b"\\Recent")
_SEEN = HasFlag(b"\\Seen")
_PLAIN: dict[bytes, SearchKey] = {
    b"ALL": All(),
    b"ANSWERED": HasFlag(b"\\Answered"),
    b"DELETED": HasFlag(b"\\Deleted"),
    b"DRAFT": HasFlag(b"\\Draft"),
    b"FLAGGED": HasFlag(b"\\Flagged"),
    b"NEW": And((_RECENT, Not(_SEEN))),
    b"OLD": Not(_RECENT),
    b"RECENT": _RECENT,
    b"SEEN": _SEEN,
    b"UNANSWERED": Not(HasFlag(b"\\Answered")),
    b"UNDELETED": Not(HasFlag(b"\\Deleted")),
    b"UNDRAFT": Not(HasFlag(b"\\Draft")),
    b"UNFLAGGED": Not(HasFlag(b"\\Flagged")),
    b"UNSEEN": Not(_SEEN),
}
_HEADERS = frozenset((b"BCC", b"CC", b"FROM", b"SUBJECT", b"TO"))
_INTERNAL_DATES = {
    b"BEFORE": Comparison.BEFORE,
    b"ON": Comparison.ON,
    b"SINCE": Comparison.SINCE,
}
_SENT_DATES = {b"SENT" + name: comparison for name, comparison in _INTERNAL_DATES.items()}
_SIZES = {b"LARGER": Comparison.LARGER, b"SMALLER": Comparison.SMALLER}


def search_program(cursor: Cursor) -> SearchProgram:
    """Consume the arguments of SEARCH up to the end of the command."""
    charset = None
    if cursor.skip(b"CHARSET "):
        charset = cursor.astring().upper()
        cursor.space()
    parser = _Parser(cursor)
    keys = [parser.key(0)]
    while not cursor.at_end():
        cursor.space()
        keys.append(parser.key(0))
    return SearchProgram(charset, And(tuple(keys)))


class _Parser:
    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._count = 0

    def key(self, depth: int) -> SearchKey:
        self._count += 1
        if depth > MAXIMUM_DEPTH or self._count > MAXIMUM_KEYS:
            raise ImapSyntaxError("Search too complex")
        cursor = self._cursor
        first = cursor.peek()
        if first == b"(":
            return And(tuple(cursor.parenthesised(lambda: self.key(depth + 1), may_be_empty=False)))
        if first == b"*" or first.isdigit():
            return Numbers(sequence_set(cursor), uid=False)
        name = cursor.atom("search key").upper()
        return _PLAIN.get(name) or self._with_arguments(name, depth)

    def _with_arguments(self, name: bytes, depth: int) -> SearchKey:
        cursor = self._cursor
        cursor.space()
        if name == b"NOT":
            return Not(self.key(depth + 1))
        if name == b"OR":
            first = self.key(depth + 1)
            cursor.space()
            return Or(first, self.key(depth + 1))
        if name == b"UID":
            return Numbers(sequence_set(cursor), uid=True)
        if name in _SIZES:
            return Size(_SIZES[name], cursor.number())
        if name in _INTERNAL_DATES:
            return InternalDate(_INTERNAL_DATES[name], search_date(cursor))
        if name in _SENT_DATES:
            return SentDate(_SENT_DATES[name], search_date(cursor))
        return self._about_text(name)

    def _about_text(self, name: bytes) -> SearchKey:
        cursor = self._cursor
        if name in _HEADERS:
            return Header(name, cursor.astring())
        if name == b"HEADER":
            field = cursor.astring()
            cursor.space()
            return Header(field.upper(), cursor.astring())
        if name == b"BODY":
            return Body(cursor.astring())
        if name == b"TEXT":
            return Text(cursor.astring())
        if name == b"KEYWORD":
            return HasFlag(cursor.atom("keyword"))
        if name == b"UNKEYWORD":
            return Not(HasFlag(cursor.atom("keyword")))
        raise ImapSyntaxError("Unknown search key")
