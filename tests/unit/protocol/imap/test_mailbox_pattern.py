"""Patterns of LIST."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.imap.mailbox_pattern import MailboxPattern


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*", ["a", "a/b", ""], []),
        ("%", ["a", ""], ["a/b"]),
        ("a/%", ["a/b", "a/"], ["a", "a/b/c", "b/a"]),
        ("a*c", ["ac", "a/b/c"], ["a", "acd"]),
        ("%/b", ["a/b", "/b"], ["b", "a/c/b"]),
        ("a", ["a"], ["A", "ab", ""]),
        ("", [""], ["a"]),
        ("*%", ["a/b"], []),
    ],
)
def test_wildcards(pattern: str, matching: list[str], others: list[str]) -> None:
    made = MailboxPattern(pattern)
    assert [name for name in matching if not made.matches(name)] == []
    assert [name for name in others if made.matches(name)] == []


def test_letter_case_matters_unless_it_is_said_not_to() -> None:
    assert MailboxPattern("inb*").matches("INBOX", ignore_case=True)
    assert not MailboxPattern("inb*").matches("INBOX")
    assert not MailboxPattern("ßox%").matches("INBOX", ignore_case=True)


def test_a_pattern_made_to_be_slow_is_not() -> None:
    assert not MailboxPattern("*a" * 500 + "b").matches("a" * 1000)


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_it_agrees_with_a_regular_expression(pattern: str, name: str) -> None:
    expression = pattern.replace("*", ".*").replace("%", "[^/]*")
    assert MailboxPattern(pattern).matches(name) == bool(re.fullmatch(expression, name))
