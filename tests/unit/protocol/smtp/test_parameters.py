"""Parameters of MAIL and RCPT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SmtpRefusalError
from mailfront.interfaces.mail_relay import RelayOffer
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.protocol.smtp.parameters import (
    LONGEST_ENVELOPE_ID,
    LONGEST_ORIGINAL,
    MailParameters,
    parse_mail_parameters,
    parse_recipient_parameters,
)

OFFER = RelayOffer(dsn=True, require_tls=True)


def test_known_parameters_in_any_case_and_order() -> None:
    parsed = parse_mail_parameters(
        "body=8bitmime ret=hdrs RequireTLS SMTPUTF8 size=1000 envid=a+2Bb",
        OFFER,
        tls=True,
    )
    options = MailOptions(
        eight_bit=True, utf8=True, require_tls=True, return_content="HDRS", envelope_id="a+2Bb"
    )
    assert parsed == MailParameters(1000, options)


def test_no_parameters_say_nothing() -> None:
    assert parse_mail_parameters("", OFFER) == MailParameters()
    assert parse_recipient_parameters("", dsn=False) == RecipientOptions()


@pytest.mark.parametrize("value", ["<>", "alice@example.test", "a+2Bb@example.test"])
def test_auth_is_checked_and_ignored_where_it_was_offered(value: str) -> None:
    assert parse_mail_parameters(f"AUTH={value}", OFFER, auth=True) == MailParameters()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SIZE", 501), ("SIZE=", 501), ("SIZE=-1", 501), ("SIZE=1x", 501),
        ("SIZE=" + "9" * 21, 501),
        ("SIZE=1 SIZE=2", 501), ("BODY=BINARYMIME", 501), ("BODY", 501), ("SMTPUTF8=1", 501),
        ("AUTH=a+2", 501), ("AUTH", 501), ("-X=1", 501), ("SIZE==1", 501), ("SIZE=1\x01", 501),
        ("RET=BOTH", 501), ("RET", 501), ("ENVID", 501), ("ENVID=+2b", 501), ("ENVID=ü", 501),
        ("ENVID=" + "x" * (LONGEST_ENVELOPE_ID + 1), 501), ("REQUIRETLS=1", 501),
        ("NOTIFY=NEVER", 555), ("XFOO", 555),
    ],
)  # fmt: skip
def test_bad_values_are_501_and_unknown_names_555(text: str, code: int) -> None:
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_mail_parameters(text, OFFER, auth=True, tls=True)
    assert (refusal.value.code, refusal.value.enhanced) == (code, "5.5.4")


@pytest.mark.parametrize(
    "text", ["AUTH=<>", "RET=FULL", "ENVID=x", "REQUIRETLS", "BODY=7BIT", "SMTPUTF8"]
)
def test_what_was_not_offered_is_unknown(text: str) -> None:
    nothing = RelayOffer(eight_bit=False, utf8=False)
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_mail_parameters(text, nothing, tls=True)
    assert refusal.value.code == 555


def test_tls_can_only_be_required_of_others_by_who_uses_it() -> None:
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_mail_parameters("REQUIRETLS", OFFER, tls=False)
    assert refusal.value.code == 555


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("NOTIFY=never", RecipientOptions(frozenset({"NEVER"}))),
        (
            "notify=Success,FAILURE,delay",
            RecipientOptions(frozenset({"SUCCESS", "FAILURE", "DELAY"})),
        ),
        ("ORCPT=rfc822;a+2Bb@x.test", RecipientOptions(original="rfc822;a+2Bb@x.test")),
        ("ORCPT=utf-8;ü@x.test", RecipientOptions(original="utf-8;ü@x.test")),
        (
            "ORCPT=x;" + "y" * (LONGEST_ORIGINAL - 2),
            RecipientOptions(original="x;" + "y" * (LONGEST_ORIGINAL - 2)),
        ),
    ],
)
def test_recipients_say_whom_to_notify(text: str, options: RecipientOptions) -> None:
    assert parse_recipient_parameters(text, dsn=True, utf8=True) == options


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("NOTIFY", 501), ("NOTIFY=NEVER,SUCCESS", 501), ("NOTIFY=SUCCESS,", 501),
        ("NOTIFY=ALWAYS", 501), ("NOTIFY=DELAY NOTIFY=DELAY", 501),
        ("ORCPT", 501), ("ORCPT=alice@x.test", 501), ("ORCPT=;x", 501), ("ORCPT=rfc822;", 501),
        ("ORCPT=rfc822;a+b", 501), ("ORCPT=rfc822;ü", 501), ("ORCPT=utf-8;ü", 501),
        ("ORCPT=x;" + "y" * (LONGEST_ORIGINAL - 1), 501), ("RET=FULL", 555), ("XFOO", 555),
    ],
)  # fmt: skip
def test_what_is_no_notification_is_refused(text: str, code: int) -> None:
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_recipient_parameters(text, dsn=True)
    assert (refusal.value.code, refusal.value.enhanced) == (code, "5.5.4")


def test_an_international_original_is_bounded_in_octets() -> None:
    parse_recipient_parameters("ORCPT=utf-8;" + "ü" * 247, dsn=True, utf8=True)
    with pytest.raises(SmtpRefusalError):
        parse_recipient_parameters("ORCPT=utf-8;" + "ü" * 248, dsn=True, utf8=True)


def test_recipients_have_no_parameters_where_none_were_offered() -> None:
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_recipient_parameters("NOTIFY=NEVER", dsn=False)
    assert refusal.value.code == 555


@given(st.text(max_size=200), st.booleans())
def test_every_text_gives_parameters_or_a_refusal(text: str, auth: bool) -> None:
    try:
        parse_mail_parameters(text, OFFER, auth=auth, tls=True)
    except SmtpRefusalError:
        return


@given(st.text(max_size=40), st.sampled_from(["", "NOTIFY=", "ORCPT=", "ORCPT=utf-8;"]))
def test_every_text_says_something_of_a_recipient_or_is_refused(text: str, keyword: str) -> None:
    try:
        options = parse_recipient_parameters(keyword + text, dsn=True, utf8=True)
    except SmtpRefusalError:
        return
    assert len(options.original.encode()) <= LONGEST_ORIGINAL
    assert options.original.isprintable()
