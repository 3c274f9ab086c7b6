"""When a response is fetched anew, tried again, and no longer stapled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailfront.keystore.ocsp import OcspAnswer, Revocation
from mailfront.keystore.staple_schedule import refresh_at, retry_at, stapled_until

NOW = datetime(2027, 1, 1, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
fractions = st.floats(0, 1)


def answer(life: timedelta, age: timedelta = timedelta(0)) -> OcspAnswer:
    return OcspAnswer(Revocation.GOOD, NOW - age, NOW - age + life, b"")


def test_a_response_is_stapled_until_shortly_before_its_end() -> None:
    assert stapled_until(answer(7 * DAY)) == NOW + 7 * DAY - 10 * MINUTE
    assert stapled_until(answer(10 * MINUTE)) == NOW + 9 * MINUTE


def test_a_fresh_response_is_replaced_halfway_through_its_life() -> None:
    assert refresh_at(answer(8 * DAY), NOW, 0) == NOW + 4 * DAY
    assert refresh_at(answer(10 * HOUR), NOW, 1) == NOW + 4.5 * HOUR


def test_a_response_made_in_advance_is_replaced_halfway_to_its_end() -> None:
    assert refresh_at(answer(8 * DAY, age=6 * DAY), NOW, 0) == NOW + DAY


@given(st.integers(1, 10**7), st.integers(0, 10**7), fractions)
def test_it_is_never_replaced_in_a_hurry(life: int, age: int, fraction: float) -> None:
    one = answer(timedelta(seconds=life + age), timedelta(seconds=age))
    at = refresh_at(one, NOW, fraction)
    assert at >= NOW + timedelta(seconds=10)
    assert at <= max(one.next_update, NOW + timedelta(seconds=10))


def test_failures_are_tried_again_ever_later() -> None:
    waits = [(retry_at(failures, NOW, 0) - NOW).total_seconds() for failures in range(1, 13)]
    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-2:] == [3600, 3600]


@given(st.integers(1, 10**9), fractions)
def test_however_often_it_failed_it_is_tried_within_an_hour_and_a_half(
    failures: int, fraction: float
) -> None:
    assert timedelta(seconds=5) <= retry_at(failures, NOW, fraction) - NOW <= 1.5 * HOUR
