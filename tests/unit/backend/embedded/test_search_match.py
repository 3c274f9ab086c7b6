"""SEARCH keys that look into the text of a message."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.backend.embedded.search_match import (
    body_matches,
    header_matches,
    sent_date,
    text_matches,
)
from mailfront.protocol.mime.scan import scan

MESSAGE = (
    "From: =?utf-8?q?J=C3=BCrgen?= <j@example.test>\r\nSubject: Stra\u00dfe nach\r\n K\u00f6ln\r\n"
    "X-Empty:\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\n"
    "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=FC=DFe aus K=F6ln\r\n"
    "--b\r\nContent-Type: application/octet-stream\r\n\r\nbinary words\r\n"
    '--b\r\nContent-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$"\x1b(B\r\n'
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ndeep text\r\n--b--\r\n"
).encode()
PART = scan(MESSAGE)


@pytest.mark.parametrize("wanted", ["jürgen", "JÜRGEN", "example.TEST", ""])
def test_header_texts_match_decoded_and_without_case(wanted: str) -> None:
    assert header_matches(PART, b"FROM", wanted)


def test_an_empty_text_asks_whether_the_field_is_there() -> None:
    assert header_matches(PART, b"X-Empty", "")
    assert not header_matches(PART, b"X-Missing", "")


def test_folded_fields_match_across_the_fold() -> None:
    assert header_matches(PART, b"Subject", "strasse nach köln")


@pytest.mark.parametrize("wanted", ["GRÜSSE AUS", "あ", "deep"])
def test_bodies_match_decoded_and_without_case(wanted: str) -> None:
    assert body_matches(MESSAGE, PART, wanted)
    assert text_matches(MESSAGE, PART, wanted)


@pytest.mark.parametrize("wanted", ["binary words", "inner", "=FC"])
def test_bodies_do_not_match_headers_encodings_or_parts_that_are_no_text(wanted: str) -> None:
    assert not body_matches(MESSAGE, PART, wanted)


@pytest.mark.parametrize("wanted", ["inner", "subject: straße", "ISO-8859-1"])
def test_text_matches_headers_of_all_parts(wanted: str) -> None:
    assert text_matches(MESSAGE, PART, wanted)


@given(st.binary(max_size=200), st.text(max_size=3))
def test_any_message_can_be_searched(message: bytes, wanted: str) -> None:
    part = scan(message)
    text_matches(message, part, wanted)
    sent_date(message)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Mon, 2 Mar 2026 23:59:59 -1200", date(2026, 3, 2)),
        (b"02 MAR 2026", date(2026, 3, 2)),
        (b"Mon,\r\n 2 March 26 10:00 GMT", date(2026, 3, 2)),
        (b"Wed, 1 Apr 98 10:00 EST", date(1998, 4, 1)),
        (b"31 Feb 2026", None),
        (b"yesterday", None),
        (b"", None),
    ],
)
def test_the_day_a_message_was_sent(value: bytes, expected: date | None) -> None:
    assert sent_date(b"Date: " + value + b"\r\n") == expected


def test_a_message_without_date_was_sent_on_no_day() -> None:
    assert sent_date(b"Subject: x\r\n") is None
