"""A message while its octets arrive, by DATA or by BDAT: counted, judged and kept.

Fed straight from the connection's `data_received`, a piece at a time, so that no task wakes up
until the data has ended, must be written to disk, or has gone too far.
"""

from __future__ import annotations

import sys

from mailfront.front.smtp.incoming import IncomingMessage
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.chunks import Chunk, ChunkReader
from mailfront.protocol.smtp.data_reader import DataReader
from mailfront.protocol.smtp.reply import Reply

# Refused data is read on to its end, because most clients read no reply before they have sent it
# all; but for no more than this beyond the size limit.
DRAIN_ALLOWANCE = 64 * 1024 * 1024


class Transfer:
    """Collects one message in `message`.

    `refusal` says why the message is not taken, though its data is still read. `abandoned` tells
    that the client goes on for so long that the connection must be closed. `finished` tells that
    commands are expected next, and `leftover` what came behind the data; `is_whole` whether the
    message has ended with it.
    """

    __slots__ = (
        "_memory_limit", "_size_limit", "abandoned", "finished", "is_whole", "leftover", "message",
        "refusal",
    )  # fmt: skip

    def __init__(self, message: IncomingMessage, size_limit: int, memory_limit: int) -> None:
        self._size_limit = size_limit
        self._memory_limit = memory_limit
        self.message = message
        self.refusal: Reply | None = None
        self.abandoned = False
        self.finished = False
        self.is_whole = False
        self.leftover = b""

    @property
    def expected(self) -> int:
        """How many more octets are data, at most."""
        raise NotImplementedError

    @property
    def needs_spooling(self) -> bool:
        """Whether so much is in memory that no more should be received before it has moved on."""
        return self.message.in_memory >= self._memory_limit

    def feed(self, data: bytes) -> None:
        """Take received octets."""
        raise NotImplementedError

    def refuse(self, refusal: Reply) -> None:
        """Take no more of the message: forget it, read on to its end."""
        self.refusal = refusal
        self.message.close()

    def _keep(self, body: bytes, reader: DataReader | ChunkReader) -> None:
        if reader.bare_line_end:
            self.refuse(reply.BARE_LINE_END)
        elif reader.nul:
            self.refuse(reply.NUL_IN_MESSAGE)
        elif self.message.size + len(body) > self._size_limit:
            self.refuse(reply.MESSAGE_TOO_LARGE)
        else:
            self.message.append(body)


class DataTransfer(Transfer):
    """What follows DATA, up to the line with a single dot."""

    __slots__ = ("_reader", "_received")

    def __init__(self, message: IncomingMessage, size_limit: int, memory_limit: int) -> None:
        super().__init__(message, size_limit, memory_limit)
        self._reader = DataReader()
        self._received = 0

    @property
    def expected(self) -> int:
        """Part of `Transfer`."""
        return sys.maxsize

    def feed(self, data: bytes) -> None:
        """Part of `Transfer`."""
        self._received += len(data)
        body = self._reader.feed(data)
        if self._reader.finished:
            self.finished = self.is_whole = True
            self.leftover = self._reader.leftover
        if self.refusal is None:
            self._keep(body, self._reader)
        if self.refusal is not None and self._received > self._size_limit + DRAIN_ALLOWANCE:
            self.abandoned = True


class ChunkTransfer(Transfer):
    """What follows one BDAT after the other; `expect` is told each of them."""

    __slots__ = ("_last", "_reader", "_remaining")

    def __init__(self, message: IncomingMessage, size_limit: int, memory_limit: int) -> None:
        super().__init__(message, size_limit, memory_limit)
        self._reader = ChunkReader()
        self._remaining = 0
        self._last = False

    @property
    def expected(self) -> int:
        """Part of `Transfer`."""
        return self._remaining

    def expect(self, chunk: Chunk) -> None:
        """A BDAT was read: its octets follow."""
        self._remaining = chunk.size
        self._last = chunk.last
        self.finished = False
        self.leftover = b""
        if self.refusal is None and self.message.size + chunk.size > self._size_limit:
            self.refuse(reply.MESSAGE_TOO_LARGE)

    def feed(self, data: bytes) -> None:
        """Part of `Transfer`."""
        if len(data) > self._remaining:
            self.leftover = data[self._remaining :]
            data = data[: self._remaining]
        self._remaining -= len(data)
        body = self._reader.feed(data) if self.refusal is None else b""
        if not self._remaining:
            self.finished = True
            if self._last:
                self.is_whole = True
                body += self._reader.end()
        if self.refusal is None:
            self._keep(body, self._reader)
