"""Bytes received and not yet understood: lines and counted data, each with a bound.

Takes chunks as they arrive, gives complete lines or exactly counted bytes. It remembers how far it
searched for a line end, so a peer that drips single bytes costs linear time.
"""

from __future__ import annotations

from mailfront.errors import LineTooLongError


class ReceiveBuffer:
    """A bounded byte queue. The bound of a line is named at each call, not stored."""

    __slots__ = ("_bytes", "_searched")

    def __init__(self, initial: bytes = b"") -> None:
        self._bytes = bytearray(initial)
        self._searched = 0

    def __len__(self) -> int:
        return len(self._bytes)

    def feed(self, data: bytes | memoryview) -> None:
        """Append received bytes."""
        self._bytes += data

    def next_line(self, limit: int) -> bytes | None:
        """Take one line without its line end (CRLF, or a bare LF as many clients send).

        Returns None when no line end has arrived yet. Raises `LineTooLongError` as soon as more
        than `limit` octets stand before the line end; the buffer is then emptied.
        """
        end = self._bytes.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._bytes)
            if self._searched > limit + 1:
                self.clear()
                raise LineTooLongError(f"line of more than {limit} octets")
            return None
        stop = end - 1 if end and self._bytes[end - 1] == 0x0D else end
        if stop > limit:
            self.clear()
            raise LineTooLongError(f"line of more than {limit} octets")
        line = bytes(memoryview(self._bytes)[:stop])
        del self._bytes[: end + 1]
        self._searched = 0
        return line

    def take(self, count: int) -> bytes | None:
        """Take exactly `count` octets, or None if fewer have arrived."""
        if len(self._bytes) < count:
            return None
        return self.take_at_most(count)

    def take_at_most(self, count: int) -> bytes:
        """Take up to `count` octets of what is there (possibly none)."""
        data = bytes(memoryview(self._bytes)[:count])
        del self._bytes[:count]
        self._searched = 0
        return data

    def clear(self) -> None:
        """Forget everything and free the memory."""
        self._bytes = bytearray()
        self._searched = 0
