"""The tokens of IMAP commands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.lexer import Cursor, is_command_name, is_tag


def test_an_astring_is_an_atom_a_quoted_string_or_a_literal() -> None:
    cursor = Cursor(b'a]b "c \\"d\\\\" {3}\r\n\r\n( {2+}\r\nxy')
    values = [cursor.astring()]
    for _ in range(3):
        cursor.space()
        values.append(cursor.astring())
    cursor.end()
    assert values == [b"a]b", b'c "d\\', b"\r\n(", b"xy"]


def test_an_empty_string_is_a_string() -> None:
    assert Cursor(b'""').astring() == b""
    assert Cursor(b"{0}\r\n").string() == b""


@pytest.mark.parametrize(
    "text", [b"", b"(", b'"', b'"a', b'"a\\b"', b'"a\rb"', b"{4}\r\nabc", b"{4}abcd", b"\xff", b"%"]
)
def test_what_is_not_an_astring_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        Cursor(text).astring()


def test_nil_is_no_string() -> None:
    assert Cursor(b"nil").nstring() is None
    assert Cursor(b'"nil"').nstring() == b"nil"
    with pytest.raises(ImapSyntaxError):
        Cursor(b"nothing").nstring()


def test_numbers_are_bounded() -> None:
    assert Cursor(b"4294967295").number() == 2**32 - 1
    for text in (b"4294967296", b"9" * 5000, b"x", b"-1"):
        with pytest.raises(ImapSyntaxError):
            Cursor(text).number()


def test_a_pattern_of_list_may_hold_wildcards() -> None:
    assert Cursor(b"a/%*").list_mailbox() == b"a/%*"


def test_flags_are_keywords_or_begin_with_a_backslash() -> None:
    cursor = Cursor(b"(\\Seen $Junk)")
    assert cursor.parenthesised(cursor.flag, may_be_empty=False) == [b"\\Seen", b"$Junk"]
    cursor = Cursor(b"()")
    assert cursor.parenthesised(cursor.flag, may_be_empty=True) == []
    cursor = Cursor(b"(a  b)")
    with pytest.raises(ImapSyntaxError):
        cursor.parenthesised(cursor.flag, may_be_empty=True)


def test_tags_and_names() -> None:
    assert is_tag(b"a.1]")
    assert not is_tag(b"a+1")
    assert not is_tag(b"")
    assert is_command_name(b"UID")
    assert not is_command_name(b"{5}")


@given(st.binary(max_size=60))
def test_any_bytes_are_a_string_or_an_error(text: bytes) -> None:
    for take in (Cursor.astring, Cursor.nstring, Cursor.list_mailbox, Cursor.flag, Cursor.number):
        cursor = Cursor(text)
        try:
            take(cursor)
        except ImapSyntaxError:
            continue
        assert 0 < cursor.position <= len(text)
