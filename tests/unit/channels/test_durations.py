import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.channels.durations import duration_text, parse_age, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT5M", 300),
        ("pt4h", 4 * 3600),
        ("P1DT12H", 36 * 3600),
        ("P2W", 14 * 86400),
        ("PT90S", 90),
        ("P", None),
        ("PT", None),
        ("PT0S", None),
        ("5M", None),
        ("P9999D", None),
        ("", None),
    ],
)
def test_durations_are_those_of_iso_8601_up_to_a_year(text: str, seconds: float | None) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(("text", "seconds"), [("1", 86400), ("PT3H", 10800), ("0", None)])
def test_a_bare_number_is_an_age_in_days(text: str, seconds: float | None) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(300, "5 min"), (14400, "4 h"), (86400, "1 day"), (432000, "5 days"), (90, "90 s")],
)
def test_durations_are_told_in_their_largest_unit(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


@given(st.text("PTWDHMS0123456789٣", max_size=20))
def test_any_text_is_a_bounded_time_or_none(text: str) -> None:
    for parse in (parse_duration, parse_age):
        seconds = parse(text)
        assert seconds is None or 0 < seconds <= 366 * 86400
