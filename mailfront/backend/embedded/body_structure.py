"""BODY and BODYSTRUCTURE of a message (RFC 9051 §7.5.2) as finished bytes, from its MIME scan.

Takes the scanned message and its bytes, gives the parenthesized list of a FETCH response. A part
that was not taken apart (too deep, or a multipart without boundary) is application/octet-stream: a
client would look for parts in it otherwise.
"""

from __future__ import annotations

from mailfront.backend.embedded.envelope import envelope, header_text, imap_nstring, imap_string
from mailfront.protocol.mime.header import ContentType, Disposition, Parameters
from mailfront.protocol.mime.scan import Part

# Octets of the headers of all inner messages together of which envelopes are made.
INNER_HEADERS_LIMIT = 512 * 1024

# A multipart without parts cannot be said in IMAP; it is shown with one empty part.
_EMPTY_PART = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
_EMPTY_PART_EXTENDED = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'


def body_structure(part: Part, message: bytes, *, extended: bool) -> bytes:
    """The structure of `part` of `message`: BODYSTRUCTURE if `extended`, else BODY."""
    pieces: list[bytes] = []
    _write(part, _Source(message), extended, pieces)
    return b"".join(pieces)


class _Source:
    """The message, and how much of its inner headers may still be taken apart."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._room = INNER_HEADERS_LIMIT

    def header(self, part: Part) -> bytes:
        """The header of an inner message, as far as there is room."""
        end = min(part.body_start, part.header_start + self._room)
        self._room -= end - part.header_start
        return self._message[part.header_start : end]


def _write(part: Part, source: _Source, extended: bool, pieces: list[bytes]) -> None:
    pieces.append(b"(")
    if part.is_multipart:
        for child in part.children:
            _write(child, source, extended, pieces)
        if not part.children:
            pieces.append(_EMPTY_PART_EXTENDED if extended else _EMPTY_PART)
        pieces.append(b" " + imap_string(part.content_type.subtype))
        if extended:
            pieces.append(b" " + _parameters(part.content_type.parameters))
            pieces.append(_extension(part))
    else:
        _write_single(part, source, extended, pieces)
    pieces.append(b")")


def _write_single(part: Part, source: _Source, extended: bool, pieces: list[bytes]) -> None:
    media = part.content_type
    kind = media.type.lower()
    is_message = part.message is not None
    if kind == b"multipart" or (media.essence == b"message/rfc822" and not is_message):
        names = b'"application" "octet-stream"'
    else:
        names = imap_string(media.type) + b" " + imap_string(media.subtype)
    fields = (
        names,
        _parameters(_with_charset(media)),
        imap_nstring(part.id),
        imap_nstring(None if part.description is None else header_text(part.description)),
        imap_string(part.encoding),
        b"%d" % part.size,
    )
    pieces.append(b" ".join(fields))
    if part.message is not None:
        inner = part.message
        pieces.append(b" " + envelope(source.header(inner)) + b" ")
        _write(inner, source, extended, pieces)
        pieces.append(b" %d" % part.line_count)
    elif kind == b"text":
        pieces.append(b" %d" % part.line_count)
    if extended:
        pieces.append(b" " + imap_nstring(part.md5) + _extension(part))


def _with_charset(media: ContentType) -> Parameters:
    """The parameters; text without a charset is US-ASCII (RFC 2046 §4.1.2), and clients rely on
    reading it here."""
    if media.type.lower() != b"text" or media.parameter(b"charset") is not None:
        return media.parameters
    return (*media.parameters, (b"charset", b"us-ascii"))


def _extension(part: Part) -> bytes:
    """Disposition, language and location, each with a space before it."""
    tags = b" ".join(imap_string(tag) for tag in part.language)
    language = b"(" + tags + b")" if tags else b"NIL"
    return b" %b %b %b" % (
        _disposition(part.disposition),
        language,
        imap_nstring(part.location),
    )


def _disposition(disposition: Disposition | None) -> bytes:
    if disposition is None:
        return b"NIL"
    return b"(%b %b)" % (imap_string(disposition.value), _parameters(disposition.parameters))


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    strings = (imap_string(text) for parameter in parameters for text in parameter)
    return b"(" + b" ".join(strings) + b")"
