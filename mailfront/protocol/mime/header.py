"""Header fields of a message or body part, and the structured values that MIME puts into them.

Takes bytes, gives fields with their offsets (RFC 5322 §2.2), and Content-Type and
Content-Disposition values with their parameters (RFC 2045 §5.1, RFC 2183). Parameters that RFC 2231
split into numbered pieces are joined again, in linear time. Every function is total: a broken value
yields what can be understood of it. `limit` bounds how many fields are remembered.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote_from_bytes

from mailfront.protocol.mime.charset import decode_charset, decode_unlabelled
from mailfront.protocol.mime.encoded_word import decode_words

HEADER_LIMIT = 1 << 20
FIELD_LIMIT = 10_000
PARAMETER_LIMIT = 200
_PIECE_LIMIT = 1000

_FOLD = re.compile(rb"\r?\n")
_WHITE = b" \t\r\n"
# RFC 2045 §5.1 tspecials end a token; white space and an opening comment do too.
_TOKEN = re.compile(rb'[^\x00-\x20()<>@,;:\\"/\[\]?=\x7f]+')
# What follows "=" in the wild: everything up to ";" or white space is taken for the value.
_LOOSE_VALUE = re.compile(rb'[^\x00-\x20;"()]+')
_QUOTED_RUN = re.compile(rb'[^"\\\r\n]+')
_COMMENT_RUN = re.compile(rb"[^()\\]+")
_PIECE_NAME = re.compile(rb"(.+?)\*(\d{1,3})(\*?)", re.DOTALL)
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")

Parameters = tuple[tuple[bytes, bytes], ...]


class HeaderField(NamedTuple):
    """One field. `name` is as written (empty for a line that is no field), `value` is what follows
    the colon with its folds, without the final line end; `start` and `end` delimit the whole field
    in the data, line end included."""

    name: bytes
    value: bytes
    start: int
    end: int


class ContentType(NamedTuple):
    """A media type as written; parameters in order, their names in lower case."""

    type: bytes
    subtype: bytes
    parameters: Parameters

    @property
    def essence(self) -> bytes:
        """`type/subtype` in lower case."""
        return (self.type + b"/" + self.subtype).lower()

    def parameter(self, name: bytes) -> bytes | None:
        """The first parameter called `name` (lower case), raw, or None."""
        return next((value for key, value in self.parameters if key == name), None)

    def text_parameter(self, name: bytes) -> str | None:
        """The parameter `name` decoded for people, whichever form (RFC 2231 or plain) it has."""
        return text_parameter(self.parameters, name)


class Disposition(NamedTuple):
    """Content-Disposition: how a part wants to be shown, and parameters."""

    value: bytes
    parameters: Parameters

    def text_parameter(self, name: bytes) -> str | None:
        """The parameter `name` decoded for people, whichever form (RFC 2231 or plain) it has."""
        return text_parameter(self.parameters, name)


def header_fields(
    data: bytes, start: int = 0, end: int | None = None, *, limit: int = FIELD_LIMIT
) -> list[HeaderField]:
    """The fields of the header in `data[start:end]`, in order; stops at the first empty line.

    A line without a colon becomes a field with an empty name: nothing is lost.
    """
    stop = len(data) if end is None else end
    fields: list[HeaderField] = []
    while start < stop and len(fields) < limit:
        line_end = _line_end(data, start, stop)
        if data[start:line_end].strip(b"\r\n") == b"":
            break
        while line_end < stop and data[line_end] in b" \t":
            line_end = _line_end(data, line_end, stop)
        fields.append(_field(data, start, line_end))
        start = line_end
    return fields


def _line_end(data: bytes, start: int, stop: int) -> int:
    newline = data.find(b"\n", start, stop)
    return stop if newline < 0 else newline + 1


def _field(data: bytes, start: int, end: int) -> HeaderField:
    whole = data[start:end].removesuffix(b"\n").removesuffix(b"\r")
    name, colon, value = whole.partition(b":")
    # A colon behind a line end belongs to a continuation line, not to a field name.
    if not colon or b"\n" in name or start == end:
        return HeaderField(b"", whole, start, end)
    return HeaderField(name.rstrip(b" \t"), value, start, end)


def first_value(fields: list[HeaderField], name: bytes) -> bytes | None:
    """The raw value of the first field called `name` (lower case), or None."""
    return next((field.value for field in fields if field.name.lower() == name), None)


def unfold(value: bytes) -> bytes:
    """The value on one line: line ends removed (RFC 5322 §2.2.3), outer white space stripped."""
    return _FOLD.sub(b"", value).strip(b" \t\r\n")


def parse_content_type(value: bytes) -> ContentType | None:
    """The media type of a Content-Type value, or None where not even a type can be seen."""
    cursor = _Cursor(value)
    media_type = cursor.token()
    if not media_type or not cursor.accept(b"/"):
        return None
    subtype = cursor.token()
    if not subtype:
        return None
    return ContentType(media_type, subtype, _parameters(cursor))


def parse_disposition(value: bytes) -> Disposition | None:
    """The disposition of a Content-Disposition value, or None where there is no token."""
    cursor = _Cursor(value)
    token = cursor.token()
    return Disposition(token, _parameters(cursor)) if token else None


def parse_token(value: bytes) -> bytes:
    """The first token of a value such as Content-Transfer-Encoding, comments skipped."""
    return _Cursor(value).token()


def parse_token_list(value: bytes) -> tuple[bytes, ...]:
    """Comma-separated tokens, as in Content-Language (RFC 3282)."""
    cursor = _Cursor(value)
    tokens: list[bytes] = []
    while len(tokens) < PARAMETER_LIMIT:
        if token := cursor.token():
            tokens.append(token)
        if not cursor.accept(b","):
            break
    return tuple(tokens)


def text_parameter(parameters: Parameters, name: bytes) -> str | None:
    """Decode parameter `name` for people: `name*` by its charset (RFC 2231 §4), or `name` itself,
    in which many programs write encoded words or bare UTF-8 against the standard."""
    found = dict(reversed(parameters))
    if (extended := found.get(name + b"*")) is not None:
        charset, _, rest = extended.partition(b"'")
        _, _, encoded = rest.partition(b"'")
        octets = _PERCENT.sub(lambda match: bytes.fromhex(match[1].decode()), encoded)
        return decode_charset(octets, charset.decode("ascii", "replace"))
    if (plain := found.get(name)) is not None:
        return decode_words(plain) if b"=?" in plain else decode_unlabelled(plain)
    return None


class _Cursor:
    """A place in a structured value; white space and comments before a token are skipped."""

    def __init__(self, value: bytes) -> None:
        self.value = value
        self.place = 0

    def skip(self) -> None:
        value, place, depth = self.value, self.place, 0
        while place < len(value):
            octet = value[place]
            if octet == 0x28:
                depth += 1
            elif depth and octet == 0x29:
                depth -= 1
            elif depth and octet == 0x5C:
                place += 1
            elif depth and (run := _COMMENT_RUN.match(value, place)):
                place = run.end()
                continue
            elif not depth and octet not in _WHITE:
                break
            place += 1
        self.place = min(place, len(value))

    def accept(self, octet: bytes) -> bool:
        self.skip()
        if self.value.startswith(octet, self.place):
            self.place += 1
            return True
        return False

    def token(self) -> bytes:
        self.skip()
        return self._match(_TOKEN)

    def parameter_value(self) -> bytes:
        self.skip()
        if self.value.startswith(b'"', self.place):
            return self._quoted()
        return self._match(_LOOSE_VALUE)

    def seek(self, octet: bytes) -> bool:
        found = self.value.find(octet, self.place)
        self.place = len(self.value) if found < 0 else found + 1
        return found >= 0

    def _match(self, pattern: re.Pattern[bytes]) -> bytes:
        match = pattern.match(self.value, self.place)
        if match is None:
            return b""
        self.place = match.end()
        return match[0]

    def _quoted(self) -> bytes:
        value, place, pieces = self.value, self.place + 1, bytearray()
        while place < len(value) and value[place] != 0x22:
            if run := _QUOTED_RUN.match(value, place):
                pieces += run[0]
                place = run.end()
                continue
            if value[place] == 0x5C:
                place += 1
            if place < len(value) and value[place] not in b"\r\n":
                pieces.append(value[place])
            place += 1
        self.place = min(place + 1, len(value))
        return bytes(pieces)


def _parameters(cursor: _Cursor) -> Parameters:
    found: list[tuple[bytes, bytes]] = []
    while len(found) < PARAMETER_LIMIT and cursor.seek(b";"):
        name = cursor.token().lower()
        if name and cursor.accept(b"="):
            found.append((name, cursor.parameter_value()))
    if any(b"*" in name for name, _ in found):
        return _join_pieces(found)
    return tuple(found)


def _join_pieces(found: list[tuple[bytes, bytes]]) -> Parameters:
    """Join `name*0`, `name*1*`, … (RFC 2231 §3). If any piece is percent-encoded, the whole becomes
    `name*` and the plain pieces are encoded, so that the value has one form."""
    joined: list[tuple[bytes, bytes]] = []
    pieces: dict[bytes, dict[int, tuple[bool, bytes]]] = {}
    for name, value in found:
        match = _PIECE_NAME.fullmatch(name)
        if match is None:
            joined.append((name, value))
        else:
            numbered = pieces.setdefault(match[1], {})
            numbered.setdefault(int(match[2]), (bool(match[3]), value))
    for name, numbered in pieces.items():
        ordered = []
        for number in range(_PIECE_LIMIT):
            if number not in numbered:
                break
            ordered.append(numbered[number])
        if any(encoded for encoded, _ in ordered):
            value = b"".join(
                text if encoded else quote_from_bytes(text).encode() for encoded, text in ordered
            )
            joined.append((name + b"*", value))
        elif ordered:
            joined.append((name, b"".join(text for _, text in ordered)))
    return tuple(joined)
