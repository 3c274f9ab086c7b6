"""Moments as LDAP writes them."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.generalized_time import format_time, parse_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20261124183005Z", datetime(2026, 11, 24, 18, 30, 5, tzinfo=UTC)),
        ("202611241830Z", datetime(2026, 11, 24, 18, 30, tzinfo=UTC)),
        ("2026112418Z", datetime(2026, 11, 24, 18, tzinfo=UTC)),
        ("20261124183005.75Z", datetime(2026, 11, 24, 18, 30, 5, tzinfo=UTC)),
        ("20261124193005,5+0100", datetime(2026, 11, 24, 18, 30, 5, tzinfo=UTC)),
        ("20261124130005-0530", datetime(2026, 11, 24, 18, 30, 5, tzinfo=UTC)),
        ("20261231235960Z", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("99991231235959Z", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_every_form_with_a_zone_is_read(text: str, moment: datetime) -> None:
    assert parse_time(text) == moment


@pytest.mark.parametrize(
    "text",
    ["", "20261124183005", "2026-11-24T18:30:05Z", "20261324183005Z", "20260230000000Z",
     "20261124253005Z", "99991231235959-2300", "00010101000000+2359", "20261124183005+9999",
     "２０２６1124183005Z", "20261124183005Z\n", "forever"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_what_is_written_is_read_again(moment: datetime) -> None:
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)


@given(st.text("0123456789Z+-., ", max_size=24))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert parse_time(text).tzinfo is UTC
