"""Parameters of MAIL and RCPT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SmtpRefusalError
from mailfront.protocol.smtp.parameters import (
    MailParameters,
    parse_mail_parameters,
    parse_recipient_parameters,
)


def test_known_parameters_in_any_case_and_order() -> None:
    parsed = parse_mail_parameters("body=8bitmime SMTPUTF8 size=1000", auth=False)
    assert parsed == MailParameters(size=1000, smtputf8=True, eight_bit=True)


def test_no_parameters_say_nothing() -> None:
    assert parse_mail_parameters("", auth=False) == MailParameters()


@pytest.mark.parametrize("value", ["<>", "alice@example.test", "a+2Bb@example.test"])
def test_auth_is_checked_and_ignored_where_it_was_offered(value: str) -> None:
    assert parse_mail_parameters(f"AUTH={value}", auth=True) == MailParameters()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SIZE", 501), ("SIZE=", 501), ("SIZE=-1", 501), ("SIZE=1x", 501),
        ("SIZE=" + "9" * 21, 501),
        ("SIZE=1 SIZE=2", 501), ("BODY=BINARYMIME", 501), ("BODY", 501), ("SMTPUTF8=1", 501),
        ("AUTH=a+2", 501), ("AUTH", 501), ("-X=1", 501), ("SIZE==1", 501), ("SIZE=1\x01", 501),
        ("RET=FULL", 555), ("XFOO", 555),
    ],
)  # fmt: skip
def test_bad_values_are_501_and_unknown_names_555(text: str, code: int) -> None:
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_mail_parameters(text, auth=True)
    assert (refusal.value.code, refusal.value.enhanced) == (code, "5.5.4")


def test_auth_is_unknown_where_it_was_not_offered() -> None:
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_mail_parameters("AUTH=<>", auth=False)
    assert refusal.value.code == 555


def test_recipients_have_no_parameters() -> None:
    parse_recipient_parameters("")
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_recipient_parameters("NOTIFY=NEVER")
    assert refusal.value.code == 555


@given(st.text(max_size=200), st.booleans())
def test_every_text_gives_parameters_or_a_refusal(text: str, auth: bool) -> None:
    try:
        parse_mail_parameters(text, auth=auth)
    except SmtpRefusalError:
        return
