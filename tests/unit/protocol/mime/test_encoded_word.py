"""Encoded words to text for people."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.mime.encoded_word import decode_words


@given(st.binary(max_size=200) | st.text("=?utf-8bqQB a_\n", max_size=80).map(str.encode))
def test_any_value_becomes_one_line_without_controls(value: bytes) -> None:
    text = decode_words(value)
    assert not any(ord(character) < 0x20 for character in text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain text", "plain text"),
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=\r\n  =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"=?utf-8*de?q?=C3=BC?=", "ü"),
        (b"=?utf-8?B?w7w=?=", "ü"),
        (b"=?utf-8?b?w7w?=", "ü"),
        (b"=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        (b"=?nonsense?q?a?=", "a"),
        (b"=?utf-8?x?a?=", "=?utf-8?x?a?="),
        (b"=?utf-8?q?unfinished", "=?utf-8?q?unfinished"),
        (b"Gr\xc3\xbc\xc3\x9fe", "Grüße"),
        (b"Gr\xfc\xdfe", "Grüße"),
        (b"=?utf-8?q?line=0D=0Abreak?=", "line  break"),
    ],
)
def test_words_are_decoded(value: bytes, text: str) -> None:
    assert decode_words(value) == text
