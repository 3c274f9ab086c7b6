"""The relaxed canonical forms of header fields and body (RFC 6376 section 3.4).

Takes octets, gives octets or a hash; a body passes in chunks of any size, and little of it is held.
"""

from __future__ import annotations

import hashlib
import re

_BLANKS = re.compile(rb"[ \t]{2,}|\t")
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_LINE_END = b"\r\n"
_AT_ONCE = 32_768


def relaxed_field(name: bytes, value: bytes) -> bytes:
    """Return a header field without its line end: name in lower case, unfolded, blanks made one
    (RFC 6376 section 3.4.2)."""
    unfolded = _BLANKS.sub(b" ", _FOLD.sub(b"", value))
    return name.strip(b" \t").lower() + b":" + unfolded.strip(b" \t\r\n")


class BodyHash:
    """SHA-256 of a body in its relaxed form (RFC 6376 section 3.4.4): blanks at line ends and
    empty lines at the end of the body do not count, other runs of blanks are one."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        # Line ends that count only if something follows them.
        self._line_ends = 0
        # A blank or CR whose fate the next octets decide.
        self._undecided = b""
        self._is_empty = True

    def update(self, chunk: bytes) -> None:
        """Take the next octets of the body."""
        data = _BLANKS.sub(b" ", self._undecided + chunk).replace(b" \r\n", _LINE_END)
        keep = 2 if data.endswith(b" \r") else 1 if data.endswith((b" ", b"\r")) else 0
        cut = len(data) - keep
        self._undecided = data[cut:]
        self._count(data[:cut])

    def digest(self) -> bytes:
        """Return the hash of the whole body; to be called once, at its end."""
        self._count(self._undecided.removesuffix(b" "))
        if not self._is_empty:
            self._hash.update(_LINE_END)
        return self._hash.digest()

    def _count(self, data: bytes) -> None:
        """Hash `data`, but for the line ends that it ends with."""
        end = len(data)
        while end >= 2 and data[end - 2 : end] == _LINE_END:
            end -= 2
        if end:
            self._is_empty = False
            while self._line_ends:
                written = min(self._line_ends, _AT_ONCE)
                self._hash.update(_LINE_END * written)
                self._line_ends -= written
            self._hash.update(memoryview(data)[:end])
        self._line_ends += (len(data) - end) // 2
