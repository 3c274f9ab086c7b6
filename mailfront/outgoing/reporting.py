"""Tells senders what became of recipients: what the queue has marked as still to be told.

A mark is written with the result it is about and taken away once the notification is somebody's
responsibility, so a crash in between gives two notifications at worst.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mailfront.errors import BackendError
from mailfront.outgoing.notification import Notification, RecipientReport, wanted
from mailfront.outgoing.sink import QueueingSink
from mailfront.queue.entry import QueuedMail, QueuedRecipient, Report
from mailfront.queue.mail_queue import MailQueue
from mailfront.queue.message_file import QueuedMessage

BATCH = 50
# One round ends after so many notifications that could not be handed over, or once it has taken so
# long with one of them: the queue has other things to do.
MOST_FAILURES = 50
MOST_SECONDS = 2.0

_log = logging.getLogger("mailfront.queue")


@dataclass(slots=True)
class Told:
    """What one round came to: the messages of which their senders were told, how many notifications
    were made, and whether something is left to be told later."""

    messages: list[str] = field(default_factory=list)
    notifications: int = 0
    is_left: bool = False


class Reporter:
    """Works off what is to be told, in rounds. One sender who cannot be told now keeps nobody else
    from being told."""

    def __init__(self, queue: MailQueue, sink: QueueingSink, hostname: str) -> None:
        self._queue = queue
        self._sink = sink
        self._hostname = hostname
        # Where the next round goes on, so that many who cannot be told do not hide the others.
        self._after = ""

    async def work_off(self) -> Told:
        """Tell what is to be told, as far as that is possible now."""
        told = Told(is_left=bool(self._after))
        deadline = time.monotonic() + MOST_SECONDS
        failures: list[str] = []
        try:
            while mails := await self._queue.unreported(BATCH, self._after):
                for mail in mails:
                    self._after = mail.identifier
                    if failure := await self._told(mail, told):
                        failures.append(failure)
                    if len(failures) >= MOST_FAILURES or (
                        failures and time.monotonic() >= deadline
                    ):
                        return told
            self._after = ""
        except BackendError as failure:
            failures.append(str(failure))
        finally:
            if failures:
                told.is_left = True
                _log.error(
                    "queue: %d notifications cannot be handed over now; the first: %s",
                    len(failures), failures[0],
                )  # fmt: skip
        return told

    async def _told(self, mail: QueuedMail, told: Told) -> str:
        """Tell of one message and put that down in `told`; return why not, if not."""
        try:
            told.notifications += await self._tell(mail)
        except BackendError as failure:
            return f"queue={mail.identifier} {failure}"
        except Exception as fault:
            _log.exception("queue=%s its notification fails for a fault of ours", mail.identifier)
            return f"queue={mail.identifier} {fault!r}"
        told.messages.append(mail.identifier)
        return ""

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
        # Only what was told: the mark may be another one since.
        await self._queue.clear_reports(mail.recipients)
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
