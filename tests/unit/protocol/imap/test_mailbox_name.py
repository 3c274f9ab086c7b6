"""Modified UTF-7 and the spelling of INBOX."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.mailbox_name import canonical, decode, encode


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("Sent", b"Sent"),
        ("R&D", b"R&-D"),
        ("Entwürfe", b"Entw&APw-rfe"),
        # The example of RFC 3501 §5.1.3.
        ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
        ("😀", b"&2D3eAA-"),
        ("a\tb", b"a&AAk-b"),
    ],
)
def test_names_are_written_in_modified_utf_7(text: str, wire: bytes) -> None:
    assert encode(text) == wire
    assert decode(wire) == text


@given(st.text(st.characters(exclude_categories=["Cs"])), st.booleans())
def test_every_text_comes_back(text: str, dots: bool) -> None:
    wire = encode(text, dots=dots)
    assert wire.isascii()
    assert not (dots and b"." in wire)
    assert decode(wire, dots=dots) == text


def test_dots_are_written_in_base64_where_they_separate() -> None:
    assert encode("v1.0 é.", dots=True) == b"v1&AC4-0 &AOkALg-"
    assert encode("-,/.", dots=True) == b"-,/&AC4-"
    for wire in (b"v1.0", b"&AOk-.", b"."):
        with pytest.raises(ImapSyntaxError):
            decode(wire, dots=True)


@pytest.mark.parametrize(
    "wire",
    [
        b"&",
        b"a&b",
        b"&AGE-",  # a letter that stands for itself
        b"&AOk",
        b"&AOk-&AOk-",  # two shifts where one does
        b"&2D0-",  # half a character
        b"&AOl-",  # bits left over
        b"&A-",
        b"&AO/-",
        "é".encode(),
        b"a\tb",
        b"a\x7f",
    ],
)
def test_a_second_spelling_of_a_name_is_refused(wire: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        decode(wire)


@given(st.binary(max_size=40))
def test_what_is_accepted_has_one_spelling(wire: bytes) -> None:
    try:
        text = decode(wire)
    except ImapSyntaxError:
        return
    assert encode(text) == wire


def test_inbox_is_known_in_any_case_as_first_level_only() -> None:
    assert canonical("inBox") == "INBOX"
    assert canonical("inbox/a") == "INBOX/a"
    assert canonical("inboxes") == "inboxes"
    assert canonical("a/inbox") == "a/inbox"
