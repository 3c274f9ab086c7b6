from __future__ import annotations

from mailfront.backend.upstream.balance import (
    FIRST_BACK_OFF,
    LONGEST_BACK_OFF,
    TOLD_AT_ONCE,
    Balance,
)
from mailfront.configuration.upstream_list import parse_upstreams

ONE, TWO, THREE = parse_upstreams(
    "imap://127.0.0.1:1,imap://127.0.0.1:2,imap://127.0.0.1:3", ("imap",)
)
# More than any back-off with its random part.
LATER = 2 * LONGEST_BACK_OFF


def test_the_one_with_the_fewest_sessions_comes_first() -> None:
    balance = Balance([ONE, TWO, THREE])
    for upstream in (ONE, ONE, TWO):
        balance.began(upstream)
    assert balance.candidates(0.0) == [THREE, TWO, ONE]
    balance.ended(ONE)
    balance.ended(ONE)
    balance.began(THREE)
    assert balance.candidates(0.0)[0] == ONE


def test_equals_are_chosen_by_lot() -> None:
    balance = Balance([ONE, TWO])
    assert {balance.candidates(0.0)[0] for _ in range(200)} == {ONE, TWO}


def test_one_that_failed_is_left_alone_for_a_time() -> None:
    balance = Balance([ONE, TWO])
    balance.failed(ONE, "connection refused", 10.0)
    assert balance.candidates(10.0) == [TWO]
    assert ONE in balance.candidates(10.0 + 1.2 * FIRST_BACK_OFF)


def test_one_that_failed_comes_after_those_that_work_even_when_its_time_is_over() -> None:
    balance = Balance([ONE, TWO])
    balance.failed(ONE, "connection refused", 0.0)
    for _ in range(5):
        balance.began(TWO)
    assert balance.candidates(LATER) == [TWO, ONE]


def test_the_time_grows_with_each_failure_up_to_a_bound() -> None:
    balance = Balance([ONE])
    now = 0.0
    waits = []
    for _ in range(12):
        balance.failed(ONE, "no route", now)
        begin = now
        while not balance.candidates(now):
            now += 0.1
        waits.append(now - begin)
    assert waits[1] > waits[0]
    assert 0.8 * LONGEST_BACK_OFF <= waits[-1] <= 1.2 * LONGEST_BACK_OFF + 0.1


def test_sessions_that_fail_at_the_same_moment_count_once() -> None:
    balance = Balance([ONE])
    assert balance.failed(ONE, "connection refused", 0.0)
    for _ in range(50):
        assert not balance.failed(ONE, "connection refused", 0.0)
    assert balance.candidates(1.3 * FIRST_BACK_OFF) == [ONE]


def test_a_session_clears_its_name() -> None:
    balance = Balance([ONE])
    balance.failed(ONE, "connection refused", 0.0)
    assert balance.problems() == ["upstream 127.0.0.1:1: connection refused"]
    balance.began(ONE)
    assert balance.problems() == []
    assert balance.candidates(0.0) == [ONE]
    assert balance.sessions() == {"127.0.0.1:1": 1}


def test_without_one_that_works_there_is_no_candidate() -> None:
    balance = Balance([ONE, TWO])
    balance.failed(ONE, "down", 0.0)
    balance.failed(TWO, "down", 0.0)
    assert balance.candidates(0.1) == []


def test_one_that_answers_a_probe_is_used_again_and_that_is_news_once() -> None:
    balance = Balance([ONE, TWO])
    balance.failed(ONE, "connection refused", 0.0)
    assert balance.failing() == [ONE]
    assert balance.answered(ONE)
    assert not balance.answered(ONE)
    assert balance.failing() == []
    assert {*balance.candidates(0.0)} == {ONE, TWO} == {*balance.upstreams}


def test_a_few_sessions_that_are_lost_are_told_at_once_and_a_storm_over_some_seconds() -> None:
    balance = Balance([ONE], spread=5.0)
    assert [balance.lost(ONE, 0.0) for _ in range(TOLD_AT_ONCE)] == [0.0] * TOLD_AT_ONCE
    later = [balance.lost(ONE, 0.1) for _ in range(200)]
    assert all(0.0 <= each <= 5.0 for each in later)
    assert max(later) > 4.0
    assert balance.lost(ONE, 20.0) == 0.0


def test_without_a_spread_all_are_told_at_once() -> None:
    balance = Balance([ONE])
    assert {balance.lost(ONE, 0.0) for _ in range(100)} == {0.0}
