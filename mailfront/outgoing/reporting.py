"""Tells senders what became of recipients: what the queue has marked as still to be told.

A mark is written with the result it is about and taken away once the notification is somebody's
responsibility, so a crash in between gives two notifications at worst.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from mailfront.errors import BackendError
from mailfront.outgoing.notification import Notification, RecipientReport, wanted
from mailfront.outgoing.sink import QueueingSink
from mailfront.queue.entry import QueuedMail, QueuedRecipient, Report
from mailfront.queue.mail_queue import MailQueue
from mailfront.queue.message_file import QueuedMessage

BATCH = 50

_log = logging.getLogger("mailfront.queue")


class Reporter:
    """Works off what is to be told."""

    def __init__(self, queue: MailQueue, sink: QueueingSink, hostname: str) -> None:
        self._queue = queue
        self._sink = sink
        self._hostname = hostname

    async def work_off(self) -> tuple[list[str], int]:
        """Tell what is to be told; return the messages of which it was, and how many
        notifications were made.

        Raises `BackendError` (temporary) if that is not possible now.
        """
        told: list[str] = []
        sent = 0
        while mails := await self._queue.unreported(BATCH):
            for mail in mails:
                sent += await self._tell(mail)
                told.append(mail.identifier)
        return told, sent

    async def _tell(self, mail: QueuedMail) -> bool:
        wanting = [
            each for each in mail.recipients if wanted(mail.sender, each.options, each.report)
        ]
        if wanting:
            await self._send(mail, wanting)
        elif not mail.sender and any(each.report is Report.FAILED for each in mail.recipients):
            _log.warning(
                "queue=%s failed, and has the null sender: nobody is told", mail.identifier
            )
        await self._queue.clear_reports([each.row for each in mail.recipients])
        return bool(wanting)

    async def _send(self, mail: QueuedMail, recipients: Sequence[QueuedRecipient]) -> None:
        message = await self._message(mail.identifier)
        notification = Notification(
            hostname=self._hostname,
            sender=mail.sender,
            identifier=mail.identifier,
            options=mail.options,
            arrived=datetime.fromtimestamp(mail.arrived, UTC),
            message=message,
            reports=[_report(each) for each in recipients],
        )
        try:
            await self._sink.notify(notification)
        except BackendError as failure:
            if failure.temporary:
                raise
            _log.warning("queue=%s its sender cannot be told: %s", mail.identifier, failure)
        finally:
            if message is not None:
                message.close()

    async def _message(self, identifier: str) -> QueuedMessage | None:
        try:
            return await self._queue.open(identifier)
        except BackendError as failure:
            if failure.temporary:
                raise
            return None


def _report(recipient: QueuedRecipient) -> RecipientReport:
    return RecipientReport(
        address=recipient.address,
        options=recipient.options,
        action=recipient.report,
        text=recipient.text,
        status=recipient.status,
        remote_host=recipient.remote_host,
    )
