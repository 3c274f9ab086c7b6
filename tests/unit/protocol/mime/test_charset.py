"""Octets to text by charset name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.mime.charset import decode_charset, decode_unlabelled


@given(st.binary(max_size=60), st.text(max_size=20) | st.sampled_from(["utf-16", "iso-2022-jp"]))
def test_any_octets_in_any_charset_are_text(data: bytes, charset: str) -> None:
    decode_charset(data, charset)


@pytest.mark.parametrize(
    ("charset", "data", "text"),
    [
        ("utf-8", b"\xc3\xbc", "ü"),
        ("ISO-8859-1", b"\xfc", "ü"),
        ("iso-8859-15", b"\xa4", "€"),
        ("windows-1251", b"\xff", "я"),
        ("iso-2022-jp", b"\x1b$B$\"\x1b(B", "あ"),
        ("us-ascii", b"\xc3\xbc", "ü"),
        ("utf-8*de", b"\xc3\xbc", "ü"),
        ("no-such-charset", b"\xfc", "ü"),
    ],
)  # fmt: skip
def test_known_charsets(charset: str, data: bytes, text: str) -> None:
    assert decode_charset(data, charset) == text


@pytest.mark.parametrize("charset", ["punycode", "idna", "unicode_escape", "zlib", "rot13", ""])
def test_codecs_that_are_no_charsets_are_not_used(charset: str) -> None:
    assert decode_charset(b"\\u0041-x", charset) == "\\u0041-x"


def test_unlabelled_octets_are_utf8_or_else_windows_1252() -> None:
    assert decode_unlabelled(b"\xe2\x82\xac") == "€"
    assert decode_unlabelled(b"\x80") == "€"
