"""The items of FETCH."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.fetch_item import (
    Attribute,
    FetchItem,
    Section,
    SectionText,
    fetch_items,
)
from mailfront.protocol.imap.lexer import Cursor


def parsed(text: bytes) -> tuple[FetchItem, ...]:
    cursor = Cursor(text)
    items = fetch_items(cursor)
    cursor.end()
    return items


def test_macros_stand_for_lists_and_only_alone() -> None:
    assert parsed(b"FAST") == (Attribute.FLAGS, Attribute.INTERNALDATE, Attribute.RFC822_SIZE)
    assert parsed(b"all")[3:] == (Attribute.ENVELOPE,)
    assert parsed(b"FULL")[4:] == (Attribute.BODY,)
    with pytest.raises(ImapSyntaxError):
        parsed(b"(FAST)")


def test_an_item_is_answered_once_however_often_it_is_named() -> None:
    assert parsed(b"(FLAGS uid FLAGS)") == (Attribute.FLAGS, Attribute.UID)


@pytest.mark.parametrize(
    ("text", "section"),
    [
        (b"BODY[]", Section((), SectionText.EVERYTHING, (), None, False, b"BODY[]")),
        (b"body.peek[text]<5.10>", Section((), SectionText.TEXT, (), (5, 10), True, b"BODY[TEXT]")),
        (b"BODY[1.2]", Section((1, 2), SectionText.EVERYTHING, (), None, False, b"BODY[1.2]")),
        (b"BODY[2.MIME]", Section((2,), SectionText.MIME, (), None, False, b"BODY[2.MIME]")),
        (
            b'BODY.PEEK[HEADER.FIELDS (From "X y")]',
            Section((), SectionText.HEADER_FIELDS, (b"FROM", b"X Y"), None, True,
                    b'BODY[HEADER.FIELDS (From "X y")]'),
        ),
        (
            b"BODY[3.HEADER.FIELDS.NOT (to)]",
            Section((3,), SectionText.HEADER_FIELDS_NOT, (b"TO",), None, False,
                    b"BODY[3.HEADER.FIELDS.NOT (to)]"),
        ),
        (b"RFC822", Section((), SectionText.EVERYTHING, (), None, False, b"RFC822")),
        (b"RFC822.HEADER", Section((), SectionText.HEADER, (), None, True, b"RFC822.HEADER")),
    ],
)  # fmt: skip
def test_a_section_knows_its_label(text: bytes, section: Section) -> None:
    assert parsed(text) == (section,)


@pytest.mark.parametrize(
    "text",
    [b"", b"()", b"BODY[", b"BODY[0]", b"BODY[1.]", b"BODY[MIME]", b"BODY[HEADER.FIELDS]",
     b"BODY[HEADER.FIELDS ()]", b"BODY[TEXT]<0.0>", b"BODY[TEXT]<0>", b"BODY[1..2]", b"BODY.PEEK",
     b"BODY[HEADER TEXT]", b"X-GM-LABELS", b"BODY[" + b"1." * 200 + b"1]"],
)  # fmt: skip
def test_what_is_no_item_is_refused(text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        parsed(text)


PIECES = st.lists(
    st.sampled_from([b"BODY", b".PEEK", b"[", b"]", b"1", b".", b"HEADER", b".FIELDS", b".NOT",
                     b" (", b"a", b")", b"TEXT", b"<", b">", b"0.5", b"FLAGS ", b"(", b"MIME"])
).map(b"".join)  # fmt: skip


@given(PIECES | st.binary(max_size=60))
def test_any_bytes_are_items_or_an_error(text: bytes) -> None:
    with contextlib.suppress(ImapSyntaxError):
        parsed(text)
