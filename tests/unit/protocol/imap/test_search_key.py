"""The keys of SEARCH."""

from __future__ import annotations

import contextlib
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.search_key import (
    All,
    And,
    Body,
    Comparison,
    HasFlag,
    Header,
    InternalDate,
    Not,
    Numbers,
    Or,
    SearchProgram,
    SentDate,
    Size,
    Text,
    search_program,
)
from mailfront.protocol.imap.sequence_set import SequenceSet


def parsed(text: bytes) -> SearchProgram:
    return search_program(Cursor(text))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"all", All()),
        (b"UNSEEN", Not(HasFlag(b"\\Seen"))),
        (b"NEW", And((HasFlag(b"\\Recent"), Not(HasFlag(b"\\Seen"))))),
        (b"KEYWORD $Junk", HasFlag(b"$Junk")),
        (b"UNKEYWORD $Junk", Not(HasFlag(b"$Junk"))),
        (b"1:3,*", Numbers(SequenceSet(((1, 3), (0, 0))), uid=False)),
        (b"UID 7", Numbers(SequenceSet(((7, 7),)), uid=True)),
        (b'FROM "Smith"', Header(b"FROM", b"Smith")),
        (b'HEADER x-Mailer ""', Header(b"X-MAILER", b"")),
        (b"BODY {3}\r\na b", Body(b"a b")),
        (b"TEXT word", Text(b"word")),
        (b"SINCE 1-Feb-1994", InternalDate(Comparison.SINCE, date(1994, 2, 1))),
        (b"SENTBEFORE 1-Feb-1994", SentDate(Comparison.BEFORE, date(1994, 2, 1))),
        (b"LARGER 100", Size(Comparison.LARGER, 100)),
        (b"NOT SEEN", Not(HasFlag(b"\\Seen"))),
        (b"OR SEEN (DRAFT 5)", Or(HasFlag(b"\\Seen"),
            And((HasFlag(b"\\Draft"), Numbers(SequenceSet(((5, 5),)), uid=False))))),
    ],
)  # fmt: skip
def test_each_key_has_its_value(text: bytes, key: object) -> None:
    assert parsed(text) == SearchProgram(None, And((key,)))  # type: ignore[arg-type]


def test_keys_in_a_row_must_all_match() -> None:
    assert parsed(b"SEEN DRAFT").key == And((HasFlag(b"\\Seen"), HasFlag(b"\\Draft")))


def test_a_charset_may_come_first() -> None:
    assert parsed(b"CHARSET utf-8 ALL") == SearchProgram(b"UTF-8", And((All(),)))


@pytest.mark.parametrize(
    "text",
    [b"", b"NOT", b"OR SEEN", b"()", b"(SEEN", b"SEEN ", b"WHATEVER", b"FROM", b"SMALLER x",
     b"RETURN (COUNT) ALL", b"CHARSET UTF-8", b"KEYWORD \\Seen"],
)  # fmt: skip
def test_what_is_no_search_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        parsed(text)


@pytest.mark.parametrize(
    "text", [b"NOT " * 60 + b"SEEN", b"(" * 60 + b"SEEN" + b")" * 60, b"SEEN " * 1001 + b"SEEN"]
)
def test_depth_and_number_are_bounded(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        parsed(text)


WORDS = st.lists(
    st.sampled_from([b"NOT", b"OR", b"(", b")", b"SEEN", b"FROM", b"x", b'"', b"1:*", b"UID",
                     b"SINCE", b"1-Jan-2000", b"HEADER", b"{1}\r\n", b"LARGER", b"\xff"])
).map(b" ".join)  # fmt: skip


@given(WORDS | st.binary(max_size=80))
def test_any_bytes_are_a_search_or_an_error(text: bytes) -> None:
    with contextlib.suppress(ImapSyntaxError):
        parsed(text)
