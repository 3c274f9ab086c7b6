"""Responses: values to bytes (RFC 3501 §7, §9). What is made here parses by the grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mailfront.protocol.imap.mailbox_name import encode

# What may stand between quotes as it is; longer or other strings are sent as literals.
_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_MAXIMUM_QUOTED = 1000
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_SPECIAL = re.compile(rb'(["\\])')


def string(value: bytes) -> bytes:
    """`value` as a quoted string, or as a literal where that cannot be."""
    if len(value) <= _MAXIMUM_QUOTED and _QUOTABLE.fullmatch(value):
        return b'"' + _SPECIAL.sub(rb"\\\1", value) + b'"'
    return b"{%d}\r\n%s" % (len(value), value)


def nstring(value: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return b"NIL" if value is None else string(value)


def astring(value: bytes) -> bytes:
    """`value` as an atom where it is one, else as a string. NIL is never written as an atom."""
    if _ATOM.fullmatch(value) and value.upper() != b"NIL":
        return value
    return string(value)


def mailbox(name: str) -> bytes:
    """A mailbox name in modified UTF-7."""
    return astring(encode(name))


def parenthesised(values: Iterable[bytes]) -> bytes:
    """`(value value …)`."""
    return b"(" + b" ".join(values) + b")"


def tagged(tag: bytes, condition: bytes, text: bytes) -> bytes:
    """The end of a command: OK, NO or BAD. `text` begins with the response code, if any."""
    return b"%s %s %s\r\n" % (tag, condition, text)


def untagged(text: bytes) -> bytes:
    """An untagged response."""
    return b"* %s\r\n" % text


def continuation(text: bytes = b"Go ahead") -> bytes:
    """Leave to send more."""
    return b"+ %s\r\n" % text
