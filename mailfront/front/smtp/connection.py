"""Octets in and out of one SMTP connection: command lines, message data, replies, deadlines.

The base is aiosmtpd's protocol class, without the parts that this module replaces: its stream
reader (private buffer, line by line) and its TLS (asyncio's private `SSLProtocol`). Input is
bounded and flow-controlled, replies to pipelined commands leave together (RFC 2920 section 3.2).
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import AnyStr, cast

from aiosmtpd.smtp import SMTP

from mailfront.errors import PeerGoneError
from mailfront.front.smtp.data_transfer import DataTransfer
from mailfront.front.smtp.settings import SmtpSettings
from mailfront.front.smtp.spool import SpooledMessage
from mailfront.interfaces.tasks import start_task
from mailfront.interfaces.transport import UpgradableTransport
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.command_lines import CommandLines
from mailfront.protocol.smtp.reply import Reply

_log = logging.getLogger("mailfront.smtp")

# Reading pauses above this many octets of commands not yet executed.
INPUT_HIGH_WATER = 64 * 1024
# Replies to pipelined commands are held back up to this many.
MAXIMUM_HELD_REPLIES = 64


class SmtpConnection(SMTP):
    """The input and output of a session; `_handle_client`, its conversation, is a subclass's."""

    client: UpgradableTransport

    def __init__(self, settings: SmtpSettings) -> None:
        # aiosmtpd's constructor is not called: it inspects every method of session and handler
        # and makes a StreamReader, for each connection. What its methods need is set here and in
        # `connection_made`.
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self.hostname = settings.hostname
        self.stopping = False
        self._lines = CommandLines()
        self._transfer: DataTransfer | None = None
        self._replies: list[bytes] = []
        self._arrival: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._input_ended = False
        self._reading_paused = False
        self.waiting_for_command = False
        self._deadline = math.inf
        self._message_overdue = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self.client = cast(UpgradableTransport, transport)
        self.expect_by(self.loop.time() + self.settings.command_timeout)
        start_task(self._handle_client(), name="smtp session")

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`: data of a message goes straight to its reader."""
        if self._transfer is None:
            self._lines.feed(data)
            if len(self._lines) > INPUT_HIGH_WATER:
                self._pause_reading()
        else:
            self._deadline = self._data_deadline()
            if not self._feed_transfer(self._transfer, data):
                return
        self.wake()

    def eof_received(self) -> bool:
        """Part of `asyncio.Protocol`: commands that came before are still answered."""
        self._input_ended = True
        self.wake()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Part of `asyncio.Protocol`. A delivery that runs is not cancelled: it ends either way,
        and only its reply is lost."""
        self._input_ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`: the client reads slower than we reply."""
        if self._writable is None:
            self._writable = self.loop.create_future()

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def stop(self) -> None:
        """End the session as soon as no command is running."""
        self.stopping = True
        if self.waiting_for_command:
            self.end(reply.STOPPING, "server stopping")
            self._input_ended = True
            self.wake()

    def end(self, farewell: Reply | None, reason: str) -> None:
        """Send `farewell` after what is held back, and close; `reason` is for the log."""
        if farewell is not None:
            self._replies.append(farewell.encode())
        self.write_replies()
        self.client.record.end(reason)
        if farewell is reply.BYE:
            self.client.close()
        else:
            self.client.close_lingering()

    def send(self, answer: Reply) -> None:
        """Queue a reply; it leaves when the session next waits."""
        self._replies.append(answer.encode())

    async def push(self, status: AnyStr) -> None:
        """Part of `aiosmtpd.smtp.SMTP`: queue a reply line, without logging it."""
        line = status.encode("ascii") if isinstance(status, str) else status
        self._replies.append(line + b"\r\n")

    async def flush(self) -> None:
        """Send what is queued, waiting for a client that does not read."""
        self.write_replies()
        if self._writable is not None:
            await self._writable

    def write_replies(self) -> None:
        """Send what is queued."""
        if self._replies and not self.client.is_closing():
            self.client.write(b"".join(self._replies))
        self._replies.clear()

    async def next_line(self, limit: int) -> bytes:
        """The next line, without CRLF.

        Raises as `CommandLines.next_line`, and `PeerGoneError` when no more will come.
        """
        while (line := self._lines.next_line(limit)) is None:
            await self.more_input()
        if len(self._replies) > MAXIMUM_HELD_REPLIES:
            await self.flush()
        return line

    async def receive_data(self, message: SpooledMessage) -> DataTransfer:
        """Receive the data of a message, spooling it as needed, up to its end.

        Raises `PeerGoneError`.
        """
        settings = self.settings
        transfer = DataTransfer(message, settings.size_limit, settings.memory_limit)
        self._message_overdue = self.loop.time() + settings.message_timeout
        self._transfer = transfer
        self.expect_by(self._data_deadline())
        try:
            if len(self._lines):
                self._feed_transfer(transfer, self._lines.take_all())
            while not (transfer.finished or transfer.abandoned):
                if transfer.needs_spooling:
                    await self._spool(transfer)
                else:
                    await self.more_input()
        finally:
            self._transfer = None
        return transfer

    def has_unread_input(self) -> bool:
        """Whether the client sent something that was not yet taken."""
        return len(self._lines) > 0

    def suspend_deadline(self) -> None:
        """No deadline while the delay is ours."""
        self._deadline = math.inf

    def expect_by(self, deadline: float) -> None:
        """End the session at `deadline` (loop time) unless it is moved before."""
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self._start_timer(deadline)

    def _start_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_at(when, self._check_deadline)

    def _check_deadline(self) -> None:
        # Moving a deadline further costs nothing: only the timer that fires looks where it is.
        self._timer = None
        now = self.loop.time()
        if now < self._deadline:
            self._start_timer(min(self._deadline, now + self.settings.command_timeout))
            return
        self.end(reply.TIMED_OUT, "time-out")
        self._input_ended = True
        self.wake()

    def _data_deadline(self) -> float:
        return min(self.loop.time() + self.settings.data_timeout, self._message_overdue)

    async def more_input(self) -> None:
        """Send what is queued, then wait until something arrives. Raises `PeerGoneError`."""
        self._resume_reading()
        self.write_replies()
        if self._writable is not None:
            # Something may arrive meanwhile: the caller looks again.
            await self._writable
            return
        if self._input_ended or self.client.is_closing():
            raise PeerGoneError("the client closed the connection")
        self._arrival = self.loop.create_future()
        await self._arrival

    def _feed_transfer(self, transfer: DataTransfer, data: bytes) -> bool:
        """Give octets to the message; return whether the session must act."""
        transfer.feed(data)
        if transfer.finished:
            # From here on octets are commands again, even before the session wakes up.
            self._transfer = None
            self._lines.feed(transfer.leftover)
            return True
        if transfer.needs_spooling or transfer.abandoned:
            self._pause_reading()
            return True
        return False

    async def _spool(self, transfer: DataTransfer) -> None:
        self.suspend_deadline()
        try:
            await self.loop.run_in_executor(None, transfer.message.spool)
        except OSError as failure:
            _log.error("a message cannot be spooled: %s", failure)
            transfer.refuse(reply.NO_SPACE)
        self.expect_by(self._data_deadline())

    def wake(self) -> None:
        """Let `more_input` return."""
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self.client.is_closing():
            self._reading_paused = True
            self.client.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self.client.is_closing():
            self._reading_paused = False
            self.client.resume_reading()
