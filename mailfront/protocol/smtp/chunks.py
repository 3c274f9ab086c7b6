"""BDAT and its chunks (RFC 3030 section 2).

Takes the argument of BDAT, and the octets of chunks in pieces of any size. How long a chunk is was
said before it, so no octet in it ends a message. What a message may hold is as after DATA: lines
that end with CRLF. For BINARYMIME is not offered, and the message may go on by DATA.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailfront.errors import SmtpRefusalError
from mailfront.protocol.smtp.data_reader import line_ends

_CHUNK = re.compile(r"(?P<size>[0-9]{1,20})(?: +(?P<last>LAST))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Chunk:
    """What BDAT announces: so many octets, and whether they are the last of the message."""

    size: int
    last: bool


def parse_chunk(argument: str) -> Chunk:
    """Read the argument of BDAT. Raises `SmtpRefusalError`."""
    found = _CHUNK.fullmatch(argument.strip(" "))
    if found is None:
        raise SmtpRefusalError(501, "5.5.4", "Syntax: BDAT octets [LAST]")
    return Chunk(int(found["size"]), found["last"] is not None)


class ChunkReader:
    """Reads the chunks of one message, whose borders mean nothing to its lines.

    `bare_line_end` and `nul` tell that the message contains what must be refused.
    """

    __slots__ = ("_held", "_tail", "bare_line_end", "nul")

    def __init__(self) -> None:
        # A CR that waits for its LF.
        self._held = b""
        # The last two octets given out; nothing has begun a line without an end yet.
        self._tail = b"\r\n"
        self.bare_line_end = False
        self.nul = False

    def feed(self, data: bytes) -> bytes:
        """Take octets of a chunk; return the octets of the message that are now certain."""
        body = self._held + data if self._held else data
        self._held = b""
        if body.endswith(b"\r"):
            body, self._held = body[:-1], b"\r"
        if not body:
            return b""
        if line_ends(body) not in (None, "\r\n"):
            self.bare_line_end = True
        if b"\0" in body:
            self.nul = True
        self._tail = (self._tail + body[-2:])[-2:]
        return body

    def end(self) -> bytes:
        """After the last chunk: return what makes its last line whole."""
        if self._held:
            self.bare_line_end = True
        return b"" if self._tail == b"\r\n" else b"\r\n"
