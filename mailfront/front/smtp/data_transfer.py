"""One DATA command while its octets arrive: counts, judges and keeps them.

Fed straight from the connection's `data_received`, a chunk at a time, so that no task wakes up
until the data has ended, must be written to disk, or has gone too far.
"""

from __future__ import annotations

from mailfront.front.smtp.incoming import IncomingMessage
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.data_reader import DataReader
from mailfront.protocol.smtp.reply import Reply

# Refused data is read on to its end, because most clients read no reply before they have sent it
# all; but for no more than this beyond the size limit.
DRAIN_ALLOWANCE = 64 * 1024 * 1024


class DataTransfer:
    """Collects the data of one message in `message`.

    `refusal` says why the message is not taken, though its data is still read. `abandoned` tells
    that the client goes on for so long that the connection must be closed.
    """

    __slots__ = (
        "_memory_limit", "_reader", "_received", "_size_limit", "abandoned", "message", "refusal",
    )  # fmt: skip

    def __init__(self, message: IncomingMessage, size_limit: int, memory_limit: int) -> None:
        self._reader = DataReader()
        self._size_limit = size_limit
        self._memory_limit = memory_limit
        self._received = 0
        self.message = message
        self.refusal: Reply | None = None
        self.abandoned = False

    @property
    def finished(self) -> bool:
        """Whether the end of the data was seen."""
        return self._reader.finished

    @property
    def leftover(self) -> bytes:
        """What came behind the end of the data."""
        return self._reader.leftover

    @property
    def needs_spooling(self) -> bool:
        """Whether so much is in memory that no more should be received before it has moved on."""
        return self.message.in_memory >= self._memory_limit

    def feed(self, data: bytes) -> None:
        """Take received octets."""
        self._received += len(data)
        body = self._reader.feed(data)
        if self.refusal is None:
            if self._reader.bare_line_end:
                self.refuse(reply.BARE_LINE_END)
            elif self._reader.nul:
                self.refuse(reply.NUL_IN_MESSAGE)
            elif self.message.size + len(body) > self._size_limit:
                self.refuse(reply.MESSAGE_TOO_LARGE)
            else:
                self.message.append(body)
        if self.refusal is not None and self._received > self._size_limit + DRAIN_ALLOWANCE:
            self.abandoned = True

    def refuse(self, refusal: Reply) -> None:
        """Take no more of the message: forget it, read on to its end."""
        self.refusal = refusal
        self.message.close()
