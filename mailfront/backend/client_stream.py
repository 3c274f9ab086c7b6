"""The client's side of an authenticated session in process: lines, literals, replies.

A thin asyncio shell over the client's transport for backends that speak the protocol themselves.
Reading is bounded and flow-controlled; writing waits for a slow client in `drain`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from mailfront.errors import PeerGoneError, ServerStoppingError, SessionKickedError
from mailfront.protocol.receive_buffer import ReceiveBuffer

Value = TypeVar("Value")

# Reading pauses above this many unread octets, so a client that pipelines without reading
# our answers cannot grow our memory.
HIGH_WATER = 256 * 1024


class ClientStream(asyncio.Protocol):
    """Takes over `transport` from the front. `leftover` are bytes it had received already.

    For one reader, which also writes. While it waits, for input or for the client to take our
    answers, one timer runs; it is not set anew for each wait but looks, when it is due, whether
    the wait of that moment is over time.
    """

    __slots__ = (
        "_arrival", "_between_commands", "_buffer", "_ended", "_idle_timeout", "_kicked", "_loop",
        "_overdue", "_paused_reading", "_paused_writing", "_stopping", "_taken", "_timer",
        "_transport",
    )  # fmt: skip

    def __init__(self, transport: asyncio.Transport, leftover: bytes, idle_timeout: float) -> None:
        self._transport = transport
        self._buffer = ReceiveBuffer(leftover)
        self._loop = asyncio.get_running_loop()
        self._idle_timeout = idle_timeout
        self._arrival: asyncio.Future[None] | None = None
        self._taken: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._overdue = 0.0  # on the loop's clock: when the present wait is too long
        self._paused_reading = False
        self._paused_writing = False
        self._ended = False
        self._stopping = self._kicked = False
        self._between_commands = False
        transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self._buffer.feed(data)
        if len(self._buffer) > HIGH_WATER and not self._paused_reading:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        """Part of `asyncio.Protocol`: the client will send no more; answers still go out."""
        self._ended = True
        self._wake_reader()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._ended = True
        self._wake_reader()
        self.resume_writing()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`: the client reads slower than we write."""
        self._paused_writing = True

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        self._paused_writing = False
        _complete(self._taken)

    def stop(self, *, kicked: bool = False) -> None:
        """End the session at its next wait for a command, at once if it waits for one now."""
        self._stopping = True
        self._kicked = kicked
        if self._between_commands:
            self._wake_reader()

    def has_input(self) -> bool:
        """Whether unread bytes are waiting."""
        return len(self._buffer) > 0

    async def line(self, limit: int) -> bytes:
        """The next line without its end.

        Raises `LineTooLongError`; `PeerGoneError` at the end of input; `TimeoutError` when the
        client stays silent for the idle time-out; `ServerStoppingError`.
        """
        while (line := self._buffer.next_line(limit)) is None:
            await self._more_commands()
        self._maybe_resume()
        return line

    async def parsed(self, parse: Callable[[ReceiveBuffer], Value | None]) -> Value:
        """What `parse` makes of the received bytes, tried again as more arrive while it gives None.

        It bounds what it leaves in the buffer, to less than half of `HIGH_WATER`. Raises like
        `line`, and whatever `parse` raises.
        """
        while (value := parse(self._buffer)) is None:
            await self._more_commands()
        self._maybe_resume()
        return value

    async def chunk(self, count: int) -> bytes:
        """Between 1 and `count` octets as they arrive, for data whose length is known."""
        while not len(self._buffer):
            await self._more()
        data = self._buffer.take_at_most(count)
        self._maybe_resume()
        return data

    async def exactly(self, count: int) -> bytes:
        """Exactly `count` octets; the caller has judged `count` before."""
        parts = []
        while count:
            part = await self.chunk(count)
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    async def wait_input(self, *others: asyncio.Future[None]) -> bool:
        """Wait until input arrives (True) or one of `others` is done first (False).

        Raises like `line`. For IDLE: others are the mailbox's change signals.
        """
        if len(self._buffer):
            return True
        if self._ended:
            raise PeerGoneError("the client closed the connection")
        self._check_stopping()
        self._between_commands = True
        for other in others:
            other.add_done_callback(self._wake_for)
        try:
            await self._arrived()
        finally:
            self._between_commands = False
            for other in others:
                other.remove_done_callback(self._wake_for)
        self._check_stopping()
        return len(self._buffer) > 0 or self._ended

    def write(self, data: bytes) -> None:
        """Queue an answer. Follow large ones by `drain`."""
        self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the client has taken enough of what was written.

        Raises `PeerGoneError` if it went away, `TimeoutError` if it takes nothing for the idle
        time-out.
        """
        while self._paused_writing:
            self._taken = self._loop.create_future()
            self._start_waiting()
            try:
                await self._taken
            finally:
                self._taken = None
        if self._transport.is_closing():
            raise PeerGoneError("the client closed the connection")

    async def _more(self) -> None:
        if self._ended:
            raise PeerGoneError("the client closed the connection")
        self._maybe_resume()
        await self._arrived()

    async def _arrived(self) -> None:
        self._arrival = self._loop.create_future()
        self._start_waiting()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def _start_waiting(self) -> None:
        self._overdue = self._loop.time() + self._idle_timeout
        if self._timer is None:
            self._timer = self._loop.call_at(self._overdue, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        waiting = self._arrival if self._arrival is not None else self._taken
        if waiting is None or waiting.done():
            return
        if self._loop.time() < self._overdue:
            self._timer = self._loop.call_at(self._overdue, self._look_at_clock)
        else:
            waiting.set_exception(TimeoutError("the client was silent for too long"))

    async def _more_commands(self) -> None:
        self._check_stopping()
        self._between_commands = True
        try:
            await self._more()
        finally:
            self._between_commands = False
        if not len(self._buffer):
            self._check_stopping()

    def _check_stopping(self) -> None:
        if self._kicked:
            raise SessionKickedError("an administrator ends the session")
        if self._stopping:
            raise ServerStoppingError("the server is stopping")

    def _wake_reader(self) -> None:
        _complete(self._arrival)

    def _wake_for(self, _: asyncio.Future[None]) -> None:
        _complete(self._arrival)

    def _maybe_resume(self) -> None:
        if self._paused_reading and len(self._buffer) < HIGH_WATER // 2:
            self._paused_reading = False
            if not self._transport.is_closing():
                self._transport.resume_reading()


def _complete(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
