"""What mail is taken, as the handler of an SMTP session (aiosmtpd's `handle_*` hooks).

`Reception` is the policy of a port for other servers' mail (MX): any sender, recipients that have
a mailbox here. It takes over responsibility with `250` only after the sink has stored the message.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from mailfront.errors import BackendError
from mailfront.front.smtp.data_transfer import ChunkTransfer, DataTransfer, Transfer
from mailfront.front.smtp.extensions import size_limit
from mailfront.front.smtp.incoming import IncomingMessage
from mailfront.front.smtp.settings import Role, SmtpSettings
from mailfront.front.smtp.spool import SpooledMessage
from mailfront.front.smtp.transaction import SessionFacts, Transaction
from mailfront.interfaces.mail_relay import RelayOffer
from mailfront.interfaces.message_sink import (
    Destination,
    Envelope,
    MessageSink,
    RecipientOptions,
)
from mailfront.observability.connection_record import quoted
from mailfront.protocol.smtp import reply, trace
from mailfront.protocol.smtp.address import Mailbox
from mailfront.protocol.smtp.parameters import MailParameters
from mailfront.protocol.smtp.reply import Reply

_log = logging.getLogger("mailfront.smtp")

# A header section beyond this is not looked at: no honest one is longer.
HEADER_LIMIT = 256 * 1024
NO_PARAMETERS = MailParameters()
NO_OPTIONS = RecipientOptions()
# By DATA or by BDAT.
KindOfTransfer = type[DataTransfer] | type[ChunkTransfer]


class Reception:
    """One object serves all sessions of a port. `waits` tells that its answers may take long."""

    role = Role.MX
    waits = False

    def __init__(
        self, settings: SmtpSettings, sink: MessageSink, on_counter: Callable[[str], None]
    ) -> None:
        self.settings = settings
        self.sink = sink
        self._on_counter = on_counter
        self._offer = RelayOffer(dsn=settings.honours_dsn, require_tls=settings.honours_require_tls)

    def count(self, event: str) -> None:
        """Count `event` under the name of the port's role."""
        self._on_counter(f"{self.role.value}.{event}")

    async def offer(self) -> RelayOffer:
        """What EHLO may promise."""
        return self._offer

    async def handle_MAIL(  # noqa: N802
        self,
        session: SessionFacts,
        sender: Mailbox | None,
        parameters: MailParameters = NO_PARAMETERS,
    ) -> Reply:
        """Judge a sender; None is the null reverse-path."""
        return reply.SENDER_OK

    async def handle_RCPT(  # noqa: N802
        self, session: SessionFacts, recipient: Mailbox, options: RecipientOptions = NO_OPTIONS
    ) -> Reply:
        """Judge a recipient. Raises `DirectoryUnavailableError` if that is not possible now."""
        match await self.sink.destination(str(recipient)):
            case Destination.LOCAL:
                return reply.RECIPIENT_OK
            case Destination.UNKNOWN_USER:
                return reply.UNKNOWN_USER
            case Destination.FOREIGN:
                return self.foreign_recipient(session)

    def foreign_recipient(self, session: SessionFacts) -> Reply:
        """What a recipient in a domain that is not ours is answered."""
        if not session.inbound.may_relay(session.identity):
            return reply.RELAYING_DENIED
        return reply.RECIPIENT_OK if self.settings.sends else reply.NO_OUTGOING_MAIL

    async def open_message(
        self, session: SessionFacts, transaction: Transaction, kind: KindOfTransfer
    ) -> Transfer | Reply:
        """Make ready for the data of a message, or tell why it cannot come."""
        settings = self.settings
        message = SpooledMessage(settings.spool_directory)
        return kind(message, size_limit(settings, session.offer), settings.memory_limit)

    async def handle_DATA(  # noqa: N802
        self, session: SessionFacts, transaction: Transaction, message: IncomingMessage
    ) -> Reply:
        """Add the trace fields and hand the message over."""
        assert isinstance(message, SpooledMessage)
        identifier = secrets.token_hex(8)
        recipients = tuple(dict.fromkeys(transaction.rcpt_tos))
        prefix = self.trace_fields(
            session, transaction, recipients, identifier, message.head(HEADER_LIMIT)
        )
        if prefix is None:
            return reply.MAIL_LOOP
        message.prefix = prefix
        user = session.identity.user if session.identity is not None else None
        envelope = Envelope(
            transaction.mail_from or "",
            recipients,
            user,
            transaction.options,
            transaction.recipient_options,
            identifier,
            session.inbound.is_inside,
        )
        answer = await self._hand_over(envelope, message, identifier)
        if answer.code == reply.OK.code and _log.isEnabledFor(logging.INFO):
            _log.info(
                "message=%s peer=%s sender=%s recipients=%d octets=%d stored",
                identifier, session.remote, quoted(envelope.sender or "<>"), len(recipients),
                message.size,
            )  # fmt: skip
        return answer

    def forget(self, session: SessionFacts) -> None:
        """A session is over, or begins anew."""

    def trace_fields(
        self,
        session: SessionFacts,
        transaction: Transaction,
        recipients: tuple[str, ...],
        identifier: str,
        head: bytes,
    ) -> bytes | None:
        """The fields that go before a message that begins with `head`; None for one in a loop."""
        facts = trace.inspect_header(head)
        if facts.received >= trace.MAXIMUM_RECEIVED:
            return None
        now = datetime.now(UTC)
        received = trace.Reception(
            hello=session.host_name or "unknown",
            peer=session.remote,
            server=self.settings.hostname,
            protocol=session.protocol(utf8=transaction.smtp_utf8),
            tls=session.tls,
            identifier=identifier,
            recipients=recipients,
            time=now,
        )
        return trace.received_field(received) + self.missing_fields(facts, identifier, now)

    def missing_fields(self, facts: trace.HeaderFacts, identifier: str, time: datetime) -> bytes:
        """Fields to add to the header: none, because other servers' mail is not ours to mend."""
        return b""

    async def _hand_over(
        self, envelope: Envelope, message: SpooledMessage, identifier: str
    ) -> Reply:
        try:
            await self.sink.accept(envelope, message)
        except BackendError as failure:
            self.count("messages_failed")
            _log.error("message=%s not stored: %s", identifier, failure)
            return reply.TEMPORARY_FAILURE if failure.temporary else reply.PERMANENT_FAILURE
        self.count("messages")
        return reply.queued(identifier)
