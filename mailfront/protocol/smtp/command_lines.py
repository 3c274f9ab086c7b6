"""Command lines out of received octets (RFC 5321 sections 2.3.8, 4.1.1 and 4.5.3.1.4).

Lines end with CRLF and nothing else. An over-long line is skipped to its end without being kept,
then reported once, so that what is pipelined behind it still counts.
"""

from __future__ import annotations

from mailfront.errors import LineTooLongError, SmtpRefusalError


class CommandLines:
    """A byte queue that gives one command line at a time; the bound is named at each call."""

    __slots__ = ("_bytes", "_searched", "_skipping")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._searched = 0
        self._skipping = False

    def __len__(self) -> int:
        return len(self._bytes)

    def feed(self, data: bytes) -> None:
        """Append received octets."""
        self._bytes += data

    def next_line(self, limit: int) -> bytes | None:
        """Take one line of at most `limit` octets (its CRLF counts) and return it without CRLF.

        Returns None while no line end has arrived. Raises `LineTooLongError` when a longer line
        has gone by; `SmtpRefusalError` for a line with a bare LF, a bare CR or a NUL. The line is
        consumed in each case.
        """
        end = self._bytes.find(b"\n", self._searched)
        if end < 0:
            if self._skipping or len(self._bytes) > limit:
                self._skipping = True
                self._bytes.clear()
            self._searched = len(self._bytes)
            return None
        line = bytes(memoryview(self._bytes)[: end + 1])
        del self._bytes[: end + 1]
        self._searched = 0
        if self._skipping or len(line) > limit:
            self._skipping = False
            raise LineTooLongError(f"command line of more than {limit} octets")
        if not line.endswith(b"\r\n"):
            raise SmtpRefusalError(500, "5.5.2", "Command lines end with CR LF")
        line = line[:-2]
        if b"\r" in line or b"\0" in line:
            raise SmtpRefusalError(500, "5.5.2", "Control characters in a command line")
        return line

    def take(self, most: int) -> bytes:
        """Take at most so many octets: they are something other than commands."""
        data = bytes(memoryview(self._bytes)[:most])
        if len(data) == len(self._bytes):
            self.clear()
        else:
            del self._bytes[: len(data)]
            self._searched = 0
        return data

    def clear(self) -> None:
        """Forget everything and free the memory."""
        self._bytes = bytearray()
        self._searched = 0
        self._skipping = False
