"""Notifications as RFC 3464 and RFC 3461 want them, read back by Python's parser."""

from __future__ import annotations

import email
from datetime import UTC, datetime
from email.message import EmailMessage, Message
from email.policy import default

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.outgoing.notification import (
    CONTENT_LIMIT,
    HEADER_LIMIT,
    Notification,
    RecipientReport,
    compose,
    wanted,
)
from mailfront.outgoing.sink import OctetMessage
from mailfront.queue.entry import Report
from tests.support.mail_queues import ALICE, HOSTNAME, LETTER

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
PLAIN = RecipientOptions()
FAILURE = RecipientReport(
    "bob@there.example", RecipientOptions(original="rfc822;Bob+2Bx@there.example"), Report.FAILED,
    "550 5.1.1 no such user", remote_host="mx.there.example",
)  # fmt: skip


def notification(
    *reports: RecipientReport,
    content: bytes | None = LETTER,
    options: MailOptions | None = None,
    sender: str = ALICE,
) -> Notification:
    return Notification(
        hostname=HOSTNAME, sender=sender, identifier="0123456789abcdef",
        options=options or MailOptions(), arrived=NOW,
        message=None if content is None else OctetMessage(content), reports=reports or (FAILURE,),
    )  # fmt: skip


def read(made: Notification) -> tuple[EmailMessage, list[Message]]:
    octets = compose(made, NOW)
    assert b"\n" not in octets.replace(b"\r\n", b"")
    message = email.message_from_bytes(octets, policy=default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message, list(message.iter_parts())


def fields(part: Message) -> list[dict[str, str]]:
    blocks = part.get_payload()
    assert isinstance(blocks, list)
    return [
        {name: str(value) for name, value in block.items()}
        for block in blocks
        if isinstance(block, Message)
    ]


def test_a_failure_names_recipient_reason_and_server_and_returns_the_message() -> None:
    message, parts = read(notification(options=MailOptions(envelope_id="QQ+3D7")))
    assert message["To"] == ALICE
    assert message["Auto-Submitted"] == "auto-replied"
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    text, status, returned = parts
    assert "550 5.1.1 no such user" in text.get_payload()
    about_message, about_bob = fields(status)
    assert about_message["Reporting-MTA"] == f"dns; {HOSTNAME}"
    assert about_message["Original-Envelope-Id"] == "QQ=7"
    assert about_bob["Action"] == "failed"
    assert about_bob["Status"] == "5.1.1"
    assert about_bob["Final-Recipient"] == "rfc822;bob@there.example"
    assert about_bob["Original-Recipient"] == "rfc822;Bob+x@there.example"
    assert about_bob["Remote-MTA"] == "dns;mx.there.example"
    assert about_bob["Diagnostic-Code"] == "smtp; 550 5.1.1 no such user"
    assert returned.get_content_type() == "message/rfc822"
    assert LETTER in compose(notification(), NOW)


@pytest.mark.parametrize(
    ("options", "content", "action"),
    [
        (MailOptions(return_content="HDRS"), LETTER, Report.FAILED),
        # RFC 8689 section 5.
        (MailOptions(return_content="FULL", require_tls=True), LETTER, Report.FAILED),
        (MailOptions(), LETTER + b"x" * CONTENT_LIMIT, Report.FAILED),
        (MailOptions(return_content="FULL"), LETTER, Report.DELIVERED),
        (MailOptions(), LETTER, Report.DELAYED),
    ],
)
def test_the_header_alone_comes_back_where_the_message_is_not_wanted_or_too_large(
    options: MailOptions, content: bytes, action: Report
) -> None:
    report = RecipientReport("b@c.example", PLAIN, action)
    _, parts = read(notification(report, options=options, content=content))
    assert parts[2].get_content_type() == "text/rfc822-headers"
    assert str(parts[2].get_payload()).strip() == "Subject: hello"


@pytest.mark.parametrize(
    ("content", "encoding"), [(LETTER, None), (LETTER + "é\r\n".encode(), "8bit")]
)
def test_the_whole_is_of_8bit_where_what_comes_back_is(
    content: bytes, encoding: str | None
) -> None:
    message, _ = read(notification(content=content))
    assert message["Content-Transfer-Encoding"] == encoding


def test_an_endless_header_is_bounded() -> None:
    octets = compose(notification(content=b"X: " + b"y" * 10 * HEADER_LIMIT))
    assert len(octets) < 2 * HEADER_LIMIT + CONTENT_LIMIT


def test_a_message_whose_file_is_gone_is_told_without_it() -> None:
    _, parts = read(notification(content=None))
    assert len(parts) == 2


def test_addresses_beyond_ascii_get_the_international_parts() -> None:
    report = RecipientReport("jürgen@there.example", PLAIN, Report.FAILED, "nicht möglich")
    made = notification(report)
    assert made.utf8
    octets = compose(made, NOW)
    assert b"message/global-delivery-status" in octets
    assert "Final-Recipient: utf-8;jürgen@there.example".encode() in octets
    assert b"message/global\r\n" in octets
    assert not notification().utf8


def test_a_notification_of_several_says_each_by_its_own_action() -> None:
    relayed = RecipientReport("carol@there.example", PLAIN, Report.RELAYED, "250 2.0.0 yes")
    message, parts = read(notification(FAILURE, relayed))
    assert message["Subject"] == "Delivery status of your mail"
    assert [each["Action"] for each in fields(parts[1])[1:]] == ["failed", "relayed"]


@given(st.text(max_size=300))
def test_what_a_server_says_cannot_add_a_field_or_a_part(text: str) -> None:
    report = RecipientReport("b@c.example", PLAIN, Report.FAILED, text, remote_host=text)
    message = email.message_from_bytes(compose(notification(report), NOW), policy=default)
    parts = list(message.iter_parts())
    assert len(parts) == 3
    known = {"Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code"}
    about_recipient = fields(parts[1])
    assert len(about_recipient) == 2
    assert set(about_recipient[1]) <= known


@pytest.mark.parametrize(
    ("notify", "told"),
    [
        ((), {Report.FAILED, Report.DELAYED}),
        (("NEVER",), set()),
        (("FAILURE",), {Report.FAILED}),
        (("DELAY",), {Report.DELAYED}),
        (("SUCCESS", "FAILURE"), {Report.FAILED, Report.DELIVERED, Report.RELAYED}),
    ],
)
def test_the_sender_is_told_what_notify_asks_for(
    notify: tuple[str, ...], told: set[Report]
) -> None:
    options = RecipientOptions(frozenset(notify))
    assert {each for each in Report if wanted(ALICE, options, each)} == told
    assert not any(wanted("", options, each) for each in Report)
