"""The ports whose mail goes in-line to a server behind us: its answers, and nothing stored here.

`Relaying` stands before a policy (`Reception`, `SubmissionReception`), which still judges what it
judges by itself; recipients are judged by the server behind. The header is looked at before the
first octet goes on, for the trace fields and against loops.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from mailfront.errors import BackendError
from mailfront.front.smtp.data_transfer import ChunkTransfer, Transfer
from mailfront.front.smtp.extensions import size_limit
from mailfront.front.smtp.incoming import IncomingMessage
from mailfront.front.smtp.reception import (
    HEADER_LIMIT,
    NO_OPTIONS,
    NO_PARAMETERS,
    KindOfTransfer,
    Reception,
)
from mailfront.front.smtp.settings import SmtpSettings
from mailfront.front.smtp.submission import SubmissionReception
from mailfront.front.smtp.transaction import SessionFacts, Transaction
from mailfront.interfaces.mail_relay import (
    MailRelay,
    RelayAnswer,
    RelayClient,
    RelayConversation,
    RelayedMail,
    RelayOffer,
)
from mailfront.interfaces.message_sink import MessageSink, RecipientOptions
from mailfront.observability.connection_record import quoted
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.address import Mailbox
from mailfront.protocol.smtp.parameters import MailParameters
from mailfront.protocol.smtp.reply import PassedReply, Reply

_log = logging.getLogger("mailfront.smtp")

_SEND_DATA = 354


class RelayedMessage:
    """An `IncomingMessage` that goes on to a server behind us while it comes in.

    `prefix` gives the trace fields for the head of the message, None for one that is in a loop.
    """

    __slots__ = (
        "_begun",
        "_conversation",
        "_finished",
        "_memory",
        "_prefix",
        "_size",
        "identifier",
    )

    def __init__(
        self,
        conversation: RelayConversation,
        identifier: str,
        prefix: Callable[[bytes], bytes | None],
    ) -> None:
        self.identifier = identifier
        self._conversation = conversation
        self._prefix = prefix
        self._memory = bytearray()
        self._size = 0
        self._begun = False
        self._finished = False

    @property
    def size(self) -> int:
        """Part of `IncomingMessage`."""
        return self._size

    @property
    def in_memory(self) -> int:
        """Part of `IncomingMessage`."""
        return len(self._memory)

    def append(self, data: bytes) -> None:
        """Part of `IncomingMessage`."""
        self._memory += data
        self._size += len(data)

    async def relieve(self) -> Reply | None:
        """Part of `IncomingMessage`: send what is here, as fast as it is taken."""
        piece = self._next_piece()
        if piece is None:
            return reply.MAIL_LOOP
        try:
            refusal = await self._conversation.send(piece)
        except BackendError:
            return reply.RELAY_LOST
        return None if refusal is None else passed(refusal)

    async def finish(self) -> Reply:
        """Send the rest and the end; return what the server behind says."""
        piece = self._next_piece()
        if piece is None:
            return reply.MAIL_LOOP
        try:
            answer = await self._conversation.finish(piece)
        except BackendError:
            return reply.RELAY_LOST
        self._finished = True
        return passed(answer)

    def close(self) -> None:
        """Part of `IncomingMessage`: without its end, the server behind takes nothing of it."""
        self._memory = bytearray()
        if not self._finished:
            self._conversation.drop()

    def _next_piece(self) -> bytes | None:
        memory, self._memory = self._memory, bytearray()
        if self._begun:
            return bytes(memory)
        self._begun = True
        prefix = self._prefix(bytes(memoryview(memory)[:HEADER_LIMIT]))
        return None if prefix is None else prefix + memory


class Relaying(Reception):
    """Mail goes on to `relay` once the policy behind this class has nothing against it."""

    waits = True

    def __init__(
        self,
        settings: SmtpSettings,
        sink: MessageSink,
        on_counter: Callable[[str], None],
        relay: MailRelay,
    ) -> None:
        super().__init__(settings, sink, on_counter)
        self._relay = relay

    async def offer(self) -> RelayOffer:
        """What EHLO may promise: what the server behind does."""
        return await self._relay.offer()

    async def handle_MAIL(  # noqa: N802
        self,
        session: SessionFacts,
        sender: Mailbox | None,
        parameters: MailParameters = NO_PARAMETERS,
    ) -> Reply:
        """Judge a sender here, then there."""
        answer = await super().handle_MAIL(session, sender, parameters)
        if answer.code != reply.SENDER_OK.code:
            return answer
        sender_address = "" if sender is None else str(sender)
        mail = RelayedMail(sender_address, parameters.size, parameters.options)
        try:
            return passed(await self._conversation(session).mail(mail))
        except BackendError:
            return reply.RELAY_UNAVAILABLE

    async def handle_RCPT(  # noqa: N802
        self, session: SessionFacts, recipient: Mailbox, options: RecipientOptions = NO_OPTIONS
    ) -> Reply:
        """Let the server behind judge a recipient."""
        try:
            conversation = self._open_conversation(session)
            return passed(await conversation.recipient(str(recipient), options))
        except BackendError:
            return reply.RELAY_LOST

    async def open_message(
        self, session: SessionFacts, transaction: Transaction, kind: KindOfTransfer
    ) -> Transfer | Reply:
        """Part of `Reception`."""
        conversation = self._open_conversation(session)
        try:
            answer = await conversation.data(chunked=kind is ChunkTransfer)
        except BackendError:
            return reply.RELAY_LOST
        if answer.code != _SEND_DATA:
            return passed(answer)
        identifier = secrets.token_hex(8)
        recipients = tuple(dict.fromkeys(transaction.rcpt_tos))

        def prefix(head: bytes) -> bytes | None:
            return self.trace_fields(session, transaction, recipients, identifier, head)

        message = RelayedMessage(conversation, identifier, prefix)
        # The whole header has to be here before anything goes on.
        return kind(message, size_limit(self.settings, session.offer), HEADER_LIMIT)

    async def handle_DATA(  # noqa: N802
        self, session: SessionFacts, transaction: Transaction, message: IncomingMessage
    ) -> Reply:
        """End the message there, and pass on what comes of it."""
        assert isinstance(message, RelayedMessage)
        answer = await message.finish()
        accepted = 200 <= answer.code < 300
        self.count("messages" if accepted else "messages_failed")
        _log.log(
            logging.INFO if accepted else logging.WARNING,
            "message=%s peer=%s sender=%s recipients=%d octets=%d %s upstream: %d %s",
            message.identifier, session.remote, quoted(transaction.mail_from or "<>"),
            len(transaction.rcpt_tos), message.size,
            "accepted by" if accepted else "not taken by", answer.code, quoted(answer.text),
        )  # fmt: skip
        return answer

    def forget(self, session: SessionFacts) -> None:
        """Part of `Reception`: the server behind forgets a message that has not ended."""
        if session.relayed is not None:
            session.relayed[1].drop()
            session.relayed = None

    def _conversation(self, session: SessionFacts) -> RelayConversation:
        """The one as this client; another name or user is another client."""
        client = RelayClient(
            peer=session.remote,
            tls=session.tls,
            hello=session.host_name or "",
            extended=session.extended_smtp,
            user=session.identity.user if session.identity is not None else "",
        )
        if session.relayed is None or session.relayed[0] != client:
            self.forget(session)
            session.relayed = (client, self._relay.conversation(client))
        return session.relayed[1]

    def _open_conversation(self, session: SessionFacts) -> RelayConversation:
        assert session.relayed is not None, "MAIL came first"
        return session.relayed[1]


class RelayingSubmission(Relaying, SubmissionReception):
    """What users send: the sender must be theirs, the rest is up to the server behind.

    To that server we are trusted: who may not relay here is judged here, and reaches users of ours
    alone.
    """

    async def handle_RCPT(  # noqa: N802
        self, session: SessionFacts, recipient: Mailbox, options: RecipientOptions = NO_OPTIONS
    ) -> Reply:
        """Let the server behind judge a recipient whom this client may write to."""
        if not session.inbound.may_relay(session.identity):
            answer = await SubmissionReception.handle_RCPT(self, session, recipient, options)
            if answer.code != reply.RECIPIENT_OK.code:
                return answer
        return await super().handle_RCPT(session, recipient, options)


def passed(answer: RelayAnswer) -> Reply:
    """The reply that passes an answer on."""
    return PassedReply.of_lines(answer.code, answer.lines)
