"""ENVELOPE as finished bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from abnf.grammars import rfc9051
from hypothesis import given
from hypothesis import strategies as st

from mailfront.backend.embedded import envelope as envelope_module
from mailfront.backend.embedded.envelope import (
    ENVELOPE_LIMIT,
    envelope,
    imap_nstring,
    imap_string,
)
from mailfront.protocol.mime.address import Group, Mailbox, parse_addresses

MESSAGES = sorted((Path(__file__).parents[3] / "corpus" / "messages").glob("*.eml"))
NAMES = [b"From", b"To", b"Cc", b"Sender", b"Reply-To", b"Bcc", b"Date", b"Subject", b"X", b""]
HEADERS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.binary(max_size=40) | st.just(b"G: a@b, c;, <x@y>"))
).map(lambda fields: b"".join(b"%b: %b\r\n" % field for field in fields))


def without_literals(value: bytes) -> str:
    """Literals replaced by quoted strings: the grammar cannot count a literal's octets."""
    result, place = bytearray(), 0
    while match := re.compile(rb"\{(\d+)\}\r\n").search(value, place):
        literal = value[match.end() : match.end() + int(match[1])]
        assert len(literal) == int(match[1])
        assert b"\x00" not in literal
        result += value[place : match.start()] + b'"literal"'
        place = match.end() + len(literal)
    return (bytes(result) + value[place:]).decode("ascii")


@given(HEADERS)
def test_every_envelope_follows_the_grammar(headers: bytes) -> None:
    rfc9051.Rule("envelope").parse_all(without_literals(envelope(headers)))


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
def test_envelopes_of_awkward_messages_follow_the_grammar(path: Path) -> None:
    rfc9051.Rule("envelope").parse_all(without_literals(envelope(path.read_bytes())))


def test_an_empty_header_has_an_empty_envelope() -> None:
    assert envelope(b"") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"


def test_sender_and_reply_to_are_the_author_unless_given() -> None:
    assert envelope(b"From: a@b\r\nSender:\r\n") == (
        b'(NIL NIL ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) ((NIL NIL "a" "b")) NIL NIL NIL NIL NIL)'
    )


def test_groups_are_marked_by_nil_hosts() -> None:
    assert b'((NIL NIL "G" NIL)(NIL NIL "a" "b")(NIL NIL NIL NIL))' in envelope(b"To: G: a@b;\r\n")


def test_repeated_address_fields_are_one_list() -> None:
    assert b'((NIL NIL "a" "b")(NIL NIL "c" "d"))' in envelope(b"From: a@b\r\nFrom: c@d\r\n")


def test_folded_texts_are_one_line() -> None:
    assert b'"one two"' in envelope(b"Subject: one\r\n\ttwo\r\n")


def test_what_cannot_be_quoted_is_a_literal() -> None:
    assert imap_string(b"plain") == b'"plain"'
    assert imap_string(b"") == b'""'
    assert imap_string(b'a"b') == b'{3}\r\na"b'
    assert imap_string("ü".encode()) == "{2}\r\nü".encode()
    assert imap_string(b"a\x00") == b"{4}\r\na\xef\xbf\xbd"
    assert imap_nstring(None) == b"NIL"


@pytest.mark.parametrize("header", [
    b"To: " + b"a@b.c, " * 150_000,
    b"From: x\r\nTo: a,b\r\nCc: " + b"(" * 1_000_000,
    b"".join(name + b": " + b"g:;" * 60_000 + b"\r\n" for name in (b"To", b"Cc", b"Bcc", b"From")),
    b"To: a\r\n" * 100_000,
])  # fmt: skip
def test_only_so_much_of_a_header_is_taken_apart(
    header: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    octets = 0

    def counted(value: bytes) -> list[Mailbox | Group]:
        nonlocal octets
        octets += len(value)
        return parse_addresses(value)

    monkeypatch.setattr(envelope_module, "parse_addresses", counted)
    made = envelope(header + b"\r\n\r\n")
    # The fields, and the commas between those of one name.
    assert octets <= 2 * ENVELOPE_LIMIT
    assert without_literals(made).startswith("(NIL NIL ")


def test_a_list_that_is_too_long_ends_with_a_whole_address() -> None:
    many = b"someone@example.org, " * ENVELOPE_LIMIT
    made = envelope(b"To: " + many + b"\r\n\r\n")
    address = b'(NIL NIL "someone" "example.org")'
    assert made.count(address) == ENVELOPE_LIMIT // len(b"someone@example.org, ")
    assert made.replace(address, b"") == b"(NIL NIL NIL NIL NIL () NIL NIL NIL NIL)"
