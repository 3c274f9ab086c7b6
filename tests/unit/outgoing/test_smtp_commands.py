"""What EHLO offers, and the commands that are made from it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import DestinationError
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.interfaces.message_sink import Envelope, MailOptions, RecipientOptions
from mailfront.outgoing.message_form import MessageForm
from mailfront.outgoing.smtp_commands import Offer, offer_of, transaction_commands

EVERYTHING = offer_of(
    RelayAnswer(
        250,
        (
            "mx.test at your service", "PIPELINING", "size 1000", "8bitmime", "SMTPUTF8", "DSN",
            "STARTTLS", "REQUIRETLS", "AUTH PLAIN LOGIN", "AUTH=SCRAM-SHA-256",
        ),
    )
)  # fmt: skip
PLAIN = MessageForm()


def test_an_offer_is_read_in_any_case() -> None:
    assert EVERYTHING.hello == "MX.TEST".lower()
    assert EVERYTHING.size_limit == 1000
    assert EVERYTHING.starttls
    assert EVERYTHING.require_tls
    assert EVERYTHING.mechanisms == {"PLAIN", "LOGIN"}


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126)), min_size=1))
def test_any_answer_is_an_offer(lines: list[str]) -> None:
    assert isinstance(offer_of(RelayAnswer(250, tuple(lines))), Offer)


def test_parameters_are_those_that_are_offered_and_wanted() -> None:
    envelope = Envelope(
        "a@us.test",
        ("b@x.test", "c@x.test"),
        options=MailOptions(True, False, True, "HDRS", "id"),
        recipient_options={
            "b@x.test": RecipientOptions(frozenset({"NEVER"}), "rfc822;b@x.test"),
        },
    )
    mail, recipients = transaction_commands(envelope, PLAIN, 10, EVERYTHING)
    assert mail == (b"MAIL FROM:<a@us.test> SIZE=10 BODY=8BITMIME REQUIRETLS RET=HDRS ENVID=id\r\n")
    assert list(recipients.values()) == [
        b"RCPT TO:<b@x.test> NOTIFY=NEVER ORCPT=rfc822;b@x.test\r\n",
        b"RCPT TO:<c@x.test>\r\n",
    ]


def test_an_old_server_gets_no_parameters() -> None:
    envelope = Envelope("", ("b@x.test",), options=MailOptions(return_content="FULL"))
    mail, recipients = transaction_commands(envelope, PLAIN, 10, Offer())
    assert (mail, *recipients.values()) == (b"MAIL FROM:<>\r\n", b"RCPT TO:<b@x.test>\r\n")


def test_a_domain_in_u_labels_needs_no_smtputf8() -> None:
    envelope = Envelope("a@us.test", ("b@grün.test",))
    mail, recipients = transaction_commands(envelope, PLAIN, 10, Offer())
    assert b"SMTPUTF8" not in mail
    assert list(recipients.values()) == [b"RCPT TO:<b@xn--grn-ioa.test>\r\n"]


@pytest.mark.parametrize(
    ("recipient", "form", "size", "status"),
    [
        ("b@x.test", PLAIN, 2000, "5.3.4"),
        ("bé@x.test", PLAIN, 10, "5.6.7"),
        ("b@x.test", MessageForm(eight_bit=True), 10, "5.6.1"),
        ("b@x.test>\r\nQUIT", PLAIN, 10, "5.1.3"),
        ("b@\u2028.test", PLAIN, 10, "5.1.3"),
    ],
)
def test_what_cannot_go_is_told_with_its_status(
    recipient: str, form: MessageForm, size: int, status: str
) -> None:
    with pytest.raises(DestinationError) as caught:
        transaction_commands(Envelope("a@us.test", (recipient,)), form, size, Offer(size_limit=100))
    assert (caught.value.temporary, caught.value.status) == (False, status)


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_no_command_is_ever_two(recipient: str, original: str, envid: str) -> None:
    envelope = Envelope(
        "a@us.test",
        (recipient,),
        options=MailOptions(envelope_id=envid),
        recipient_options={recipient: RecipientOptions(original=original)},
    )
    try:
        mail, recipients = transaction_commands(envelope, PLAIN, 10, EVERYTHING)
    except DestinationError:
        return
    for command in (mail, *recipients.values()):
        assert command.endswith(b"\r\n")
        assert not {*command[:-2]} & {*range(32), 127}
