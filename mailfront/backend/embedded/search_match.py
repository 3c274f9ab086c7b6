"""Does a message match a SEARCH key that needs its text (RFC 9051 §6.4.4)?

Pure functions over the message's bytes and its MIME scan. Texts compare without regard to case
(Unicode case folding), after encoded words, transfer encodings and charsets are undone. BODY and
TEXT look into the parts that are text, and TEXT into all headers, those of inner messages included.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

from mailfront.protocol.mime.charset import decode_charset
from mailfront.protocol.mime.encoded_word import decode_words
from mailfront.protocol.mime.header import HEADER_LIMIT, first_value, header_fields
from mailfront.protocol.mime.scan import Part
from mailfront.protocol.mime.transfer_encoding import decode_body

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ASCII_SUPERSETS = ("us-ascii", "utf-8", "iso-8859-", "windows-125")
_DATE = re.compile(
    rb"(?:^|[\s,])(\d{1,2})[\s-]{1,9}(" + "|".join(_MONTHS).encode() + rb")[a-z]{0,9}[\s-]{1,9}"
    rb"(\d{2,4})(?!\d)",
    re.IGNORECASE,
)


def header_matches(part: Part, name: bytes, wanted: str) -> bool:
    """Whether any field called `name` contains `wanted`; an empty text asks if there is one."""
    folded = wanted.casefold()
    return any(folded in decode_words(value).casefold() for value in part.headers(name.lower()))


def body_matches(message: bytes, part: Part, wanted: str) -> bool:
    """SEARCH BODY: whether the text of any text part of `part` contains `wanted`."""
    folded = wanted.casefold()
    return any(_leaf_matches(message, leaf, folded) for leaf in _parts(part) if _is_text(leaf))


def text_matches(message: bytes, part: Part, wanted: str) -> bool:
    """SEARCH TEXT: whether any header of the message or of its parts, or its text, does."""
    folded = wanted.casefold()
    return any(
        _header_contains(message, each, folded)
        or (_is_text(each) and _leaf_matches(message, each, folded))
        for each in _parts(part)
    )


def sent_date(headers: bytes) -> date | None:
    """The day in the Date field, its time and zone left aside (SENTBEFORE, SENTON, SENTSINCE)."""
    fields = header_fields(headers, 0, min(len(headers), HEADER_LIMIT))
    value = first_value(fields, b"date")
    match = None if value is None else _DATE.search(value[:1000])
    if match is None:
        return None
    year = int(match[3])
    # RFC 5322 §4.3: two- and three-digit years.
    if len(match[3]) == 2:
        year += 2000 if year < 50 else 1900
    elif len(match[3]) == 3:
        year += 1900
    try:
        return date(year, _MONTHS.index(match[2].decode().lower()) + 1, int(match[1]))
    except ValueError:
        return None


def _parts(part: Part) -> Iterator[Part]:
    """`part` and everything inside it, in order, without recursion."""
    waiting = [part]
    while waiting:
        each = waiting.pop()
        yield each
        waiting.extend(reversed(each.children))
        if each.message is not None:
            waiting.append(each.message)


def _is_text(part: Part) -> bool:
    return (
        not part.is_multipart and part.message is None and part.content_type.type.lower() == b"text"
    )


def _leaf_matches(message: bytes, part: Part, folded: str) -> bool:
    octets = decode_body(message[part.body_start : part.body_end], part.encoding)
    charset = (part.content_type.parameter(b"charset") or b"").decode("ascii", "replace")
    if octets.isascii() and charset.lower().startswith(_ASCII_SUPERSETS):
        # The common case, several times faster than decoding.
        return folded.isascii() and folded.encode() in octets.lower()
    return folded in decode_charset(octets, charset).casefold()


def _header_contains(message: bytes, part: Part, folded: str) -> bool:
    end = min(part.body_start, part.header_start + HEADER_LIMIT)
    for field in header_fields(message, part.header_start, end):
        line = field.name.decode("ascii", "replace") + ": " + decode_words(field.value)
        if folded in line.casefold():
            return True
    return False
