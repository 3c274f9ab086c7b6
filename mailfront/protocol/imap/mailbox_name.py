"""Mailbox names: modified UTF-7 on the wire, text with `/` between levels inside.

RFC 3501 §5.1 says what a name is and §5.1.3 how other characters than US-ASCII are written. The
decoding is strict: a text has one accepted form, so two spellings cannot name one mailbox. With
`dots`, a dot is written in base64 too: so Maildir++ directories spell a level of a name.
"""

from __future__ import annotations

import binascii
import re

from mailfront.errors import ImapSyntaxError

DELIMITER = "/"
INBOX = "INBOX"

_SHIFTED = re.compile(rb"&([^-]*)-")
_TO_SHIFT = re.compile("[^\x20-\x7e]+|&")
_TO_SHIFT_WITH_DOTS = re.compile(r"[^ -,\-/-~]+|&")


def decode(wire: bytes, *, dots: bool = False) -> str:
    """The text that `wire` stands for. Raises `ImapSyntaxError` for anything not canonical."""
    if not wire.isascii() or any(octet < 0x20 or octet == 0x7F for octet in wire):
        raise ImapSyntaxError("Mailbox names are written in modified UTF-7")
    if b"&" not in wire and not (dots and b"." in wire):
        return wire.decode("ascii")
    try:
        text = _SHIFTED.sub(_unshift, wire).decode("utf-8")
    except (binascii.Error, UnicodeError) as error:
        raise ImapSyntaxError("Invalid modified UTF-7 in a mailbox name") from error
    if encode(text, dots=dots) != wire:
        raise ImapSyntaxError("Invalid modified UTF-7 in a mailbox name")
    return text


def encode(text: str, *, dots: bool = False) -> bytes:
    """`text` in modified UTF-7."""
    if text.isascii() and "&" not in text and text.isprintable() and not (dots and "." in text):
        return text.encode("ascii")
    return (_TO_SHIFT_WITH_DOTS if dots else _TO_SHIFT).sub(_shift, text).encode("ascii")


def _unshift(match: re.Match[bytes]) -> bytes:
    shifted = match.group(1)
    if not shifted:
        return b"&"
    octets = binascii.a2b_base64(
        shifted.replace(b",", b"/") + b"=" * (-len(shifted) % 4), strict_mode=True
    )
    return octets.decode("utf-16-be").encode("utf-8")


def _shift(match: re.Match[str]) -> str:
    text = match.group()
    if text == "&":
        return "&-"
    octets = binascii.b2a_base64(text.encode("utf-16-be", "surrogatepass"), newline=False)
    return "&" + octets.rstrip(b"=").replace(b"/", b",").decode("ascii") + "-"


def canonical(text: str) -> str:
    """`text` with INBOX as the first level in capitals (its letter case does not matter)."""
    first, delimiter, rest = text.partition(DELIMITER)
    return INBOX + delimiter + rest if first.upper() == INBOX else text
