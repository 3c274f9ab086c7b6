"""base64 and quoted-printable, proper and broken."""

from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.mime.transfer_encoding import decode_body

ENCODINGS = st.sampled_from([b"base64", b"QUOTED-PRINTABLE", b"7bit", b"8bit", b"bogus"])


@given(st.binary(max_size=200), ENCODINGS, st.integers(0, 50))
def test_any_octets_decode_to_no_more_than_they_were(
    data: bytes, encoding: bytes, limit: int
) -> None:
    assert len(decode_body(data, encoding)) <= len(data)
    assert len(decode_body(data, encoding, limit=limit)) <= limit


@given(st.binary(max_size=300))
def test_what_was_encoded_is_decoded(data: bytes) -> None:
    assert decode_body(base64.encodebytes(data), b"base64") == data
    assert decode_body(quopri.encodestring(data), b"quoted-printable") == data


@pytest.mark.parametrize(
    "data", [b"aGVsbG8", b"aGVs*bG8=", b"aGVs\r\nbG8=\r\nfooter", b"aGVsbG8=="]
)
def test_damaged_base64_gives_what_it_can(data: bytes) -> None:
    assert decode_body(data, b"base64") == b"hello"


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        (b"a=\r\nb", b"ab"),
        (b"a \r\nb\t\r\n", b"a\r\nb\r\n"),
        (b"a=XYb=", b"a=XYb"),
        (b"a=3d=3D", b"a=="),
    ],
)
def test_quoted_printable(data: bytes, decoded: bytes) -> None:
    assert decode_body(data, b"quoted-printable") == decoded
