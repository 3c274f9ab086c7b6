"""The octets after DATA: where they end, what they are without dot-stuffing (RFC 5321 4.5.2).

Takes chunks of any size, works on each as a whole and never line by line. Only CRLF "." CRLF ends
the data. A CR or LF outside a CRLF is noted and never re-interpreted, so no sequence that another
server may take for the end of data (SMTP smuggling, CVE-2023-51764 and its kin) can hide a
message here.
"""

from __future__ import annotations

import io

_END = b"\r\n.\r\n"
# The beginnings of _END that a chunk may stop in, longest first.
_PARTIAL_ENDS = (b"\r\n.\r", b"\r\n.", b"\r\n", b"\r")


class DataReader:
    """Reads the data of one message.

    `finished` tells that the end was seen; then `leftover` holds what came behind it.
    `bare_line_end` and `nul` tell that the message contains what must be refused.
    """

    __slots__ = ("_held", "_stripped", "bare_line_end", "finished", "leftover", "nul")

    def __init__(self) -> None:
        # The data begins at the start of a line: as if a CRLF stood before it, not given out.
        self._held = b"\r\n"
        self._stripped = False
        self.finished = False
        self.leftover = b""
        self.bare_line_end = False
        self.nul = False

    def feed(self, data: bytes) -> bytes:
        """Take received octets; return the octets of the message that are now certain."""
        block = self._held + data
        # A line that begins with a dot is rare: one search serves for the end and the stuffing.
        dot = block.find(b"\r\n.")
        end = -1 if dot < 0 else block.find(_END, dot)
        if end >= 0:
            self.finished = True
            self.leftover = block[end + len(_END) :]
            self._held = b""
            body = block[: end + 2]
        else:
            self._held = _partial_end(block)
            body = block[: len(block) - len(self._held)]
        if not body:
            return b""
        if line_ends(body) not in (None, "\r\n"):
            self.bare_line_end = True
        if b"\0" in body:
            self.nul = True
        if 0 <= dot < len(body) - 2:
            body = body.replace(b"\r\n.", b"\r\n")
        if not self._stripped:
            self._stripped = True
            body = body[2:]
        return body


def line_ends(body: bytes) -> str | tuple[str, ...] | None:
    """Return which of CR LF, CR and LF end lines in `body`; None if there is no line end."""
    # The standard library's universal newlines: the fastest look at each octet that there is.
    decoder = io.IncrementalNewlineDecoder(None, translate=False)
    decoder.decode(body.decode("latin-1"), final=True)
    return decoder.newlines


def _partial_end(block: bytes) -> bytes:
    for partial in _PARTIAL_ENDS:
        if block.endswith(partial):
            return partial
    return b""
