"""The data items of FETCH (RFC 3501 §6.4.5): names, macros and body sections.

A section knows the label that its answer carries, so the engine copies it unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.lexer import MAXIMUM_NUMBER, Cursor
from mailfront.protocol.imap.response import astring

# A part's path is at most this long; nobody nests deeper than the MIME scan goes.
MAXIMUM_PATH = 100
MAXIMUM_ITEMS = 200


class Attribute(Enum):
    """Items without arguments; the value is the label of the answer."""

    FLAGS = b"FLAGS"
    UID = b"UID"
    INTERNALDATE = b"INTERNALDATE"
    RFC822_SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    BODY = b"BODY"
    BODYSTRUCTURE = b"BODYSTRUCTURE"


class SectionText(Enum):
    """What of a message or part is asked for."""

    EVERYTHING = b""
    HEADER = b"HEADER"
    HEADER_FIELDS = b"HEADER.FIELDS"
    HEADER_FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True)
class Section:
    r"""Bytes of the message. `path` is empty for the message itself; `fields` are in capitals.

    `peek` leaves `\Seen` as it is. `partial` is offset and count in octets. `label` is the name in
    the answer, without the partial's origin.
    """

    path: tuple[int, ...]
    text: SectionText
    fields: tuple[bytes, ...]
    partial: tuple[int, int] | None
    peek: bool
    label: bytes


FetchItem = Attribute | Section

_FAST = (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.RFC822_SIZE)
_MACROS: dict[bytes, tuple[FetchItem, ...]] = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, Attribute.ENVELOPE),
    b"FULL": (*_FAST, Attribute.ENVELOPE, Attribute.BODY),
}
_ATTRIBUTES = {attribute.value: attribute for attribute in Attribute}
# The old names of three sections (RFC 3501 §6.4.5), answered under these names.
_OLD_SECTIONS = {
    b"RFC822": Section((), SectionText.EVERYTHING, (), None, False, b"RFC822"),
    b"RFC822.HEADER": Section((), SectionText.HEADER, (), None, True, b"RFC822.HEADER"),
    b"RFC822.TEXT": Section((), SectionText.TEXT, (), None, False, b"RFC822.TEXT"),
}
# An item's name ends where a section begins, which "[" alone does not tell to an atom.
_SECTION_TEXTS = {text.value: text for text in SectionText if text.value}


def fetch_items(cursor: Cursor) -> tuple[FetchItem, ...]:
    """Consume one item, a macro, or a list of items."""
    if cursor.peek() == b"(":
        items = cursor.parenthesised(lambda: _item(cursor), may_be_empty=False)
        if len(items) > MAXIMUM_ITEMS:
            raise ImapSyntaxError("Too many items")
        return tuple(dict.fromkeys(items))
    start = cursor.position
    macro = _MACROS.get(cursor.atom("item").upper())
    if macro is not None:
        return macro
    cursor.position = start
    return (_item(cursor),)


def _item(cursor: Cursor) -> FetchItem:
    if cursor.skip(b"BODY.PEEK["):
        return _section(cursor, peek=True)
    if cursor.skip(b"BODY["):
        return _section(cursor, peek=False)
    name = cursor.atom("item").upper()
    item = _ATTRIBUTES.get(name) or _OLD_SECTIONS.get(name)
    if item is None:
        raise ImapSyntaxError("Unknown item")
    return item


def _section(cursor: Cursor, *, peek: bool) -> Section:
    path: list[int] = []
    text = SectionText.EVERYTHING
    while cursor.peek() != b"]":
        if cursor.peek().isdigit():
            number = cursor.number()
            if not number or len(path) >= MAXIMUM_PATH:
                raise ImapSyntaxError("Invalid section")
            path.append(number)
            if cursor.skip(b"."):
                if cursor.peek() == b"]":
                    raise ImapSyntaxError("Invalid section")
                continue
        else:
            text = _section_text(cursor, path)
        break
    fields = _fields(cursor) if text.value.startswith(b"HEADER.") else ()
    cursor.expect(b"]")
    label = _label(path, text, fields)
    upper = tuple(dict.fromkeys(name.upper() for name in fields))
    return Section(tuple(path), text, upper, _partial(cursor), peek, label)


def _section_text(cursor: Cursor, path: list[int]) -> SectionText:
    # The longest name first: HEADER begins HEADER.FIELDS, which begins HEADER.FIELDS.NOT.
    for name in sorted(_SECTION_TEXTS, key=len, reverse=True):
        if cursor.skip(name):
            text = _SECTION_TEXTS[name]
            if text is SectionText.MIME and not path:
                break
            return text
    raise ImapSyntaxError("Invalid section")


def _fields(cursor: Cursor) -> tuple[bytes, ...]:
    cursor.space()
    return tuple(cursor.parenthesised(cursor.astring, may_be_empty=False))


def _label(path: list[int], text: SectionText, fields: tuple[bytes, ...]) -> bytes:
    words = [b"%d" % number for number in path]
    if text.value:
        words.append(text.value)
    label = b"BODY[" + b".".join(words)
    if fields:
        label += b" (" + b" ".join(map(astring, fields)) + b")"
    return label + b"]"


def _partial(cursor: Cursor) -> tuple[int, int] | None:
    if not cursor.skip(b"<"):
        return None
    offset = cursor.number()
    cursor.expect(b".")
    count = cursor.number(MAXIMUM_NUMBER)
    if not count:
        raise ImapSyntaxError("A partial fetch takes at least one octet")
    cursor.expect(b">")
    return offset, count
