"""Header fields and their structured values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.mime.header import (
    first_value,
    header_fields,
    parse_content_type,
    parse_disposition,
    parse_token,
    parse_token_list,
    unfold,
)


@given(st.binary(max_size=200))
def test_fields_cover_the_header_without_gaps(data: bytes) -> None:
    place = 0
    for field in header_fields(data):
        assert field.start == place
        place = field.end
    assert place <= len(data)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read_as_a_value(value: bytes) -> None:
    parse_content_type(value)
    parse_disposition(value)
    parse_token_list(value)
    parse_content_type(b"a/b;" + value)


def test_a_field_keeps_its_folds_and_loses_its_line_end() -> None:
    (field,) = header_fields(b"Subject: one\r\n two\r\n\r\nbody")
    assert field.name == b"Subject"
    assert field.value == b" one\r\n two"
    assert unfold(field.value) == b"one two"


def test_a_line_without_colon_is_kept_as_a_field_without_name() -> None:
    fields = header_fields(b"From alice\r\nTo: bob\r\n\r\n")
    assert [field.name for field in fields] == [b"", b"To"]


def test_the_first_of_several_fields_counts() -> None:
    fields = header_fields(b"A: 1\nB: 2\na: 3\n")
    assert first_value(fields, b"a") == b" 1"


def test_the_number_of_fields_is_bounded() -> None:
    assert len(header_fields(b"a:b\n" * 100, limit=7)) == 7


def test_comments_and_quotes_in_a_content_type() -> None:
    media = parse_content_type(b' text/plain (a (nested) note); CharSet (x) = "utf\\-8" ; a=b')
    assert media is not None
    assert media.essence == b"text/plain"
    assert media.parameters == ((b"charset", b"utf-8"), (b"a", b"b"))


@pytest.mark.parametrize("value", [b"", b"text", b"/plain", b"text/", b"; a=b"])
def test_what_is_no_media_type_is_none(value: bytes) -> None:
    assert parse_content_type(value) is None


def test_unquoted_values_with_special_characters_are_taken_whole() -> None:
    media = parse_content_type(b"multipart/mixed; boundary=a=b/c?d; x=y")
    assert media is not None
    assert media.parameter(b"boundary") == b"a=b/c?d"


def test_numbered_pieces_are_joined_in_their_order() -> None:
    disposition = parse_disposition(b'attachment; filename*1="b.txt"; filename*0=a')
    assert disposition is not None
    assert disposition.parameters == ((b"filename", b"ab.txt"),)


def test_a_mixed_value_is_decoded_for_people() -> None:
    disposition = parse_disposition(
        b"attachment; filename*0*=utf-8''Gr%C3%BC; filename*1=\"sse 100%\"; filename*2*=.txt"
    )
    assert disposition is not None
    assert disposition.text_parameter(b"filename") == "Grüsse 100%.txt"


def test_the_extended_form_is_preferred_to_the_plain_one() -> None:
    disposition = parse_disposition(b"attachment; filename=plain; filename*=iso-8859-1''%FC")
    assert disposition is not None
    assert disposition.text_parameter(b"filename") == "ü"
    assert disposition.text_parameter(b"size") is None


def test_encoded_words_and_bare_utf8_in_parameters_are_read_too() -> None:
    media = parse_content_type(b'a/b; name="=?utf-8?q?=C3=BC?="; other="\xc3\xbc"')
    assert media is not None
    assert media.text_parameter(b"name") == "ü"
    assert media.text_parameter(b"other") == "ü"


def test_tokens_and_lists_of_tokens() -> None:
    assert parse_token(b" base64 (comment)") == b"base64"
    assert parse_token_list(b"en, (x) de,,fr") == (b"en", b"de", b"fr")
