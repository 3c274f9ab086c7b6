"""Dates of SEARCH, APPEND and INTERNALDATE."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.date import date_time, format_internal_date, search_date
from mailfront.protocol.imap.lexer import Cursor


def test_a_date_may_be_quoted_and_have_one_digit() -> None:
    assert search_date(Cursor(b"1-feb-1994")) == date(1994, 2, 1)
    assert search_date(Cursor(b'"28-Feb-1994"')) == date(1994, 2, 28)


def test_a_date_and_time_is_brought_to_utc() -> None:
    moment = date_time(Cursor(b'"17-Jul-1996 02:44:25 -0730"'))
    assert moment == datetime(1996, 7, 17, 10, 14, 25, tzinfo=UTC)
    assert date_time(Cursor(b'" 7-Jul-1996 02:44:25 +0000"')).day == 7


@pytest.mark.parametrize(
    "text",
    [
        b"30-Feb-1994",
        b"1-Foo-1994",
        b"0-Jan-1994",
        b'"1-Feb-1994',
        b"1-Feb-94",
        b"",
    ],
)
def test_an_impossible_date_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        search_date(Cursor(text))


@pytest.mark.parametrize(
    "text",
    [
        b'"17-Jul-1996 24:44:25 -0700"',
        b'"17-Jul-1996 02:44:25 +9900"',
        b'"17-Jul-1996 02:44:25"',
        b'"01-Jan-0001 00:00:00 +1400"',
        b"17-Jul-1996 02:44:25 -0700",
    ],
)
def test_an_impossible_time_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        date_time(Cursor(text))


def test_internal_dates_are_written_in_utc() -> None:
    assert format_internal_date(0) == b"01-Jan-1970 00:00:00 +0000"


@given(st.integers(0, 4_000_000_000))
def test_what_is_written_reads_back(seconds: int) -> None:
    text = b'"' + format_internal_date(seconds) + b'"'
    assert date_time(Cursor(text)).timestamp() == seconds
