"""Command lines: strict CRLF, bounded, and what is behind a bad line still counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import LineTooLongError, PeerError, SmtpRefusalError
from mailfront.protocol.smtp.command_lines import CommandLines

LIMIT = 512


def lines(*chunks: bytes, limit: int = LIMIT) -> list[bytes | str]:
    """Every line, or the name of the error that it raised."""
    queue = CommandLines()
    found: list[bytes | str] = []
    for chunk in chunks:
        queue.feed(chunk)
        while True:
            try:
                line = queue.next_line(limit)
            except PeerError as fault:
                found.append(type(fault).__name__)
                continue
            if line is None:
                break
            found.append(line)
    return found


def test_pipelined_commands_come_one_by_one() -> None:
    assert lines(b"NOOP\r\nRSET\r\nQU", b"IT\r\n") == [b"NOOP", b"RSET", b"QUIT"]


@pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NO\0OP\r\n", b"NOOP\r\r\n"])
def test_anything_but_one_crlf_at_the_end_is_refused(line: bytes) -> None:
    assert lines(line + b"QUIT\r\n") == ["SmtpRefusalError", b"QUIT"]


def test_the_limit_counts_the_line_end() -> None:
    assert lines(b"x" * (LIMIT - 2) + b"\r\n") == [b"x" * (LIMIT - 2)]
    assert lines(b"x" * (LIMIT - 1) + b"\r\n") == ["LineTooLongError"]


def test_an_over_long_line_is_reported_once_and_the_next_line_counts() -> None:
    chunks = [b"x" * 400] * 100 + [b"\r\nQUIT\r\n"]
    assert lines(*chunks) == ["LineTooLongError", b"QUIT"]
    assert lines(b"".join(chunks)) == ["LineTooLongError", b"QUIT"]


def test_an_over_long_line_is_not_kept_in_memory() -> None:
    queue = CommandLines()
    for _ in range(1000):
        queue.feed(b"x" * 1000)
        assert queue.next_line(LIMIT) is None
        assert len(queue) <= LIMIT
    queue.feed(b"\r\n")
    with pytest.raises(LineTooLongError):
        queue.next_line(LIMIT)


def test_taking_everything_leaves_nothing() -> None:
    queue = CommandLines()
    queue.feed(b"half a li")
    queue.next_line(LIMIT)
    assert queue.take(1000) == b"half a li"
    assert len(queue) == 0


def test_what_is_behind_the_octets_taken_is_lines_again() -> None:
    queue = CommandLines()
    queue.feed(b"BDAT 4\r\na\r\n\nNOOP\r\nNO")
    assert queue.next_line(LIMIT) == b"BDAT 4"
    assert queue.take(4) == b"a\r\n\n"
    assert queue.take(0) == b""
    assert queue.next_line(LIMIT) == b"NOOP"
    assert queue.next_line(LIMIT) is None
    queue.feed(b"OP\r\n")
    assert queue.next_line(LIMIT) == b"NOOP"


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"\0", b"abc", b"y" * 30])))
def test_lines_are_the_same_whole_and_byte_by_byte(pieces: list[bytes]) -> None:
    data = b"".join(pieces)
    whole = lines(data, limit=40)
    assert whole == lines(*(data[i : i + 1] for i in range(len(data))), limit=40)


def test_a_refusal_tells_the_reply() -> None:
    queue = CommandLines()
    queue.feed(b"NOOP\n")
    with pytest.raises(SmtpRefusalError) as refusal:
        queue.next_line(LIMIT)
    assert (refusal.value.code, refusal.value.enhanced) == (500, "5.5.2")
