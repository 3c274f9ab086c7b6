"""Mail that users send (RFC 6409): the policy of the submission ports, and the way in for webmail.

The sender must be an address of the user. The null reverse-path is allowed, because user agents
must send disposition notifications with it (RFC 8098 section 2.1); the envelope names the user.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime

from mailfront.errors import (
    AddressError,
    BackendError,
    DirectoryUnavailableError,
    SmtpRefusalError,
    SubmissionRefusedError,
)
from mailfront.front.smtp.reception import HEADER_LIMIT, NO_PARAMETERS, Reception
from mailfront.front.smtp.settings import Role, SmtpSettings
from mailfront.front.smtp.spool import SpooledMessage
from mailfront.front.smtp.transaction import SessionFacts
from mailfront.interfaces.message_sink import Destination, Envelope, MailOptions, MessageSink
from mailfront.protocol.mail_address import canonical_address
from mailfront.protocol.smtp import reply, trace
from mailfront.protocol.smtp.address import Mailbox, parse_address
from mailfront.protocol.smtp.data_reader import DataReader
from mailfront.protocol.smtp.parameters import MailParameters
from mailfront.protocol.smtp.reply import Reply

_log = logging.getLogger("mailfront.smtp")


def owns(addresses: frozenset[str], sender: Mailbox) -> bool:
    """Whether `sender` is one of `addresses` (canonical spelling)."""
    try:
        return canonical_address(str(sender)) in addresses
    except AddressError:
        return False


class SubmissionReception(Reception):
    """The policy for users; the session has required TLS and a login, if the channel does."""

    role = Role.SUBMISSION

    async def handle_MAIL(  # noqa: N802
        self,
        session: SessionFacts,
        sender: Mailbox | None,
        parameters: MailParameters = NO_PARAMETERS,
    ) -> Reply:
        """Judge a sender: one of the user's own addresses."""
        if session.identity is None:
            demanded = session.inbound.demands_login
            return reply.AUTHENTICATION_REQUIRED if demanded else reply.SENDER_OK
        if sender is None or owns(session.identity.addresses, sender):
            return reply.SENDER_OK
        return reply.SENDER_NOT_OWNED

    def missing_fields(self, facts: trace.HeaderFacts, identifier: str, time: datetime) -> bytes:
        """Date and Message-ID where the user agent left them out."""
        return trace.completing_fields(facts, identifier, self.settings.hostname, time)


class WebmailSubmission:
    """Implements `interfaces.message_sink.Submission`: the rules of the submission ports."""

    def __init__(self, settings: SmtpSettings, sink: MessageSink) -> None:
        self._settings = settings
        self._sink = sink

    async def submit(
        self, user: str, addresses: frozenset[str], recipients: tuple[str, ...], message: bytes
    ) -> None:
        """Send `message` (headers and body, CRLF) from `user`. Raises `SubmissionRefusedError`."""
        self._check_sender(user, addresses)
        self._check_content(message)
        accepted = await self._check_recipients(recipients)
        spooled = SpooledMessage()
        spooled.append(message)
        facts = trace.inspect_header(message[:HEADER_LIMIT])
        if facts.received >= trace.MAXIMUM_RECEIVED:
            raise SubmissionRefusedError("The message is in a loop.")
        identifier, now = secrets.token_hex(8), datetime.now(UTC)
        hostname = self._settings.hostname
        spooled.prefix = trace.webmail_received_field(
            hostname, identifier, now
        ) + trace.completing_fields(facts, identifier, hostname, now)
        try:
            addresses_are_ascii = all(map(str.isascii, (user, *accepted)))
            options = MailOptions(eight_bit=not message.isascii(), utf8=not addresses_are_ascii)
            envelope = Envelope(user, accepted, user, options, identifier=identifier)
            await self._sink.accept(envelope, spooled)
        except BackendError as failure:
            _log.error("message=%s not stored: %s", identifier, failure)
            raise SubmissionRefusedError(
                "The message could not be stored. Try again later."
                if failure.temporary
                else "The message cannot be stored."
            ) from failure
        finally:
            spooled.close()

    def _check_sender(self, user: str, addresses: frozenset[str]) -> None:
        try:
            sender = parse_address(user)
        except SmtpRefusalError:
            raise SubmissionRefusedError("The sender is not a mail address.") from None
        if not owns(addresses, sender):
            raise SubmissionRefusedError("The sender address is not yours.")

    def _check_content(self, message: bytes) -> None:
        if len(message) > self._settings.size_limit:
            size = self._settings.size_limit // 1024
            raise SubmissionRefusedError(f"The message is larger than {size} KiB.")
        reader = DataReader()
        reader.feed(message.replace(b"\r\n.", b"\r\n..") + b"\r\n.\r\n")
        if reader.bare_line_end or reader.nul:
            raise SubmissionRefusedError("The message has line ends or octets that mail forbids.")

    async def _check_recipients(self, recipients: tuple[str, ...]) -> tuple[str, ...]:
        if not recipients:
            raise SubmissionRefusedError("The message has no recipient.")
        if len(recipients) > self._settings.recipient_limit:
            raise SubmissionRefusedError(
                f"A message can have at most {self._settings.recipient_limit} recipients."
            )
        return tuple(dict.fromkeys([await self._check_recipient(each) for each in recipients]))

    async def _check_recipient(self, address: str) -> str:
        try:
            recipient = str(parse_address(address))
        except SmtpRefusalError:
            raise SubmissionRefusedError(f"Not a mail address: {address}") from None
        try:
            destination = await self._sink.destination(recipient)
        except DirectoryUnavailableError as failure:
            _log.warning("a recipient cannot be checked: %s", failure)
            raise SubmissionRefusedError(
                "Recipients cannot be checked now. Try again later."
            ) from failure
        if destination is Destination.UNKNOWN_USER:
            raise SubmissionRefusedError(f"There is no user {recipient} here.")
        if destination is Destination.FOREIGN and not self._settings.sends:
            raise SubmissionRefusedError(f"This server sends no mail to other domains: {recipient}")
        return recipient
