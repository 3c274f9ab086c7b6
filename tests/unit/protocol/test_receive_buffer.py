"""Lines and counted octets out of chunks, each within its bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import LineTooLongError
from mailfront.protocol.receive_buffer import ReceiveBuffer

LINES = st.lists(st.binary(max_size=12).map(lambda text: text.replace(b"\n", b"")), max_size=6)


def lines_of(buffer: ReceiveBuffer, limit: int) -> list[bytes]:
    taken = []
    while (line := buffer.next_line(limit)) is not None:
        taken.append(line)
    return taken


@given(lines=LINES, rest=st.binary(max_size=9).map(lambda text: text.replace(b"\n", b"")))
def test_lines_come_out_as_they_went_in_and_the_rest_stays(lines: list[bytes], rest: bytes) -> None:
    buffer = ReceiveBuffer(b"".join(line + b"\r\n" for line in lines) + rest)
    assert lines_of(buffer, 20) == lines
    assert buffer.take_at_most(100) == rest


@given(data=st.binary(max_size=60), limit=st.integers(0, 20))
def test_octet_by_octet_gives_the_same_lines_as_in_one_piece(data: bytes, limit: int) -> None:
    def outcome(pieces: list[bytes]) -> tuple[list[bytes], bool]:
        buffer, taken = ReceiveBuffer(), []
        try:
            for piece in pieces:
                buffer.feed(piece)
                while (line := buffer.next_line(limit)) is not None:
                    taken.append(line)
        except LineTooLongError:
            return taken, True
        return taken, False

    whole_lines, whole_failed = outcome([data])
    dripped_lines, dripped_failed = outcome([bytes([octet]) for octet in data])
    assert (dripped_lines, dripped_failed) == (whole_lines, whole_failed)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_a_line_of_exactly_its_bound_passes(end: bytes) -> None:
    assert ReceiveBuffer(b"x" * 10 + end).next_line(10) == b"x" * 10


@pytest.mark.parametrize("data", [b"x" * 11 + b"\r\n", b"x" * 12, b"x" * 11 + b"\n"])
def test_a_longer_line_is_refused_and_forgotten(data: bytes) -> None:
    buffer = ReceiveBuffer(data)
    with pytest.raises(LineTooLongError):
        buffer.next_line(10)
    assert len(buffer) == 0


def test_a_carriage_return_may_still_become_the_line_end() -> None:
    buffer = ReceiveBuffer(b"x" * 10 + b"\r")
    assert buffer.next_line(10) is None
    buffer.feed(b"\n")
    assert buffer.next_line(10) == b"x" * 10


def test_an_empty_line_is_a_line() -> None:
    assert lines_of(ReceiveBuffer(b"\r\n\n"), 10) == [b"", b""]


def test_counted_octets_come_all_or_not_at_all() -> None:
    buffer = ReceiveBuffer(b"12345")
    assert buffer.take(6) is None
    assert buffer.take(3) == b"123"
    assert buffer.take(0) == b""
    assert buffer.take_at_most(6) == b"45"
    assert buffer.take_at_most(6) == b""


def test_a_line_is_found_after_counted_octets_were_taken() -> None:
    buffer = ReceiveBuffer(b"abcdef")
    assert buffer.next_line(10) is None
    buffer.take(5)
    buffer.feed(b"g\r\n")
    assert buffer.next_line(10) == b"fg"


def test_clearing_forgets_everything() -> None:
    buffer = ReceiveBuffer(b"abc")
    buffer.next_line(10)
    buffer.clear()
    buffer.feed(b"d\r\n")
    assert buffer.next_line(10) == b"d"


def test_a_view_can_be_fed() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(memoryview(b"a\r\n"))
    assert buffer.next_line(10) == b"a"
