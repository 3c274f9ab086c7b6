"""Sets of message numbers and UIDs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.sequence_set import format_set, sequence_set


def ranges(text: bytes, last: int) -> list[tuple[int, int]]:
    cursor = Cursor(text)
    messages = sequence_set(cursor)
    cursor.end()
    return messages.ranges(last)


def test_ranges_may_be_written_in_any_order_and_overlap() -> None:
    assert ranges(b"5:3,1,2,7:9,8:12", 20) == [(1, 5), (7, 12)]


def test_a_star_is_the_last_message() -> None:
    assert ranges(b"*", 9) == [(9, 9)]
    assert ranges(b"3:*", 9) == [(3, 9)]
    assert ranges(b"*:3", 9) == [(3, 9)]
    assert ranges(b"*:*", 9) == [(9, 9)]


def test_a_range_that_begins_after_the_last_message_holds_the_last() -> None:
    assert ranges(b"12:*", 9) == [(9, 12)]


def test_what_was_written_is_known_without_a_mailbox() -> None:
    messages = sequence_set(Cursor(b"2:4,*"))
    assert messages.largest() == 4
    assert messages.has_last()
    assert not sequence_set(Cursor(b"7")).has_last()


@pytest.mark.parametrize(
    "text", [b"", b"0", b"1:0", b"1,", b",1", b"1:", b":1", b"1:2:3", b"4294967296", b"a", b"**"]
)
def test_what_is_no_set_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        sequence_set(Cursor(text))


@given(st.sets(st.integers(1, 200), min_size=1))
def test_a_formatted_set_reads_back(numbers: set[int]) -> None:
    ordered = sorted(numbers)
    back = [n for low, high in ranges(format_set(ordered), 200) for n in range(low, high + 1)]
    assert back == ordered


def test_runs_are_joined() -> None:
    assert format_set([1, 2, 3, 7, 9, 10]) == b"1:3,7,9:10"


@given(st.text("0123456789:,*", min_size=1, max_size=30), st.integers(1, 100))
def test_ranges_are_always_ascending_and_disjoint(text: str, last: int) -> None:
    try:
        found = ranges(text.encode(), last)
    except ImapSyntaxError:
        return
    assert all(low <= high for low, high in found)
    assert all(before[1] + 1 < after[0] for before, after in itertools.pairwise(found))
