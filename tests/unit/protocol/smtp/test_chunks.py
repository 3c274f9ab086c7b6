"""BDAT: how long a chunk is, and what the chunks of a message are together."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SmtpRefusalError
from mailfront.protocol.smtp.chunks import Chunk, ChunkReader, parse_chunk
from mailfront.protocol.smtp.data_reader import DataReader


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        ("0", Chunk(0, last=False)), ("86 LAST", Chunk(86, last=True)),
        ("007  last", Chunk(7, last=True)), (" 5 ", Chunk(5, last=False)),
        ("9" * 20, Chunk(10**20 - 1, last=False)),
    ],
)  # fmt: skip
def test_a_chunk_has_a_length_and_may_be_the_last(argument: str, chunk: Chunk) -> None:
    assert parse_chunk(argument) == chunk


@pytest.mark.parametrize(
    "argument",
    [
        "",
        "LAST",
        "-1",
        "+1",
        "1x",
        "0x10",
        "1 FIRST",
        "1 LAST 2",
        "1LAST",
        "٣",
        "9" * 21,
        "1\tLAST",
    ],
)
def test_anything_else_is_a_syntax_error(argument: str) -> None:
    with pytest.raises(SmtpRefusalError) as refusal:
        parse_chunk(argument)
    assert (refusal.value.code, refusal.value.enhanced) == (501, "5.5.4")


@given(st.text(max_size=40))
def test_every_text_gives_a_chunk_or_a_refusal(text: str) -> None:
    try:
        assert parse_chunk(text).size >= 0
    except SmtpRefusalError:
        return


def read(pieces: list[bytes]) -> tuple[bytes, bool, bool]:
    reader = ChunkReader()
    body = b"".join(map(reader.feed, pieces)) + reader.end()
    return body, reader.bare_line_end, reader.nul


@given(
    st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\0", b"text\r\n", b"\xff"])),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_borders_of_chunks_mean_nothing(parts: list[bytes], cuts: list[int]) -> None:
    message = b"".join(parts)
    places = [0, *sorted(min(cut, len(message)) for cut in cuts), len(message)]
    pieces = [message[one:two] for one, two in pairwise(places)]
    whole = read([message])
    assert read(pieces) == whole
    assert read([message[index : index + 1] for index in range(len(message))]) == whole


@given(st.lists(st.sampled_from([b"\r\n", b"\r", b"\n", b"a", b"\0"])))
def test_what_data_refuses_chunks_refuse_too(parts: list[bytes]) -> None:
    message = b"".join(parts)
    body, bare, nul = read([message])
    reader = DataReader()
    assert reader.finished is False
    kept = reader.feed(message + (b".\r\n" if message.endswith(b"\r\n") else b"\r\n.\r\n"))
    if not message:
        assert (body, bare, nul) == (b"", False, False)
    elif message.endswith(b"\r"):
        # By DATA the CR would be part of the line end that follows.
        assert bare
    else:
        assert (bare, nul) == (reader.bare_line_end, reader.nul)
        assert bare or body == kept


@pytest.mark.parametrize("message", [b"x\r\n.\r\n", b".\r\n", b"..\r\ny\r\n"])
def test_dots_are_what_they_are(message: bytes) -> None:
    assert read([message]) == (message, False, False)


def test_the_last_line_is_made_whole() -> None:
    assert read([b"a\r\n", b"b"]) == (b"a\r\nb\r\n", False, False)
    assert read([]) == (b"", False, False)
