"""Octets in and out of one SMTP connection: command lines, message data, replies, deadlines.

The base is aiosmtpd's protocol class, without the parts that this module replaces: its stream
reader (private buffer, line by line), its TLS (asyncio's private `SSLProtocol`) and its task: what
waits for nothing, which is nearly every command, is done as soon as it arrives, and only the rest
(a login, a message for the disk) in a task of its own. Input is bounded and flow-controlled,
replies to pipelined commands leave together (RFC 2920 section 3.2).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import AnyStr, cast

from aiosmtpd.smtp import SMTP

from mailfront.errors import PeerGoneError
from mailfront.front.smtp.data_transfer import Transfer
from mailfront.front.smtp.settings import SmtpSettings
from mailfront.interfaces.tasks import start_task
from mailfront.interfaces.transport import UpgradableTransport
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.command_lines import CommandLines
from mailfront.protocol.smtp.reply import Reply

# Reading pauses above this many octets of commands not yet executed.
INPUT_HIGH_WATER = 64 * 1024
# Replies to pipelined commands are held back up to this many.
MAXIMUM_HELD_REPLIES = 64


class SmtpConnection(SMTP):
    """The input and output of a session; its conversation is a subclass's."""

    client: UpgradableTransport

    def __init__(self, settings: SmtpSettings) -> None:
        # aiosmtpd's constructor is not called: it inspects every method of session and handler
        # and makes a StreamReader, for each connection. What its methods need is set here and in
        # `connection_made`.
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self.hostname = settings.hostname
        self.stopping = False
        self.parting = reply.STOPPING
        self._lines = CommandLines()
        # The message that comes in, until it is answered.
        self._transfer: Transfer | None = None
        self._receives_data = False
        self._handshake_runs = False
        self._task: asyncio.Task[None] | None = None
        self._replies: list[bytes] = []
        self._arrival: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        # The client has to take its replies before the next command is looked at.
        self._choked = False
        self._input_ended = False
        self._reading_paused = False
        self._deadline = math.inf
        self._message_overdue = math.inf
        self._timer: asyncio.TimerHandle | None = None

    # What a subclass adds.

    def perform(self, line: bytes) -> None:
        """Execute a command line."""
        raise NotImplementedError

    def line_limit(self) -> int:
        """How long the next command line may be, CRLF included."""
        raise NotImplementedError

    def take_message(self, transfer: Transfer) -> None:
        """Answer a message whose data has ended, or goes on for too long."""
        raise NotImplementedError

    def answer_failure(self, failure: Exception) -> None:
        """Answer a command that failed."""
        raise NotImplementedError

    def command_ended(self) -> None:
        """A command was answered: end the session if it has gone too far."""
        raise NotImplementedError

    def session_ended(self) -> None:
        """The connection is gone and no command runs any more."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self.client = cast(UpgradableTransport, transport)
        self._expect_command()

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`: data of a message goes straight to its reader."""
        if self._receives_data:
            assert self._transfer is not None
            self._deadline = self._data_deadline()
            if not self._feed_transfer(self._transfer, data):
                return
        else:
            self._lines.feed(data)
            if len(self._lines) > INPUT_HIGH_WATER:
                self._pause_reading()
        self._proceed()

    def eof_received(self) -> bool:
        """Part of `asyncio.Protocol`: commands that came before are still answered."""
        self._input_ended = True
        self._proceed()
        return True

    def connection_lost(self, error: Exception | None) -> None:
        """Part of `asyncio.Protocol`. A delivery that runs is not cancelled: it ends either way,
        and only its reply is lost."""
        self._input_ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None:
            self.end_message()
            self.session_ended()
        self._wake()
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
        if self._choked:
            self._choked = False
            self._proceed()

    def stop(self, *, kicked: bool = False) -> None:
        """End the session as soon as no command is running."""
        self.stopping = True
        self.parting = reply.KICKED if kicked else reply.STOPPING
        if self._task is None and self._transfer is None and not self._handshake_runs:
            self.end(self.parting, "server stopping")

    def end(self, farewell: Reply | None, reason: str) -> None:
        """Send `farewell` after what is held back, and close; `reason` is for the log."""
        self._input_ended = True
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

    def write_replies(self) -> None:
        """Send what is queued."""
        if self._replies and not self.client.is_closing():
            self.client.write(b"".join(self._replies))
        self._replies.clear()

    def has_unread_input(self) -> bool:
        """Whether the client sent something that was not yet taken."""
        return len(self._lines) > 0

    # The conversation.

    def _proceed(self) -> None:
        """Do what can be done with what has come, until something must be waited for."""
        if self._task is not None:
            self._wake()
            return
        if self._choked or self._handshake_runs:
            return
        acted = False
        while self._task is None and not self.client.is_closing() and self._act():
            acted = True
            if len(self._replies) > MAXIMUM_HELD_REPLIES and self._must_wait_for_client():
                break
        if self.client.is_closing():
            return
        waiting = self._task is None and not self._handshake_runs
        if acted and waiting and self._transfer is None:
            self._expect_command()
        if self._must_wait_for_client() or not waiting:
            return
        if self._input_ended:
            self.end(None, "peer closed")
        else:
            self._resume_reading()

    def _act(self) -> bool:
        """One command, or the next step of a message; False if there is nothing to act on."""
        transfer = self._transfer
        try:
            if transfer is not None:
                # Chunks may come in one piece, each too short to be spooled while it comes.
                over = transfer.finished and (transfer.is_whole or not transfer.needs_spooling)
                if over or transfer.abandoned:
                    self.take_message(transfer)
                elif transfer.needs_spooling:
                    self.start(self._relieve(transfer))
                    return True
                else:
                    return False
            else:
                line = self._lines.next_line(self.line_limit())
                if line is None:
                    return False
                self.perform(line)
        except Exception as failure:
            self.answer_failure(failure)
        if self._task is None and not self.client.is_closing():
            self.command_ended()
        return True

    def _must_wait_for_client(self) -> bool:
        self.write_replies()
        self._choked = self._writable is not None
        return self._choked

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Do what has to wait; nothing else is executed meanwhile."""
        self._task = start_task(self._finish(work), name="smtp command")

    async def _finish(self, work: Coroutine[object, object, None]) -> None:
        try:
            await work
        except PeerGoneError:
            self.end(None, "peer closed")
        except asyncio.CancelledError:
            self.end(reply.STOPPING, "server stopping")
            raise
        except Exception as failure:
            self.answer_failure(failure)
        finally:
            self._task = None
        if self.client.is_closing():
            self.end_message()
            self.session_ended()
            return
        if self._transfer is None:
            self.command_ended()
            self._expect_command()
        self._proceed()

    # Commands that wait for more lines, and the data of a message.

    async def next_line(self, limit: int) -> bytes:
        """The next line, without CRLF, for a command that runs in a task.

        Raises as `CommandLines.next_line`, and `PeerGoneError` when no more will come.
        """
        while (line := self._lines.next_line(limit)) is None:
            await self._more_input()
        return line

    async def _more_input(self) -> None:
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

    def begin_message(self, transfer: Transfer) -> None:
        """What comes from now on is the data of a message, up to its end."""
        self._message_overdue = self.loop.time() + self.settings.message_timeout
        self.continue_message(transfer)

    def continue_message(self, transfer: Transfer) -> None:
        """What comes from now on is a further chunk of a message."""
        self._transfer = transfer
        self._receives_data = True
        self._expect_by(self._data_deadline())
        self._feed_transfer(transfer, self._lines.take(transfer.expected))

    def interrupt_message(self) -> None:
        """A chunk of a message has ended: commands come next."""
        self._transfer = None

    def end_message(self) -> None:
        """The message that came in is answered, or its client is gone: free it."""
        if self._transfer is not None:
            self._transfer.message.close()
            self._transfer = None
            self._receives_data = False

    def _feed_transfer(self, transfer: Transfer, data: bytes) -> bool:
        """Give octets to the message; return whether the session must act."""
        transfer.feed(data)
        if transfer.finished:
            # From here on octets are commands again, even before the message is answered.
            self._receives_data = False
            if transfer.leftover:
                self._lines.feed(transfer.leftover)
            return True
        if transfer.needs_spooling or transfer.abandoned:
            self._pause_reading()
            return True
        return False

    async def _relieve(self, transfer: Transfer) -> None:
        self.suspend_deadline()
        refusal = await transfer.message.relieve()
        if refusal is not None and transfer.refusal is None:
            transfer.refuse(refusal)
        self._expect_by(self._data_deadline())

    def begin_handshake(self) -> None:
        """Nothing is expected of the session until `handshake_ended`."""
        self._handshake_runs = True
        self.suspend_deadline()

    def handshake_ended(self) -> None:
        """Commands are expected again."""
        self._handshake_runs = False
        self.command_ended()
        self._expect_command()

    # Deadlines.

    def suspend_deadline(self) -> None:
        """No deadline while the delay is ours."""
        self._deadline = math.inf

    def _expect_command(self) -> None:
        self._expect_by(self.loop.time() + self.settings.command_timeout)

    def _expect_by(self, deadline: float) -> None:
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
        self._wake()

    def _data_deadline(self) -> float:
        return min(self.loop.time() + self.settings.data_timeout, self._message_overdue)

    # Flow control.

    def _wake(self) -> None:
        """Let a command go on that waits for input."""
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
