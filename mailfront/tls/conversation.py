"""A peer's octets where we are the client and wait for each answer.

Takes what a transport delivers; gives it to one reader at a time, and says when more may be
written. What a peer says without being asked is bounded.
"""

from __future__ import annotations

import asyncio

from mailfront.errors import PeerGoneError

# What a peer may say before anybody reads it.
_MOST_UNREAD = 1024 * 1024


class Conversation(asyncio.Protocol):
    """A peer's octets for a reader that waits for them, one piece at a time, and word of when
    it takes more of ours."""

    __slots__ = ("_arrival", "_ended", "_pieces", "_unread", "_writing_paused")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._unread = 0
        self._arrival: asyncio.Future[None] | None = None
        self._writing_paused = False
        self._ended = False

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`; a view is copied."""
        self._unread += len(data)
        if self._unread > _MOST_UNREAD:
            # It talks on without being asked: nothing it says after that is believed.
            self._ended = True
        if not self._ended:
            self._pieces.append(bytes(data))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._ended = True
        self.resume_writing()

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`: the peer reads slower than we write."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._writing_paused = False
        self._wake()

    async def drained_or_arrived(self) -> None:
        """Return once more may be written or there is something to read. Raises `PeerGoneError`."""
        while not self._pieces:
            if self._ended:
                raise PeerGoneError("it closed the connection")
            if not self._writing_paused:
                return
            await self._news()

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come."""
        return self._ended

    async def received(self) -> bytes:
        """What has arrived since the last call, at least an octet. Raises `PeerGoneError`."""
        while not self._pieces:
            if self._ended:
                raise PeerGoneError("it closed the connection")
            await self._news()
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._unread = 0
        return data

    def is_empty(self) -> bool:
        """Whether nothing unread is here."""
        return not self._pieces

    async def _news(self) -> None:
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
