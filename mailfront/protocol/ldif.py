"""LDIF, the text form of directory entries (RFC 2849): a reader and a writer of content records.

The reader takes the whole file and yields records that know their lines, so that an editor can
replace a few lines and keep the rest, comments among it. It is bounded (`MAXIMUM_LINE_OCTETS`,
`MAXIMUM_ATTRIBUTES`) and total: records or `DirectoryError` with the line. Change records and
values by URL are refused. Beyond the RFC it takes UTF-8 in values, which people write by hand;
the writer puts such values in base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mailfront.errors import DirectoryError

MAXIMUM_LINE_OCTETS = 65536
"""The longest attribute with its value, unfolded."""

MAXIMUM_ATTRIBUTES = 1000
"""The most attribute values in one record."""

_FOLD_COLUMN = 76
_LINE_FEED = 0x0A
_PIECE_OCTETS = 1024 * 1024

_ATTRIBUTE = re.compile(
    rb"((?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9-]+)*):([:<]?) *(.*)", re.DOTALL
)
_PLAIN_BLOCK = re.compile(rb"dn: [!-~][ -~]*(?:\n[A-Za-z][A-Za-z0-9-]*: [!-~][ -~]*)*\n?")
# Attributes that a record cannot have, or not there.
_SPECIAL = frozenset(("dn", "changetype", "control"))
# RFC 2849 SAFE-STRING, and no trailing space (its note 8).
_SAFE_VALUE = re.compile(
    rb"(?:[\x01-\x09\x0b\x0c\x0e-\x1f\x21-\x39\x3b\x3d-\x7f]"
    rb"(?:[\x01-\x09\x0b\x0c\x0e-\x7f]*[\x01-\x09\x0b\x0c\x0e-\x1f\x21-\x7f])?)?"
)


class Attribute(NamedTuple):
    """One value: `name` in lower case with its options, and the lines `line` to before `end`."""

    name: str
    value: bytes
    line: int
    end: int


class Record(NamedTuple):
    """One entry: its lines, counted from 1, go from `line` to before `end`."""

    name: str
    line: int
    end: int
    attributes: tuple[Attribute, ...]

    def values(self, name: str) -> list[bytes]:
        """All values of the attribute `name` (lower case), in the order of the file."""
        return [attribute.value for attribute in self.attributes if attribute.name == name]


def read_records(content: bytes, *, file: Path | None = None) -> Iterator[Record]:
    """Yield the records of `content`; raises `DirectoryError`, which names `file` and the line."""
    begun = False
    for block, line in _blocks(content):
        record = _plain_record(block, line)
        found = _records(block, line, file, begun=begun) if record is None else (record,)
        for each in found:
            begun = True
            yield each


def _blocks(content: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield what blank lines divide, each block with the number of its first line."""
    start, line = 0, 1
    while start < len(content):
        if content[start] == _LINE_FEED:
            start, line = start + 1, line + 1
            continue
        end = content.find(b"\n\n", start)
        block = content[start:] if end < 0 else content[start:end]
        yield block, line
        start += len(block)
        line += block.count(b"\n")


def _plain_record(block: bytes, line: int) -> Record | None:
    """Return the record of a block in which nothing is folded, encoded or special, as nearly all
    are written; None for any other, which is read with more care."""
    if len(block) > MAXIMUM_LINE_OCTETS or not _PLAIN_BLOCK.fullmatch(block):
        return None
    lines = block.removesuffix(b"\n").split(b"\n")
    parts = [text.split(b": ", 1) for text in lines[1:]]
    names = [name.decode("ascii").lower() for name, _ in parts]
    if len(names) > MAXIMUM_ATTRIBUTES or not _SPECIAL.isdisjoint(names):
        return None
    attributes = tuple(
        Attribute(name, part[1], number, number + 1)
        for number, (name, part) in enumerate(zip(names, parts, strict=True), start=line + 1)
    )
    return Record(lines[0][len(b"dn: ") :].decode("ascii"), line, line + len(lines), attributes)


def _records(content: bytes, start: int, file: Path | None, *, begun: bool) -> Iterator[Record]:
    """Yield the records of `content`, whose first line has the number `start`."""
    attributes: list[Attribute] = []
    for line, end, text in _logical_lines(content, start, file):
        if not text:
            if attributes:
                yield _record(attributes, file)
                begun = True
                attributes = []
            continue
        if text.startswith(b"#"):
            continue
        attribute = _attribute(text, line, end, file)
        if not attributes and not begun and attribute.name == "version":
            if attribute.value != b"1":
                raise _fault("this version of LDIF is not known", "write version: 1", file, line)
            continue
        _check_order(attribute, attributes, file)
        attributes.append(attribute)
    if attributes:
        yield _record(attributes, file)


def format_attribute(name: str, value: bytes) -> bytes:
    """Return `name: value` with its end of line, folded, in base64 where RFC 2849 asks for it."""
    if _SAFE_VALUE.fullmatch(value):
        line = name.encode("ascii") + b": " + value
    else:
        line = name.encode("ascii") + b":: " + base64.b64encode(value)
    pieces = [line[:_FOLD_COLUMN]]
    width = _FOLD_COLUMN - 1
    pieces += [line[start : start + width] for start in range(_FOLD_COLUMN, len(line), width)]
    return b"\n ".join(pieces) + b"\n"


def format_record(name: str, attributes: Iterable[tuple[str, bytes]]) -> bytes:
    """Return one record, its distinguished name first, without the blank line after it."""
    lines = [format_attribute("dn", name.encode())]
    lines += [format_attribute(attribute, value) for attribute, value in attributes]
    return b"".join(lines)


def _fault(what: str, remedy: str, file: Path | None, line: int) -> DirectoryError:
    return DirectoryError(what, remedy=remedy, file=file, line=line)


def _logical_lines(
    content: bytes, start: int, file: Path | None
) -> Iterator[tuple[int, int, bytes]]:
    """Yield (first line, line after the last, text) of each unfolded line."""
    pieces: list[bytes] = []
    first = length = 0
    number = start
    for number, ended in enumerate(_physical_lines(content), start=start):
        line = ended.removesuffix(b"\r")
        if line.startswith(b" "):
            if not pieces:
                raise _fault("a continuation line without a line before it", "", file, number)
            pieces.append(line[1:])
        else:
            if pieces:
                yield first, number, pieces[0] if len(pieces) == 1 else b"".join(pieces)
            first, length = number, 0
            # A blank line is complete: nothing can continue it.
            pieces = [line] if line else []
            if not line:
                yield number, number + 1, b""
        length += len(line)
        if length > MAXIMUM_LINE_OCTETS:
            raise _fault(f"a line of more than {MAXIMUM_LINE_OCTETS} octets", "", file, first)
    if pieces:
        yield first, number + 1, b"".join(pieces)


def _physical_lines(content: bytes) -> Iterator[bytes]:
    """Yield what line feeds divide, from pieces of the file: all lines at once would take several
    times its size."""
    start = 0
    while len(content) - start > _PIECE_OCTETS:
        end = content.rfind(b"\n", start, start + _PIECE_OCTETS)
        if end < 0:
            end = content.find(b"\n", start + _PIECE_OCTETS)
        if end < 0:
            break
        yield from content[start:end].split(b"\n")
        start = end + 1
    yield from content[start:].split(b"\n")


def _attribute(text: bytes, line: int, end: int, file: Path | None) -> Attribute:
    parts = _ATTRIBUTE.fullmatch(text)
    if parts is None:
        raise _fault("not an attribute", "write name: value", file, line)
    name, kind, value = parts.groups()
    if kind == b"<":
        raise _fault("a value by URL is not read", "write the value itself", file, line)
    if kind == b":":
        try:
            value = base64.b64decode(value, validate=True)
        except binascii.Error:
            raise _fault("the value after :: is not base64", "", file, line) from None
    elif b"\0" in value or b"\r" in value:
        raise _fault("a control character in a value", "write it as base64", file, line)
    elif not value.isascii() and not _is_utf8(value):
        raise _fault("a value that is not UTF-8", "write it as base64 after ::", file, line)
    return Attribute(name.decode("ascii").lower(), value, line, end)


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _check_order(attribute: Attribute, before: list[Attribute], file: Path | None) -> None:
    line = attribute.line
    if (attribute.name == "dn") != (not before):
        if before:
            raise _fault("a second dn in an entry", "leave a blank line before it", file, line)
        raise _fault("an entry must begin with its dn", "write dn: first", file, line)
    if attribute.name in ("changetype", "control"):
        raise _fault("change records are not read", "write the entry itself", file, line)
    if len(before) > MAXIMUM_ATTRIBUTES:
        raise _fault(f"an entry of more than {MAXIMUM_ATTRIBUTES} values", "", file, line)


def _record(attributes: list[Attribute], file: Path | None) -> Record:
    first = attributes[0]
    try:
        name = first.value.decode("utf-8")
    except UnicodeDecodeError:
        raise _fault("a distinguished name that is not UTF-8", "", file, first.line) from None
    return Record(name, first.line, attributes[-1].end, tuple(attributes[1:]))
