"""A message built from the compose form."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfront.errors import AddressError
from mailfront.front.http.outgoing_message import RECIPIENT_LIMIT, Draft, build, reply_to
from tests.support.webmail import corpus

ALICE = "alice@example.test"


def built(**texts: str) -> EmailMessage:
    message = build(
        Draft(**({"sender": ALICE, "to": "bob@example.test"} | texts)), "mx.test"
    ).message
    return message_from_bytes(message, policy=policy.default)


def test_a_message_has_what_rfc_5322_asks_for() -> None:
    message = built(subject="Hello", text="one\r\ntwo")
    assert message["From"] == ALICE
    assert message["To"] == "bob@example.test"
    assert message["Date"].datetime is not None
    assert message["Message-ID"].endswith("@mx.test>")
    assert message.get_content() == "one\r\ntwo\r\n"


def test_lines_end_with_crlf_and_stay_short() -> None:
    outgoing = build(Draft(ALICE, to=ALICE, subject="ü" * 300, text="x" * 5000 + "\nü"), "mx.test")
    assert b"\n" not in outgoing.message.replace(b"\r\n", b"")
    assert max(map(len, outgoing.message.split(b"\r\n"))) <= 998
    assert outgoing.message.isascii()


def test_texts_come_back_as_they_were_written() -> None:
    message = built(
        subject="Grüße: 你好 🎉", text="Ünïcode\n.\nFrom here\n", cc='"Ü, X" <c@example.test>'
    )
    assert message["Subject"] == "Grüße: 你好 🎉"
    assert message.get_content() == "Ünïcode\r\n.\r\nFrom here\r\n"
    assert message["Cc"].addresses[0].display_name == "Ü, X"


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=200))
def test_any_text_makes_a_message_with_no_header_of_its_own(subject: str, text: str) -> None:
    message = built(subject=subject, text=text)
    assert set(message.keys()) == {
        "Date", "Message-ID", "From", "To", "Subject", "Content-Type",
        "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip


def test_line_breaks_cannot_add_headers() -> None:
    message = built(subject="x\r\nBcc: evil@example.test", in_reply_to="<a@b>\r\nX-Evil: y")
    assert message["Bcc"] is None
    assert message["X-Evil"] is None
    assert message["In-Reply-To"] == "<a@b>"


def test_blind_copies_are_in_the_envelope_alone() -> None:
    outgoing = build(Draft(ALICE, to="b@example.test", bcc="Secret <c@example.test>"), "mx.test")
    assert outgoing.recipients == ("b@example.test", "c@example.test")
    assert b"c@example.test" not in outgoing.message


def test_each_recipient_counts_once_however_written() -> None:
    outgoing = build(
        Draft(
            ALICE, to="B <b@EXAMPLE.test>; b@example.test", cc="G: c@example.test, b@example.test;"
        ),
        "mx.test",
    )
    assert outgoing.recipients == ("b@example.test", "c@example.test")


def test_addresses_outside_ascii_make_an_internationalised_message() -> None:
    outgoing = build(Draft(ALICE, to="jürgen@example.test", subject="x"), "mx.test")
    assert outgoing.recipients == ("jürgen@example.test",)
    assert "To: jürgen@example.test".encode() in outgoing.message


@pytest.mark.parametrize("to", ["", " , ", "bob", "bob@", "a b@example.test", "<>", "x" * 50_000])
def test_what_is_no_address_is_named(to: str) -> None:
    with pytest.raises(AddressError):
        build(Draft(ALICE, to=to), "mx.test")


def test_the_number_of_recipients_is_bounded() -> None:
    many = ",".join(f"u{number}@example.test" for number in range(RECIPIENT_LIMIT + 1))
    with pytest.raises(AddressError, match="at most"):
        build(Draft(ALICE, to=many), "mx.test")


def test_a_reply_goes_to_the_author_and_continues_the_thread() -> None:
    draft = reply_to(
        corpus("plain"), frozenset({"bob@example.test"}), "bob@example.test", everyone=False
    )
    assert draft.to == '"Alice Example" <alice@example.test>'
    assert draft.sender == "bob@example.test"
    assert draft.subject == "Re: A plain message"
    assert draft.in_reply_to == "<plain@example.test>"
    assert "> Hello Bob," in draft.text
    message = message_from_bytes(build(draft, "mx.test").message, policy=policy.default)
    assert message["References"] == "<plain@example.test>"


def test_a_reply_to_everyone_leaves_oneself_out() -> None:
    message = (
        b"From: a@x.test\r\nTo: me@x.test, b@x.test\r\nCc: c@x.test, Me <office@x.test>\r\n"
        b"Subject: RE: x\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n\r\nhi\r\n"
    )
    own = frozenset({"me@x.test", "office@x.test"})
    draft = reply_to(message, own, "office@x.test", everyone=True)
    assert draft.sender == "me@x.test"
    assert draft.cc == "b@x.test, c@x.test"
    assert draft.subject == "RE: x"
    assert draft.references == "<1@x> <2@x>"


@given(st.binary(max_size=300))
def test_any_message_can_be_answered(message: bytes) -> None:
    reply_to(message, frozenset(), ALICE, everyone=True)
