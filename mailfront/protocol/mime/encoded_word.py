"""Encoded words (RFC 2047, RFC 2231 §5) to text for people.

Takes a raw header value, gives text on one line without control characters. Linear and total: what
is not a proper encoded word stays as it is written. The standard library's decoder is not used: it
raises on malformed base64 and splits multi-octet characters between adjacent words.
"""

from __future__ import annotations

import binascii
import re

from mailfront.protocol.mime.charset import decode_charset, decode_unlabelled
from mailfront.protocol.mime.transfer_encoding import decode_base64

# RFC 2047 §2 allows no white space inside a word; real mail has spaces in Q words.
_WORD = re.compile(
    rb"=\?([!#$%&'*+\-0-9A-Z\\^_`a-z{|}~]{1,60})\?([BbQq])\?([^?\r\n]*)\?=", re.ASCII
)
_CONTROLS = dict.fromkeys((*range(0x20), 0x7F, 0x2028, 0x2029), " ")


def decode_words(value: bytes) -> str:
    """The text of a header value: words decoded, folds removed, controls turned into spaces."""
    value = value.replace(b"\r\n", b"").replace(b"\n", b"").strip(b" \t\r")
    if b"=?" not in value:
        return decode_unlabelled(value).translate(_CONTROLS)
    pieces: list[str] = []
    pending: tuple[str, bytearray] | None = None
    place = 0
    for match in _WORD.finditer(value):
        gap = value[place : match.start()]
        charset, octets = match[1].decode("ascii"), _octets(match[2], match[3])
        # White space between adjacent words is not shown (§6.2), and a character may be cut in two.
        if pending is not None and not gap.strip(b" \t"):
            if pending[0].lower() == charset.lower():
                pending[1].extend(octets)
                place = match.end()
                continue
            gap = b""
        if pending is not None:
            pieces.append(decode_charset(bytes(pending[1]), pending[0]))
        pieces.append(decode_unlabelled(gap))
        pending = (charset, bytearray(octets))
        place = match.end()
    if pending is not None:
        pieces.append(decode_charset(bytes(pending[1]), pending[0]))
    pieces.append(decode_unlabelled(value[place:]))
    return "".join(pieces).translate(_CONTROLS)


def _octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"Bb":
        return decode_base64(text)
    return binascii.a2b_qp(text, header=True)
