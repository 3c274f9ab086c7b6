"""What an attempt changes: states, waits, and what the sender is to be told."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.outgoing.attempt import (
    answer_text,
    is_down,
    log_result,
    overdue_update,
    updates_of,
)
from mailfront.outgoing.delivery_result import Outcome, RecipientResult
from mailfront.outgoing.retry import RetrySettings
from mailfront.queue.entry import QueuedMail, QueuedRecipient, Report, State
from tests.support.mail_queues import ALICE, deferred, delivered, refused, unreachable

RETRY = RetrySettings(first=100, longest=1000, warnings=(50.0, 80.0), expiry=1000.0)
SUCCESS = RecipientOptions(frozenset({"SUCCESS"}))


def mail(*options: RecipientOptions, sender: str = ALICE) -> QueuedMail:
    recipients = tuple(
        QueuedRecipient(row, f"{row}@there.example", each, State.WAITING, "h", 0.0)
        for row, each in enumerate(options)
    )
    return QueuedMail("id", sender, MailOptions(), 0.0, 1, None, recipients)


def test_each_recipient_has_its_own_outcome() -> None:
    plain = RecipientOptions()
    letter = mail(plain, plain, plain, plain)
    results = {"0@there.example": delivered(), "1@there.example": refused(),
               "2@there.example": deferred()}  # fmt: skip
    done, failed, waiting, unsaid = updates_of(letter, results, None, RETRY, 10.0)
    assert (done.state, done.report) == (State.DELIVERED, Report.NONE)
    assert (failed.state, failed.report) == (State.FAILED, Report.FAILED)
    assert failed.text == "550 5.1.1 no such user"
    assert (waiting.state, waiting.attempts) == (State.WAITING, 1)
    assert 110 <= waiting.next_attempt <= 130
    assert unsaid.state is State.WAITING


def test_a_further_wait_says_nothing_of_what_the_sender_is_still_to_be_told() -> None:
    letter = mail(RecipientOptions())
    told_meanwhile = replace(letter.recipients[0], report=Report.DELAYED)
    letter = replace(letter, recipients=(told_meanwhile,))
    (update,) = updates_of(letter, {"0@there.example": deferred()}, None, RETRY, 10.0)
    assert update.report is Report.NONE


@pytest.mark.parametrize(
    ("options", "sender", "result", "report"),
    [
        (SUCCESS, ALICE, replace(delivered(), relayed=True), Report.RELAYED),
        (SUCCESS, ALICE, delivered(), Report.NONE),
        (SUCCESS, ALICE, refused(), Report.NONE),
        (RecipientOptions(), ALICE, replace(delivered(), relayed=True), Report.NONE),
        (RecipientOptions(frozenset({"NEVER"})), ALICE, refused(), Report.NONE),
        # Nobody is told; the mark is for the log.
        (RecipientOptions(), "", refused(), Report.FAILED),
        (SUCCESS, "", replace(delivered(), relayed=True), Report.NONE),
    ],
)
def test_the_sender_is_told_what_was_asked_for(
    options: RecipientOptions, sender: str, result: RecipientResult, report: Report
) -> None:
    letter = mail(options, sender=sender)
    (update,) = updates_of(letter, {"0@there.example": result}, None, RETRY, 10.0)
    assert update.report is report


def test_a_warning_is_one_even_after_a_long_stop_and_the_next_notice_is_the_end() -> None:
    letter = mail(RecipientOptions())
    update = overdue_update(letter, letter.recipients[0], None, RETRY, 60.0)
    assert (update.report, update.notices, update.next_notice) == (Report.DELAYED, 1, 80.0)
    late = overdue_update(letter, letter.recipients[0], None, RETRY, 500.0)
    assert (late.report, late.notices, late.next_notice) == (Report.DELAYED, 2, 1000.0)
    assert late.state is State.WAITING


def test_what_waited_too_long_is_given_up_with_the_last_answer() -> None:
    letter = mail(RecipientOptions())
    waiting = replace(letter.recipients[0], text="451 4.7.1 later")
    update = overdue_update(letter, waiting, None, RETRY, 1000.0)
    assert (update.state, update.report, update.status) == (State.FAILED, Report.FAILED, "4.4.7")
    assert "451 4.7.1 later" in update.text


@pytest.mark.parametrize(
    ("results", "down"),
    [
        ([unreachable()], True),
        ([deferred()], False),
        ([replace(deferred(), host_down=True)], True),
        ([unreachable(), delivered()], False),
        ([replace(unreachable(), host_down=False)], False),
        ([refused()], False),
        ([], False),
    ],
)
def test_a_next_hop_is_down_when_the_way_there_failed(
    results: list[RecipientResult], *, down: bool
) -> None:
    assert is_down({str(number): each for number, each in enumerate(results)}) is down


def test_texts_are_bounded() -> None:
    assert len(answer_text(RecipientResult(Outcome.DEFERRED, text="x" * 9999))) < 1100


def test_each_result_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    letter = mail(RecipientOptions())
    result = replace(delivered(), tls="TLSv1.3", policy="maytls, not verified", text="fell back\n")
    with caplog.at_level(logging.INFO, "mailfront.queue"):
        log_result(letter, letter.recipients[0], result, 2.0)
    (line,) = caplog.messages
    assert "queue=id to=0@there.example outcome=delivered host=mx.there tls=TLSv1.3" in line
    assert 'policy="maytls, not verified"' in line
    assert "\n" not in line
