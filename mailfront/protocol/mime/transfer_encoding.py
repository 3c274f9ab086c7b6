"""Content transfer encodings (RFC 2045 §6): the octets that a body stands for.

Takes the encoded body, gives the decoded octets. Tolerant: junk between base64 characters, missing
padding and wrong escapes cost the octets in question, never the rest. The result is never longer
than the input, and never longer than `limit` where one is given.
"""

from __future__ import annotations

import binascii

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))


def decode_body(data: bytes, encoding: bytes, *, limit: int | None = None) -> bytes:
    """Decode `data` by the Content-Transfer-Encoding `encoding` (any case).

    7bit, 8bit, binary and unknown encodings give the data as it is. With `limit`, decoding stops
    after at most that many octets.
    """
    name = encoding.lower()
    if name == b"base64":
        # Twice the ideal input leaves room for line ends.
        decoded = decode_base64(data if limit is None else data[: 2 * limit + 4])
    elif name == b"quoted-printable":
        decoded = decode_quoted_printable(data if limit is None else data[: 3 * limit])
    else:
        decoded = data
    return decoded if limit is None else decoded[:limit]


def decode_base64(data: bytes) -> bytes:
    """Decode base64; what is no base64 is skipped, and the first padding ends the data."""
    clean = data.partition(b"=")[0].translate(None, _NOT_BASE64)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))


def decode_quoted_printable(data: bytes) -> bytes:
    """Decode quoted-printable; white space at line ends is dropped (RFC 2045 §6.7 rule 3)."""
    if b" \n" in data or b"\t\n" in data or b" \r\n" in data or b"\t\r\n" in data:
        data = b"\n".join(
            line[:-1].rstrip(b" \t") + b"\r" if line.endswith(b"\r") else line.rstrip(b" \t")
            for line in data.split(b"\n")
        )
    return binascii.a2b_qp(data)
