"""The octets behind DATA: the end, the dots, and everything that only looks like the end."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.smtp.data_reader import DataReader

LINE_PIECES = st.sampled_from(
    [b"\r\n", b"\r", b"\n", b".", b"\0", b"a", b"..", b"\r\n.", b"x" * 50]
)


BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


def read(*chunks: bytes) -> tuple[DataReader, bytes]:
    reader = DataReader()
    body = b""
    for number, chunk in enumerate(chunks):
        body += reader.feed(chunk)
        if reader.finished:
            assert number == len(chunks) - 1, "nothing is fed to a finished reader"
    return reader, body


def stuffed(message: bytes) -> bytes:
    """What a correct client sends: dots doubled at line starts, the end appended."""
    lines = message.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


def reference(data: bytes) -> tuple[bytes, bytes] | None:
    """Message and leftover by the plain reading of RFC 5321, line by line; None without end."""
    message, rest = b"", data
    while True:
        line, end, rest = rest.partition(b"\r\n")
        if not end:
            return None
        if line == b".":
            return message, rest
        message += line.removeprefix(b".") + end


def test_the_data_ends_with_a_dot_on_a_line_of_its_own() -> None:
    reader, body = read(b"Subject: x\r\n\r\nhello\r\n.\r\n")
    assert (reader.finished, body) == (True, b"Subject: x\r\n\r\nhello\r\n")


def test_a_message_may_be_empty() -> None:
    reader, body = read(b".\r\n")
    assert (reader.finished, body, reader.bare_line_end) == (True, b"", False)


def test_a_leading_dot_is_removed_from_each_line_that_has_one() -> None:
    assert read(b"..first\r\n.second\r\n...\r\n.\r\n")[1] == b".first\r\nsecond\r\n..\r\n"


def test_what_follows_the_end_is_left_over_untouched() -> None:
    assert read(b"x\r\n.\r\nQUIT\r\n..\r\n")[0].leftover == b"QUIT\r\n..\r\n"


@pytest.mark.parametrize(
    "fake_end",
    [
        b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\r\n.\n",
        b"\r\n.\r\r\n", b"\r\n.\0\r\n", b"\r\n\0.\r\n", b"\n\r.\r\n",
    ],
)  # fmt: skip
def test_no_smuggled_end_of_data_ends_the_data(fake_end: bytes) -> None:
    data = b"hello" + fake_end + b"MAIL FROM:<admin@example.test>\r\n.\r\n"
    for chunks in ([data], [data[i : i + 1] for i in range(len(data))]):
        reader, _ = read(*chunks)
        assert reader.finished
        assert reader.leftover == b""
        assert reader.bare_line_end or reader.nul


@pytest.mark.parametrize("fault", [b"a\nb", b"a\rb", b"\n", b"a\r\r\nb", b"a\n\r\nb"])
def test_a_bare_line_end_anywhere_is_noted(fault: bytes) -> None:
    assert read(fault + b"\r\n.\r\n")[0].bare_line_end


def test_a_nul_is_noted_and_is_not_taken_for_a_bare_line_end() -> None:
    reader, _ = read(b"a\0b\r\n.\r\n")
    assert (reader.nul, reader.bare_line_end) == (True, False)


def test_line_ends_split_between_chunks_are_no_fault() -> None:
    reader, body = read(b"a\r", b"\nb\r\n", b".", b".c\r\n.", b"\r", b"\n")
    assert (reader.finished, reader.bare_line_end, body) == (True, False, b"a\r\nb\r\n.c\r\n")


@given(st.lists(LINE_PIECES), st.binary(max_size=20))
def test_every_message_of_a_correct_client_comes_through(
    pieces: list[bytes], leftover: bytes
) -> None:
    message = b"".join(pieces)
    message += b"" if message.endswith(b"\r\n") or not message else b"\r\n"
    reader, body = read(stuffed(message) + leftover)
    assert (reader.finished, body, reader.leftover) == (True, message, leftover)


@given(st.lists(LINE_PIECES, max_size=30), st.lists(st.integers(0, 200)))
def test_chunks_change_nothing_and_the_reference_agrees(
    pieces: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(pieces)
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    reader = DataReader()
    body = b""
    end = 0
    for start, end in itertools.pairwise(places):
        body += reader.feed(data[start:end])
        if reader.finished:
            break
    expected = reference(data)
    if expected is None:
        assert not reader.finished
        return
    assert reader.finished
    assert (body, reader.leftover + data[end:]) == expected
    raw = data[: len(data) - len(expected[1]) - len(b".\r\n")]
    assert reader.nul == (b"\0" in raw)
    assert reader.bare_line_end == (BARE_LINE_END.search(raw) is not None)


def test_octets_held_back_are_never_more_than_the_end_is_long() -> None:
    reader = DataReader()
    given_out = sum(len(reader.feed(b"\r\n.\r")) for _ in range(1000))
    assert given_out >= 4 * 1000 - 1000 - 5
