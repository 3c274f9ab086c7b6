"""The message sink of a server that sends mail: local recipients to the store, others to the queue.

Order: the message for others is written and synced first, where it counts for nothing yet; then
the mailboxes here get it; then one rename puts it into the queue. A crash before the end leaves a
client unanswered that sends again: somebody may get the message twice, nobody loses it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeVar

from mailfront.errors import BackendError, DirectoryUnavailableError
from mailfront.interfaces.message_sink import (
    Destination,
    Envelope,
    MailOptions,
    Message,
    MessageSink,
    RecipientOptions,
)
from mailfront.outgoing.notification import Notification, RecipientReport, compose, wanted
from mailfront.queue.entry import Report
from mailfront.queue.spool import PreparedMessage, Spool

_log = logging.getLogger("mailfront.queue")

Result = TypeVar("Result")
_NEVER = RecipientOptions(frozenset({"NEVER"}))


class QueueingSink:
    """A `MessageSink` over that of the store. `on_accepted` is called whenever the queue has
    something new; `sign` may put fields before a message that its users send (DKIM)."""

    def __init__(
        self,
        local: MessageSink,
        spool: Spool,
        hostname: str,
        on_accepted: Callable[[], None] = lambda: None,
    ) -> None:
        self.on_accepted = on_accepted
        self.sign: Callable[[Envelope, Message], Awaitable[bytes]] | None = None
        self._local = local
        self._spool = spool
        self._hostname = hostname
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="queue-in")

    async def destination(self, recipient: str) -> Destination:
        """Part of `MessageSink`."""
        return await self._local.destination(recipient)

    async def accept(self, envelope: Envelope, message: Message) -> None:
        """Part of `MessageSink`. Only who logged in, or is inside, sends to others, whatever was
        said before."""
        here, elsewhere = await self._split(envelope)
        if elsewhere and envelope.authenticated_user is None and not envelope.from_inside:
            raise BackendError("a recipient has no mailbox here", temporary=False)
        await self._take(envelope, here, elsewhere, message)

    async def send(self, envelope: Envelope, message: Message) -> None:
        """`accept` for the server's own mail, such as notifications and reports."""
        await self._take(envelope, *await self._split(envelope), message)

    async def _take(
        self,
        envelope: Envelope,
        here: tuple[str, ...],
        elsewhere: tuple[str, ...],
        message: Message,
    ) -> None:
        if self.sign is not None and elsewhere and envelope.sender:
            message = await _signed(self.sign, envelope, message)
        prepared: PreparedMessage | None = None
        if elsewhere:
            part = _part(envelope, elsewhere)
            prepared = await self._prepare(part, message)
        try:
            if here:
                await self._local.accept(_part(envelope, here), message)
            if prepared is not None:
                await self._run(prepared.commit)
        except BaseException:
            if prepared is not None:
                prepared.discard()
            raise
        if prepared is not None:
            _log.info(
                "queue=%s accepted recipients=%d octets=%d",
                prepared.identifier, len(elsewhere), prepared.size,
            )  # fmt: skip
            self.on_accepted()
        await self._tell_delivered(envelope, here, message)

    async def notify(self, notification: Notification) -> None:
        """Take responsibility for a notification: into a mailbox here, or into the queue.

        Raises `BackendError`; if that is not temporary, there is nobody to tell.
        """
        octets = await self._run(lambda: compose(notification))
        options = MailOptions(
            utf8=notification.utf8,
            eight_bit=not octets.isascii(),
            # RFC 8689 section 5.
            require_tls=notification.options.require_tls,
        )
        recipient = notification.sender
        envelope = Envelope(
            "", (recipient,), options=options, recipient_options={recipient: _NEVER}
        )
        await self.send(envelope, OctetMessage(octets))

    def close(self) -> None:
        """End the threads once what they do is done."""
        self._threads.shutdown()

    async def _split(self, envelope: Envelope) -> tuple[tuple[str, ...], tuple[str, ...]]:
        here: list[str] = []
        elsewhere: list[str] = []
        for recipient in envelope.recipients:
            try:
                destination = await self._local.destination(recipient)
            except DirectoryUnavailableError as error:
                raise BackendError(f"recipients: {error}", temporary=True) from error
            (elsewhere if destination is Destination.FOREIGN else here).append(recipient)
        return tuple(here), tuple(elsewhere)

    async def _tell_delivered(
        self, envelope: Envelope, recipients: tuple[str, ...], message: Message
    ) -> None:
        """Notify of local deliveries where the sender asked for it (RFC 3461 section 5.2.1). What a
        stranger says of a sender is not believed: others would be sent mail they never asked
        for."""
        if envelope.authenticated_user is None and not envelope.from_inside:
            return
        reports = [
            RecipientReport(
                each, envelope.options_of(each), Report.DELIVERED, "delivered to the mailbox",
                "2.1.5",
            )
            for each in recipients
            if wanted(envelope.sender, envelope.options_of(each), Report.DELIVERED)
        ]  # fmt: skip
        if not reports:
            return
        try:
            await self.notify(
                Notification(
                    hostname=self._hostname, sender=envelope.sender,
                    identifier=envelope.identifier or "local", options=envelope.options,
                    arrived=datetime.now(UTC), message=message, reports=reports,
                )
            )  # fmt: skip
        except BackendError as failure:
            # The message is delivered: its sender must not hear otherwise.
            _log.warning("a notification of success is not sent: %s", failure)

    async def _prepare(self, envelope: Envelope, message: Message) -> PreparedMessage:
        work = self._threads.submit(
            lambda: self._spool.prepare(envelope, message.chunks(), envelope.identifier)
        )
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            # The thread writes on: what it has made in the end is nobody's.
            work.add_done_callback(_discard)
            raise

    async def _run(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except OSError as failure:
            raise BackendError(f"the queue: {failure}", temporary=True) from failure


class OctetMessage:
    """A `Message` out of octets in memory; `before` stands in front of another message's."""

    def __init__(self, before: bytes, message: Message | None = None) -> None:
        self._before = before
        self._message = message

    @property
    def size(self) -> int:
        """Length in octets."""
        return len(self._before) + (self._message.size if self._message is not None else 0)

    def chunks(self) -> Iterator[bytes]:
        """The message from its first octet."""
        yield self._before
        if self._message is not None:
            yield from self._message.chunks()


async def _signed(
    sign: Callable[[Envelope, Message], Awaitable[bytes]], envelope: Envelope, message: Message
) -> Message:
    fields = await sign(envelope, message)
    return OctetMessage(fields, message) if fields else message


def _discard(work: Future[PreparedMessage]) -> None:
    if not work.cancelled() and work.exception() is None:
        work.result().discard()


def _part(envelope: Envelope, recipients: tuple[str, ...]) -> Envelope:
    return replace(envelope, recipients=recipients)
