"""Replies of a server behind us: complete or nothing, bounded, printable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import UpstreamMailError
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.protocol.upstream_smtp.replies import (
    LONGEST_LINE,
    LONGEST_TEXT,
    MOST_LINES,
    MOST_PASSED_LINES,
    ReplyReader,
    passed_on,
    told,
)


def fed(data: bytes) -> ReplyReader:
    reader = ReplyReader()
    reader.feed(data)
    return reader


def test_a_reply_is_given_once_its_last_line_is_here() -> None:
    reader = fed(b"250-mta.example.test\r\n250-SIZE 1000\r\n")
    assert reader.next() is None
    assert not reader.is_empty
    reader.feed(b"250 DSN\r\n250 2.1.0 Ok\r\n")
    assert reader.next() == RelayAnswer(250, ("mta.example.test", "SIZE 1000", "DSN"))
    assert reader.next() == RelayAnswer(250, ("2.1.0 Ok",))
    assert reader.next() is None
    assert reader.is_empty


def test_a_code_alone_is_a_reply() -> None:
    assert fed(b"250\r\n").next() == RelayAnswer(250, ("",))


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n", b"199 x\r\n", b"600 x\r\n", b"2500 x\r\n", b"25\r\n", b"\r\n",
        b"250-a\r\n550 b\r\n", b"250-a\r\nb\r\n", b"250_x\r\n",
        b"x" * (LONGEST_LINE + 2), b"250-x\r\n" * (MOST_LINES + 1),
    ],
)  # fmt: skip
def test_what_is_no_reply_ends_it(data: bytes) -> None:
    with pytest.raises(UpstreamMailError):
        fed(data).next()


def test_text_becomes_printable() -> None:
    reader = fed(b"550 a\rb\0c\x1b[1m \xc3\xbc\r\n")
    assert reader.next() == RelayAnswer(550, ("a?b?c?[1m ?",))


def test_what_clients_are_told_is_bounded_and_has_enhanced_codes() -> None:
    plain = RelayAnswer(550, ("no such user",))
    assert passed_on(plain) == RelayAnswer(550, ("5.0.0 no such user",))
    enhanced = RelayAnswer(550, ("5.1.1 <x@y>: unknown", "5.1.1 really"))
    assert passed_on(enhanced) == enhanced
    assert passed_on(RelayAnswer(250, ("",))) == RelayAnswer(250, ("2.0.0",))
    assert passed_on(RelayAnswer(550, ("2.1.5 lie",))).lines == ("5.0.0 2.1.5 lie",)
    long = passed_on(RelayAnswer(450, ("4.2.0 " + "x" * 2000,) * 90))
    assert len(long.lines) == MOST_PASSED_LINES
    assert max(map(len, long.lines)) == LONGEST_TEXT


def test_that_it_closes_is_no_reason_for_us_to_close() -> None:
    assert passed_on(RelayAnswer(421, ("4.3.2 shutting down",))) == RelayAnswer(
        451, ("4.3.2 shutting down",)
    )
    assert told(RelayAnswer(421, ("bye", "now"))) == "421 bye"


@given(st.binary(max_size=300) | st.from_regex(rb"\A(?:[2-5][0-9]{2}[ -].{0,20}\r\n)+\Z"))
def test_pieces_and_whole_give_the_same(data: bytes) -> None:
    def read(pieces: list[bytes]) -> list[RelayAnswer | None]:
        reader, found = ReplyReader(), []
        for piece in pieces:
            reader.feed(piece)
            try:
                while (answer := reader.next()) is not None:
                    found.append(answer)
                    assert 200 <= answer.code < 600
                    assert all(line.isprintable() and line.isascii() for line in answer.lines)
            except UpstreamMailError:
                return [*found, None]
        return [*found]

    assert read([data]) == read([data[at : at + 1] for at in range(len(data))])
