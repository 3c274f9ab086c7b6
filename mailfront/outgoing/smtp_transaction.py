"""One message to one server: MAIL, RCPT for each recipient, the content, and the answer to it.

Takes a session, an envelope and a message; gives a `Verdict` for each recipient. With PIPELINING
(RFC 2920) the envelope is one flight. An end without an answer leaves it open whether the message
was taken: it is sent again then, and may arrive twice (RFC 5321 section 4.5.4.1).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from mailfront.errors import PeerError, PeerGoneError
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.interfaces.message_sink import Envelope, Message
from mailfront.outgoing.delivery_result import Outcome
from mailfront.outgoing.message_form import MessageForm
from mailfront.outgoing.smtp_commands import DATA, transaction_commands
from mailfront.outgoing.smtp_session import SmtpSession
from mailfront.protocol.upstream_smtp.commands import DataStuffing
from mailfront.protocol.upstream_smtp.replies import told

_CLOSING = 421
_PIECE = 64 * 1024
# Reading a small message from the disk takes less than asking a thread to.
SMALL = 256 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a recipient; `reply` is the server's that decided."""

    outcome: Outcome
    text: str
    reply: RelayAnswer | None = None
    status: str = ""


class Transaction:
    """One transaction. `is_reusable` afterwards tells whether another may follow."""

    def __init__(
        self, session: SmtpSession, envelope: Envelope, message: Message, form: MessageForm
    ) -> None:
        self._session = session
        self._connection = session.connection
        self._timeouts = session.timeouts
        self._message = message
        self._mail, self._commands = transaction_commands(
            envelope, form, message.size, session.offer
        )
        self._verdicts: dict[str, Verdict] = {}
        self._accepted: list[str] = []
        self.is_reusable = False

    async def run(self) -> dict[str, Verdict]:
        """Return a verdict for each recipient, in their order.

        What the connection raises is raised while the server cannot have taken anything; so is
        `PeerGoneError` where it closes the session (421) before the message.
        """
        invitation = await (self._pipelined() if self._session.offer.pipelining else self._asked())
        if invitation is not None and invitation.code != 354:
            self._answered(invitation, "the message")
        elif invitation is not None and self._accepted:
            await self._content()
        elif invitation is not None:
            # RFC 2920 section 3.1: it invites although it refused everybody.
            await self._connection.ask(b".\r\n", self._timeouts.end)
        return {recipient: self._verdicts[recipient] for recipient in self._commands}

    async def _pipelined(self) -> RelayAnswer | None:
        self._connection.require_silence()
        self._connection.write(b"".join((self._mail, *self._commands.values(), DATA)))
        mail = await self._reply(self._timeouts.command)
        for recipient in self._commands:
            answer = await self._reply(self._timeouts.command)
            self._take(recipient, answer if mail.accepts else mail)
        return await self._reply(self._timeouts.data)

    async def _asked(self) -> RelayAnswer | None:
        mail = await self._checked(self._mail)
        for recipient, command in self._commands.items():
            self._take(recipient, await self._checked(command) if mail.accepts else mail)
        if not self._accepted:
            return None
        answer = await self._connection.ask(DATA, self._timeouts.data)
        return self._not_closing(answer)

    async def _checked(self, command: bytes) -> RelayAnswer:
        return self._not_closing(await self._connection.ask(command, self._timeouts.command))

    async def _reply(self, seconds: float) -> RelayAnswer:
        return self._not_closing(await self._connection.reply(seconds))

    def _not_closing(self, answer: RelayAnswer) -> RelayAnswer:
        if answer.code == _CLOSING:
            raise PeerGoneError(f"it closes the session: {told(answer)}")
        return answer

    def _take(self, recipient: str, answer: RelayAnswer) -> None:
        if answer.accepts:
            self._accepted.append(recipient)
        else:
            self._verdicts[recipient] = _verdict(answer)

    async def _content(self) -> None:
        ended = False
        try:
            stuffing = DataStuffing()
            async for piece in _pieces(self._message):
                await self._connection.send(stuffing.stuff(piece), self._timeouts.block)
                if not self._connection.is_silent:
                    break
            if not self._connection.is_silent:
                # It refuses before the end, and may take nothing more.
                answer = await self._connection.reply(self._timeouts.end)
                self._answered(answer, "the message, before its end")
                return
            ended = True
            answer = await self._connection.ask(stuffing.end(), self._timeouts.end)
        except (OSError, PeerError) as failure:
            why = "the connection ended while the message was sent"
            if ended:
                why = "the server took the message without an answer; it may arrive twice"
            said = str(failure) or "no answer in time"
            verdict = Verdict(Outcome.DEFERRED, f"{why}: {said}", status="4.4.2")
            self._verdicts |= dict.fromkeys(self._accepted, verdict)
            return
        self._session.messages += 1
        self.is_reusable = answer.code != _CLOSING
        self._answered(answer, "the message", taken=True)

    def _answered(self, answer: RelayAnswer, what: str, *, taken: bool = False) -> None:
        """An answer that stands for all who were accepted; only that to the end of the message
        can be good."""
        verdict = _verdict(answer)
        if answer.accepts and not taken:
            verdict = Verdict(Outcome.DEFERRED, f"a strange answer to {what}: {told(answer)}")
        self._verdicts |= dict.fromkeys(self._accepted, verdict)


def _verdict(answer: RelayAnswer) -> Verdict:
    if answer.accepts:
        return Verdict(Outcome.DELIVERED, told(answer), answer)
    # RFC 5321 section 4.5.3.1.10: too many recipients, which 552 says too.
    text = answer.lines[0].lower()
    crowded = answer.code == 552 and "recipient" in text and "too many" in text
    if answer.code < 500 or crowded:
        return Verdict(Outcome.DEFERRED, told(answer), answer)
    return Verdict(Outcome.FAILED, told(answer), answer)


async def _pieces(message: Message) -> AsyncIterator[bytes]:
    chunks = message.chunks()
    aside = message.size > SMALL
    while chunk := (await asyncio.to_thread(next, chunks, b"") if aside else next(chunks, b"")):
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]
