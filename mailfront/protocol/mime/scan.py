"""One pass over a message: where its header, body and MIME parts begin and end.

Takes the whole message as bytes, gives a tree of `Part` with offsets into it (RFC 2045, 2046). Any
bytes are a message: the scan is total, and what cannot be understood is one opaque part. Its time
is linear: each open boundary remembers how far it has been looked for and looks only up to the next
boundary of the parts around it, so a nesting level reads an octet at most once.

Broken messages are read as Dovecot reads them: a multipart ends with its parent or the message
where its final boundary is missing, a multipart without a boundary parameter is opaque, the
boundary may be the beginning of a longer line (RFC 2046 §5.1.1), of two that fit the longer wins.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mailfront.protocol.mime.header import (
    FIELD_LIMIT,
    HEADER_LIMIT,
    ContentType,
    Disposition,
    header_fields,
    parse_content_type,
    parse_disposition,
    parse_token,
    parse_token_list,
    unfold,
)

NESTING_LIMIT = 50
PART_LIMIT = 10_000
# RFC 2046 §5.1.1 allows 70; comparing the beginning of a longer one is enough.
_BOUNDARY_LENGTH = 80

_BLANK_LINE = re.compile(rb"\n\r?\n")
TEXT_PLAIN = ContentType(b"text", b"plain", ((b"charset", b"us-ascii"),))
_MESSAGE = ContentType(b"message", b"rfc822", ())


class Part:
    """A message or a body part.

    The header is `message[header_start:body_start]`, its empty line included, the body is
    `message[body_start:body_end]`. `is_multipart` tells that the body was scanned for `children`
    (there may be none); `message` is the message inside a message/rfc822. `line_count` counts the
    line ends of the body. `encoding` is in lower case, `7bit` if none is given.
    `declared_type` is None where the header has no Content-Type that can be read.
    """

    __slots__ = (
        "_fields",
        "body_end",
        "body_start",
        "children",
        "content_type",
        "declared_type",
        "encoding",
        "header_start",
        "is_multipart",
        "line_count",
        "message",
    )

    def __init__(self, header_start: int, body_start: int, default: ContentType) -> None:
        self.header_start = header_start
        self.body_start = body_start
        self.body_end = body_start
        self.content_type = default
        self.declared_type: ContentType | None = None
        self.encoding = b"7bit"
        self.children: list[Part] = []
        self.message: Part | None = None
        self.is_multipart = False
        self.line_count = 0
        self._fields: dict[bytes, list[bytes]] = {}

    @property
    def size(self) -> int:
        """Length of the body in octets."""
        return self.body_end - self.body_start

    def header(self, name: bytes) -> bytes | None:
        """The value of the first field called `name` (lower case), unfolded, or None."""
        values = self._fields.get(name)
        return None if values is None else unfold(values[0])

    def headers(self, name: bytes) -> list[bytes]:
        """The values of all fields called `name` (lower case), unfolded, in order."""
        return [unfold(value) for value in self._fields.get(name, ())]

    @property
    def description(self) -> bytes | None:
        """Content-Description."""
        return self.header(b"content-description")

    @property
    def id(self) -> bytes | None:
        """Content-ID."""
        return self.header(b"content-id")

    @property
    def md5(self) -> bytes | None:
        """Content-MD5 (RFC 1864)."""
        return self.header(b"content-md5")

    @property
    def location(self) -> bytes | None:
        """Content-Location (RFC 2557)."""
        return self.header(b"content-location")

    @property
    def language(self) -> tuple[bytes, ...]:
        """Tags of Content-Language (RFC 3282)."""
        value = self._fields.get(b"content-language")
        return () if value is None else parse_token_list(value[0])

    @property
    def disposition(self) -> Disposition | None:
        """Content-Disposition (RFC 2183)."""
        value = self._fields.get(b"content-disposition")
        return None if value is None else parse_disposition(value[0])

    def part_at(self, path: tuple[int, ...]) -> Part | None:
        """The part at an IMAP part number (RFC 9051 §6.4.5.1), asked of a whole message.

        `()` is the message. Number 1 of a message that is no multipart is the message's own body;
        the numbers behind a message/rfc822 part lead into the message inside. None if there is no
        such part.
        """
        part, whole = self, True
        for number in path:
            inner = part if whole or part.message is None else part.message
            if inner.is_multipart:
                if not 1 <= number <= len(inner.children):
                    return None
                part = inner.children[number - 1]
            elif number != 1 or not (whole or part.message is not None):
                return None
            else:
                part = inner
            whole = False
        return part

    def read_fields(self, message: bytes, limit: int, octets: int) -> int:
        """Remember the fields among the first `octets` of the header; return how many they are."""
        end = min(self.body_start, self.header_start + octets)
        fields = header_fields(message, self.header_start, end, limit=limit)
        for field in fields:
            self._fields.setdefault(field.name.lower(), []).append(field.value)
        if (values := self._fields.get(b"content-type")) is not None:
            self.declared_type = parse_content_type(values[0])
            # RFC 2045 §5.2: what cannot be read as a type is plain text.
            self.content_type = self.declared_type or TEXT_PLAIN
        if (values := self._fields.get(b"content-transfer-encoding")) is not None:
            self.encoding = parse_token(values[0]).lower() or b"7bit"
        return len(fields)


def scan(message: bytes) -> Part:
    """The structure of `message`."""
    return _Scanner(message).whole()


class _Found(NamedTuple):
    """A boundary line: where it begins, and which open boundary it is (-1: end of message)."""

    position: int
    level: int


class _OpenBoundary:
    """The delimiter of an open multipart. `place` is where it occurs next if `found`; else it is
    how far it is known not to occur."""

    __slots__ = ("delimiter", "found", "place")

    def __init__(self, delimiter: bytes, place: int) -> None:
        self.delimiter = delimiter
        self.place = place
        self.found = False


class _Scanner:
    def __init__(self, message: bytes) -> None:
        self.data = message
        self.open: list[_OpenBoundary] = []
        self.parts = 0
        self.fields = 0
        self.header_octets = 0
        self.blank: tuple[int, int] = (-1, 0)
        self.counted_to = 0
        self.lines = 0
        self.exhausted = False

    def whole(self) -> Part:
        part, _ = self._part(0, 0, TEXT_PLAIN)
        return part

    def _part(self, start: int, depth: int, default: ContentType) -> tuple[Part, _Found]:
        """Scan the part whose header begins at `start`; also return the boundary that ended it."""
        self.parts += 1
        following = self._next_boundary(start)
        part = Part(start, self._body_start(start, following.position), default)
        self._account_header(part)
        lines_before = self._lines_to(part.body_start)
        if not self.exhausted and depth < NESTING_LIMIT:
            following = self._inside(part, depth, following)
        inner = part.message or (part.children[-1] if part.children else None)
        lowest = part.body_start if inner is None else inner.body_end
        part.body_end = self._before_line_end(following.position, lowest)
        part.line_count = self._lines_to(part.body_end) - lines_before
        return part, following

    def _account_header(self, part: Part) -> None:
        allowed = HEADER_LIMIT - self.header_octets
        self.fields += part.read_fields(self.data, FIELD_LIMIT - self.fields, allowed)
        self.header_octets += part.body_start - part.header_start
        if (
            self.header_octets > HEADER_LIMIT
            or self.fields >= FIELD_LIMIT
            or self.parts >= PART_LIMIT
        ):
            # From here on nothing is taken apart: all that is open reaches to the end.
            self.exhausted = True

    def _inside(self, part: Part, depth: int, following: _Found) -> _Found:
        media = part.content_type.type.lower()
        if media == b"multipart":
            boundary = (part.content_type.parameter(b"boundary") or b"")[:_BOUNDARY_LENGTH]
            if boundary:
                return self._multipart(part, b"--" + boundary, depth)
        elif media == b"message" and part.content_type.subtype.lower() == b"rfc822":
            part.message, following = self._part(part.body_start, depth + 1, TEXT_PLAIN)
        return following

    def _multipart(self, part: Part, delimiter: bytes, depth: int) -> _Found:
        part.is_multipart = True
        digest = part.content_type.subtype.lower() == b"digest"
        level = len(self.open)
        self.open.append(_OpenBoundary(delimiter, part.body_start))
        found = self._next_boundary(part.body_start)
        while found.level == level:
            after = found.position + len(delimiter)
            line_end = self.data.find(b"\n", after)
            if self.data.startswith(b"--", after):
                # The epilogue: only boundaries of the parts around end it.
                del self.open[level:]
                return self._next_boundary(after)
            if line_end < 0:
                line_end = len(self.data) - 1
            # RFC 2046 §5.1.5: parts of a digest are messages unless they say otherwise.
            child, found = self._part(line_end + 1, depth + 1, _MESSAGE if digest else TEXT_PLAIN)
            part.children.append(child)
        del self.open[level:]
        return found

    def _next_boundary(self, start: int) -> _Found:
        """The first line at or after `start` that begins with an open boundary."""
        best = _Found(len(self.data), -1)
        if self.exhausted:
            return best
        length = 0
        for level, boundary in enumerate(self.open):
            place = self._advance(boundary, start, best.position)
            longer = place == best.position and len(boundary.delimiter) >= length
            if boundary.found and (place < best.position or longer):
                best, length = _Found(place, level), len(boundary.delimiter)
        return best

    def _advance(self, boundary: _OpenBoundary, start: int, limit: int) -> int:
        """Look for `boundary` from `start` to a line beginning at `limit`; return its place."""
        if boundary.found and boundary.place >= start:
            return boundary.place
        place = max(boundary.place, start)
        boundary.found = self._at_line_start(place) and self.data.startswith(
            boundary.delimiter, place
        )
        if not boundary.found and place < limit:
            pattern = b"\n" + boundary.delimiter
            line_end = self.data.find(pattern, place, limit + len(boundary.delimiter))
            boundary.found = line_end >= 0
            place = line_end + 1 if boundary.found else limit
        boundary.place = place
        return place

    def _at_line_start(self, place: int) -> bool:
        return place == 0 or self.data[place - 1] == 0x0A

    def _body_start(self, start: int, boundary: int) -> int:
        """Where the header that begins at `start` ends: at its empty line or before `boundary`."""
        end = self._header_end(start)
        return end if end <= boundary else self._before_line_end(boundary, start)

    def _header_end(self, start: int) -> int:
        """Where the body of the part at `start` begins, if no boundary comes before."""
        if self.data.startswith((b"\n", b"\r\n"), start):
            return self.data.index(b"\n", start) + 1
        position, end = self.blank
        if position < start:
            match = _BLANK_LINE.search(self.data, start)
            position, end = match.span() if match else (len(self.data), len(self.data))
            self.blank = (position, end)
        return end

    def _before_line_end(self, position: int, lowest: int) -> int:
        """`position` of a boundary line without the line end before it, which belongs to it."""
        if position < len(self.data):
            if position > lowest and self.data[position - 1] == 0x0A:
                position -= 1
            if position > lowest and self.data[position - 1] == 0x0D:
                position -= 1
        return max(position, lowest)

    def _lines_to(self, position: int) -> int:
        """Line ends before `position`; asked with rising positions, so each octet counts once."""
        if position > self.counted_to:
            self.lines += self.data.count(b"\n", self.counted_to, position)
            self.counted_to = position
        return self.lines
