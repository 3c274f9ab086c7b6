"""What one attempt changes in the queue: results of servers become states, waits and reports."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace

from mailfront.channels.channel import Channel
from mailfront.observability.connection_record import quoted
from mailfront.outgoing.delivery_result import Outcome, RecipientResult
from mailfront.outgoing.notification import wanted
from mailfront.outgoing.retry import RetrySettings
from mailfront.queue.entry import QueuedMail, QueuedRecipient, RecipientUpdate, Report, State
from mailfront.queue.mail_queue import unchanged

_TEXT_LIMIT = 1000

_log = logging.getLogger("mailfront.queue")


def updates_of(
    mail: QueuedMail,
    results: Mapping[str, RecipientResult],
    channel: Channel | None,
    retry: RetrySettings,
    now: float,
) -> list[RecipientUpdate]:
    """What the results of an attempt change; a recipient without a result counts as deferred."""
    nothing = RecipientResult(Outcome.DEFERRED, text="the attempt gave no result")
    return [
        _update(mail, each, results.get(each.address, nothing), channel, retry, now)
        for each in mail.recipients
    ]


def overdue_update(
    mail: QueuedMail,
    recipient: QueuedRecipient,
    channel: Channel | None,
    retry: RetrySettings,
    now: float,
) -> RecipientUpdate:
    """What the age of a message changes of a recipient that waits: the sender is told of the delay,
    or it is given up."""
    update = unchanged(recipient)
    if now - mail.arrived >= retry.lifetime(channel):
        days = retry.lifetime(channel) / 86400
        text = recipient.text or "it was never reached"
        return replace(
            update,
            state=State.FAILED,
            # RFC 3463 section 3.5: delivery time expired.
            status="4.4.7",
            text=_bounded(f"given up after {days:.2g} days; last: {text}"),
            report=_report(mail, recipient, Report.FAILED),
        )
    notices = recipient.notices + 1
    # Of the warnings that a long stop has let pass, one is enough.
    while (age := retry.notice(channel, notices)) <= now - mail.arrived and age < retry.lifetime(
        channel
    ):
        notices += 1
    return replace(
        update,
        notices=notices,
        next_notice=mail.arrived + retry.notice(channel, notices),
        report=_report(mail, recipient, Report.DELAYED),
    )


def is_down(results: Mapping[str, RecipientResult]) -> bool:
    """Whether it was the way to the next hop that failed, and not this message."""
    return bool(results) and all(
        each.outcome is Outcome.DEFERRED and each.host_down for each in results.values()
    )


def answer_text(result: RecipientResult) -> str:
    """The server's answer on one line, or our own words where it gave none."""
    if result.reply is None:
        return _bounded(result.text)
    return _bounded(f"{result.reply.code} {' '.join(result.reply.lines)}")


def log_result(
    mail: QueuedMail, recipient: QueuedRecipient, result: RecipientResult, now: float
) -> None:
    """One line per recipient and attempt: what came of it, under which policy, and why."""
    answer = answer_text(result)
    level = logging.INFO if result.outcome is Outcome.DELIVERED else logging.WARNING
    _log.log(
        level,
        "queue=%s to=%s outcome=%s host=%s tls=%s policy=%s attempts=%d delay=%.1f answer=%s "
        "why=%s",
        mail.identifier, quoted(recipient.address), result.outcome.value,
        quoted(result.remote_host or "-"), quoted(result.tls or "-"), quoted(result.policy or "-"),
        recipient.attempts + 1, max(0.0, now - mail.arrived), quoted(answer or "-"),
        quoted(result.text if result.text not in answer else "-"),
    )  # fmt: skip


def _update(
    mail: QueuedMail,
    recipient: QueuedRecipient,
    result: RecipientResult,
    channel: Channel | None,
    retry: RetrySettings,
    now: float,
) -> RecipientUpdate:
    attempts = recipient.attempts + 1
    update = replace(
        unchanged(recipient),
        attempts=attempts,
        text=answer_text(result),
        status=result.status,
        remote_host=result.remote_host,
    )
    match result.outcome:
        case Outcome.DELIVERED:
            relayed = Report.RELAYED if result.relayed else Report.NONE
            return replace(update, state=State.DELIVERED, report=_report(mail, recipient, relayed))
        case Outcome.FAILED:
            return replace(
                update, state=State.FAILED, report=_report(mail, recipient, Report.FAILED)
            )
        case Outcome.DEFERRED:
            # What the sender is still to be told may have changed since the attempt began.
            return replace(
                update,
                state=State.WAITING,
                next_attempt=now + retry.wait(channel, attempts),
                report=Report.NONE,
            )


def _report(mail: QueuedMail, recipient: QueuedRecipient, action: Report) -> Report:
    # A failure that nobody is told of still passes the reporter, which logs it.
    if action is Report.FAILED and not mail.sender:
        return action
    return action if wanted(mail.sender, recipient.options, action) else Report.NONE


def _bounded(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else f"{text[:_TEXT_LIMIT]}…"
