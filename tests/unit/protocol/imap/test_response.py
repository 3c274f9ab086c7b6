"""Values as response bytes: they read back, and by the grammar of RFC 9051."""

from __future__ import annotations

import pytest
from abnf.grammars import rfc9051
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.imap import response
from mailfront.protocol.imap.lexer import Cursor


@given(st.binary(max_size=50).filter(lambda value: b"\0" not in value))
def test_a_string_reads_back(value: bytes) -> None:
    assert Cursor(response.string(value)).string() == value
    assert Cursor(response.astring(value)).astring() == value


def test_short_printable_strings_are_quoted_and_others_literals() -> None:
    assert response.string(b'a"b\\') == b'"a\\"b\\\\"'
    assert response.string(b"\xe9") == b"{1}\r\n\xe9"
    assert response.string(b"a\r\nb") == b"{4}\r\na\r\nb"
    assert response.string(b"x" * 2000).startswith(b"{2000}\r\n")


def test_nil_is_never_confused_with_a_name() -> None:
    assert response.nstring(None) == b"NIL"
    assert response.nstring(b"NIL") == b'"NIL"'
    assert response.astring(b"nil") == b'"nil"'


def test_a_mailbox_name_is_an_atom_or_a_string() -> None:
    assert response.mailbox("Sent") == b"Sent"
    assert response.mailbox("Sent Mail") == b'"Sent Mail"'
    assert response.mailbox("Entwürfe") == b"Entw&APw-rfe"


@pytest.mark.parametrize("value", [b"INBOX", b"a b", b"[x]", b'q"\\', b"%"])
def test_astrings_follow_the_grammar(value: bytes) -> None:
    rfc9051.Rule("astring").parse_all(response.astring(value).decode("latin-1"))


def test_lines() -> None:
    assert response.tagged(b"a1", b"OK", b"Done") == b"a1 OK Done\r\n"
    assert response.untagged(b"5 EXISTS") == b"* 5 EXISTS\r\n"
    assert response.continuation() == b"+ Go ahead\r\n"
    assert response.parenthesised([b"a", b"b"]) == b"(a b)"
