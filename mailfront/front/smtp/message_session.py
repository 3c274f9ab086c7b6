"""The messages of an SMTP session: DATA, BDAT, and what becomes of what they bring.

The commands around them are `session`'s, what mail is taken is `reception`'s. RFC 5321 section
4.1.1.4, RFC 3030 section 2.
"""

# The names of the command methods are aiosmtpd's.
# ruff: noqa: N802

from __future__ import annotations

import logging
from collections.abc import Coroutine
from typing import Any

from mailfront.errors import SmtpRefusalError
from mailfront.front.smtp.connection import SmtpConnection
from mailfront.front.smtp.data_transfer import (
    DRAIN_ALLOWANCE,
    ChunkTransfer,
    DataTransfer,
    Transfer,
)
from mailfront.front.smtp.incoming import IncomingMessage
from mailfront.front.smtp.reception import Reception
from mailfront.front.smtp.settings import SmtpSettings
from mailfront.front.smtp.spool import SpooledMessage
from mailfront.front.smtp.transaction import SessionFacts, Transaction
from mailfront.interfaces.tasks import run_until_it_waits
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.chunks import Chunk, parse_chunk
from mailfront.protocol.smtp.reply import Reply

_log = logging.getLogger("mailfront.smtp")


class MessageSession(SmtpConnection):
    """The part of a session that takes messages."""

    facts: SessionFacts

    def __init__(self, settings: SmtpSettings, reception: Reception) -> None:
        super().__init__(settings)
        self.event_handler = self.reception = reception
        self.transaction = Transaction()
        # Octets of chunks that were taken for nothing since the last MAIL.
        self.skipped = 0

    def start_if_it_waits(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what may have to wait."""
        rest = work if self.reception.waits else run_until_it_waits(work)
        if rest is not None:
            self.suspend_deadline()
            self.start(rest)

    def forget_chunks(self) -> None:
        """Give up a message that is between two chunks."""
        if self.transaction.chunks is not None:
            self.transaction.chunks.message.close()

    def reset_transaction(self) -> None:
        """Begin a new transaction, giving up one that is under way."""
        self.forget_chunks()
        self.transaction = Transaction()
        self.envelope = self.transaction

    async def smtp_DATA(self, arg: str) -> None:
        """RFC 5321 section 4.1.1.4."""
        if self.transaction.mail_from is None:
            self.send(reply.MAIL_FIRST)
            return
        if not self.transaction.rcpt_tos:
            self.send(reply.NO_VALID_RECIPIENTS)
            return
        if self.transaction.chunks is not None:
            self.reset_transaction()
            self.send(reply.DATA_BEHIND_BDAT)
            return
        transfer = await self.reception.open_message(self.facts, self.transaction, DataTransfer)
        if isinstance(transfer, Reply):
            self.reset_transaction()
            self.send(transfer)
            return
        self.send(reply.SEND_DATA)
        self.begin_message(transfer)

    def take_chunk(self, argument: bytes, refusal: Reply | None) -> None:
        """RFC 3030 section 2: the octets are taken before anything is replied."""
        try:
            chunk = parse_chunk(argument.decode("ascii", errors="replace"))
        except SmtpRefusalError as fault:
            # Where the next command begins cannot be told.
            self.end(Reply.of(fault), "malformed BDAT")
            return
        refusal = refusal or self._chunk_refusal()
        if chunk.size > self.settings.size_limit + DRAIN_ALLOWANCE:
            self.end(refusal or reply.MESSAGE_TOO_LARGE, "message without end")
        elif refusal is not None:
            self._skip_chunk(chunk, refusal)
        elif self.transaction.chunks is None:
            self.start_if_it_waits(self._begin_chunks(chunk))
        else:
            self.transaction.chunks.expect(chunk)
            self.continue_message(self.transaction.chunks)

    def _chunk_refusal(self) -> Reply | None:
        if not self.facts.extended_smtp:
            return reply.HELLO_FIRST
        if self.transaction.mail_from is None:
            return reply.MAIL_FIRST
        return None if self.transaction.rcpt_tos else reply.NO_VALID_RECIPIENTS

    async def _begin_chunks(self, chunk: Chunk) -> None:
        try:
            opened = await self.reception.open_message(self.facts, self.transaction, ChunkTransfer)
        except Exception as failure:
            self.answer_failure(failure)
            self.end(None, "failed at BDAT")
            return
        if isinstance(opened, Reply):
            self._skip_chunk(chunk, opened)
            return
        assert isinstance(opened, ChunkTransfer)
        self.transaction.chunks = opened
        opened.expect(chunk)
        self.begin_message(opened)

    def _skip_chunk(self, chunk: Chunk, refusal: Reply) -> None:
        """Read the octets of a chunk that is not taken, and reply after them."""
        self.skipped += chunk.size
        if self.skipped > self.settings.size_limit + DRAIN_ALLOWANCE:
            self.end(reply.MESSAGE_TOO_LARGE, "message without end")
            return
        nothing = ChunkTransfer(SpooledMessage(), chunk.size, chunk.size + 1)
        nothing.expect(chunk)
        nothing.refuse(refusal)
        self.begin_message(nothing)

    def take_message(self, transfer: Transfer) -> None:
        """Hand over the message that has come in, or refuse it; or go on behind a chunk of it."""
        if transfer.finished and not transfer.is_whole and transfer.refusal is None:
            self.interrupt_message()
            self.send(reply.CHUNK_TAKEN)
            return
        if transfer.refusal is None:
            self.suspend_deadline()
            self.start(self._hand_over(transfer.message))
            return
        if self.transaction.mail_from is not None:
            self.reception.count("messages_refused")
        self._message_answered()
        if transfer.refusal is reply.BARE_LINE_END:
            self.report_attack("bare_line_ends", "bare CR or LF in a message")
        if transfer.abandoned:
            self.end(transfer.refusal, "message without end")
        else:
            self.send(transfer.refusal)

    async def _hand_over(self, message: IncomingMessage) -> None:
        try:
            self.send(await self.reception.handle_DATA(self.facts, self.transaction, message))
        finally:
            self._message_answered()

    def _message_answered(self) -> None:
        self.end_message()
        self.reset_transaction()

    def report_attack(self, event: str, what: str) -> None:
        """Count and log what no honest client does."""
        self.reception.count(event)
        _log.warning("service=%s peer=%s %s", self.reception.role.value, self.client.peer, what)
