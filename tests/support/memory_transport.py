"""A client's connection in memory: what the server writes is kept, what it reads is fed."""

from __future__ import annotations

import asyncio
from typing import cast


class MemoryTransport(asyncio.Transport):
    """Gives everything that was written so far and lets a test wait for more."""

    def __init__(self) -> None:
        super().__init__()
        self._received = bytearray()
        self.reading = True
        self._protocol: asyncio.Protocol | None = None
        self._closing = False
        self._changed = asyncio.Event()

    @property
    def protocol(self) -> asyncio.Protocol:
        """The server's side; it must have taken over the connection."""
        assert self._protocol is not None
        return self._protocol

    def feed(self, data: bytes) -> None:
        """The client sends `data`."""
        self.protocol.data_received(data)

    def hang_up(self) -> None:
        """The client closes the connection."""
        self._closing = True
        self.protocol.connection_lost(None)

    def take(self) -> bytes:
        """Everything that was written since the last call."""
        data = bytes(self._received)
        self._received.clear()
        self._changed.clear()
        return data

    async def more(self) -> None:
        """Wait until the server has written or closed since the last `take`."""
        await self._changed.wait()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._received += data
        self._changed.set()

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True
        self._changed.set()

    def close_lingering(self) -> None:
        self.close()

    def write_eof(self) -> None:
        self.close()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered here."""

    def abort(self) -> None:
        self.close()

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol
