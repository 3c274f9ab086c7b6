"""Mail that was written on this server's own pages, sent by the server behind the submission ports.

Takes whole messages as a `MessageSink` does; each goes as one transaction of the user's, who is
named as on the ports. The server behind judges the recipients: if it refuses one, nothing is sent,
and the person is told which, while the form still stands there.
"""

from __future__ import annotations

import logging

from mailfront.errors import BackendError, SubmissionRefusedError
from mailfront.interfaces.mail_relay import (
    MailRelay,
    RelayAnswer,
    RelayClient,
    RelayConversation,
    RelayedMail,
)
from mailfront.interfaces.message_sink import Destination, Envelope, Message
from mailfront.interfaces.peer import Peer

_log = logging.getLogger("mailfront.smtp")

_SEND_DATA = 354
_LONGEST_REASON = 400
# The pages are served here: there is no other client whose address it could be.
_OURSELVES = Peer("127.0.0.1", 443, "127.0.0.1", 443)


class RelaySink:
    """A `MessageSink` over `relay`; `hostname` is what we say that we are."""

    def __init__(self, relay: MailRelay, hostname: str) -> None:
        self._relay = relay
        self._hostname = hostname

    async def destination(self, recipient: str) -> Destination:
        """Part of `MessageSink`: the server behind takes care of all, or says that it does not."""
        return Destination.LOCAL

    async def accept(self, envelope: Envelope, message: Message) -> None:
        """Part of `MessageSink`: return once the server behind is responsible for the message.

        Raises `BackendError` if it cannot be asked, and `SubmissionRefusedError` with its words if
        it refuses.
        """
        user = envelope.authenticated_user or ""
        client = RelayClient(_OURSELVES, None, self._hostname, extended=True, user=user)
        conversation = self._relay.conversation(client)
        try:
            await self._send(conversation, envelope, message)
        finally:
            conversation.drop()

    async def _send(
        self, conversation: RelayConversation, envelope: Envelope, message: Message
    ) -> None:
        mail = RelayedMail(envelope.sender, message.size, envelope.options)
        _require(await conversation.mail(mail), "The message")
        for recipient in envelope.recipients:
            answer = await conversation.recipient(recipient, envelope.options_of(recipient))
            _require(answer, recipient)
        answer = await conversation.data()
        if answer.code != _SEND_DATA:
            _require(answer, "The message")
            raise BackendError("the server behind answers DATA with nonsense", temporary=True)
        for chunk in message.chunks():
            refusal = await conversation.send(chunk)
            if refusal is not None:
                _require(refusal, "The message")
        answer = await conversation.finish(b"")
        _require(answer, "The message")
        _log.info(
            "message=%s user=%s recipients=%d octets=%d accepted by upstream: %d",
            envelope.identifier, envelope.authenticated_user, len(envelope.recipients),
            message.size, answer.code,
        )  # fmt: skip


def _require(answer: RelayAnswer, what: str) -> None:
    """Raise `SubmissionRefusedError` in the server's words unless it accepts."""
    if answer.accepts:
        return
    reason = " ".join(answer.lines)[:_LONGEST_REASON]
    advice = " Try again later." if 400 <= answer.code < 500 else ""
    raise SubmissionRefusedError(f"{what} was refused by the mail server: {reason}.{advice}")
