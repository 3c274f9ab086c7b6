"""When again: waits grow to a bound, with chance in them; a channel's keywords win."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from mailfront.outgoing.retry import JITTER, RetrySettings
from tests.support.mail_queues import TCP_LOCAL

RETRY = RetrySettings(first=300, longest=14400)


@given(st.integers(1, 10_000))
def test_waits_double_up_to_the_longest(attempts: int) -> None:
    expected = min(300 * 2 ** (attempts - 1), 14400)
    assert expected <= RETRY.wait(None, attempts) <= expected * (1 + JITTER)


def test_a_channel_says_its_own_waits_the_last_repeating() -> None:
    channel = replace(TCP_LOCAL, backoff=(10.0, 60.0))
    for attempts, expected in ((1, 10), (2, 60), (9, 60)):
        assert expected <= RETRY.wait(channel, attempts) <= expected * (1 + JITTER)


def test_warnings_come_first_and_then_the_end() -> None:
    assert [RETRY.notice(None, told) / 3600 for told in range(4)] == [3, 24, 120, 120]


def test_a_channel_says_its_own_notices() -> None:
    channel = replace(TCP_LOCAL, notices=(100.0, 200.0, 1000.0))
    assert [RETRY.notice(channel, told) for told in range(4)] == [100, 200, 1000, 1000]
    assert RETRY.lifetime(channel) == 1000


def test_no_warning_comes_after_the_end() -> None:
    assert RetrySettings(warnings=(500.0,), expiry=100.0).notice(None, 0) == 100.0
