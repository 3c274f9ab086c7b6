"""The table of sessions: random, bounded, expiring."""

from __future__ import annotations

import pytest

from mailfront.front.http.sessions import PER_USER_LIMIT, SessionTable
from mailfront.interfaces.authenticator import Identity


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def identity(user: str = "alice@example.test") -> Identity:
    return Identity(user, frozenset({user}), "FORM")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def table(clock: Clock) -> SessionTable:
    return SessionTable(idle_timeout=60, lifetime=600, limit=100, clock=clock)


def test_a_session_is_found_by_its_token_alone(table: SessionTable) -> None:
    token, session = table.open(identity())
    assert table.find(token) is session
    assert table.find(token + "x") is None
    assert table.find("") is None


def test_tokens_are_long_and_never_the_same(table: SessionTable) -> None:
    tokens = {table.open(identity(f"u{number}@example.test"))[0] for number in range(50)}
    assert len(tokens) == 50
    assert min(map(len, tokens)) >= 43


def test_a_closed_session_is_gone(table: SessionTable) -> None:
    token, _ = table.open(identity())
    table.close(token)
    table.close(token)
    assert table.find(token) is None
    assert len(table) == 0


def test_an_unused_session_expires_and_use_keeps_it(table: SessionTable, clock: Clock) -> None:
    token, _ = table.open(identity())
    clock.now += 50
    assert table.find(token)
    clock.now += 50
    assert table.find(token)
    clock.now += 61
    assert table.find(token) is None


def test_a_session_ends_after_its_lifetime_however_much_it_is_used(
    table: SessionTable, clock: Clock
) -> None:
    token, _ = table.open(identity())
    for _ in range(12):
        assert table.find(token)
        clock.now += 50
    clock.now += 1
    assert table.find(token) is None


def test_expired_sessions_make_room(table: SessionTable, clock: Clock) -> None:
    for number in range(100):
        table.open(identity(f"u{number}@example.test"))
    clock.now += 61
    table.open(identity())
    assert len(table) == 1


def test_a_full_table_drops_the_session_unused_for_longest(table: SessionTable) -> None:
    tokens = [table.open(identity(f"u{number}@example.test"))[0] for number in range(100)]
    assert table.find(tokens[0])
    table.open(identity())
    assert len(table) == 100
    assert table.find(tokens[0])
    assert table.find(tokens[1]) is None


def test_one_person_cannot_push_out_the_others(table: SessionTable) -> None:
    other, _ = table.open(identity("bob@example.test"))
    for _ in range(1000):
        table.open(identity())
    assert table.find(other)
    assert len(table) == PER_USER_LIMIT + 1


def test_a_notice_is_shown_once(table: SessionTable) -> None:
    _, session = table.open(identity())
    session.notice = "Message sent."
    assert session.take_notice() == "Message sent."
    assert session.take_notice() == ""


def test_all_sessions_of_one_person_end(table: SessionTable) -> None:
    other, _ = table.open(identity("bob@example.test"))
    token, _ = table.open(identity())
    table.open(identity())
    assert table.close_user("alice@example.test") == 2
    assert table.close_user("alice@example.test") == 0
    assert table.find(token) is None
    assert table.find(other)
