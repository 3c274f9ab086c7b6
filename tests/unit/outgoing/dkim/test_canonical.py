"""Relaxed canonical forms: the RFC's example, dkimpy's opinion, and any cut into chunks."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.outgoing.dkim.canonical import BodyHash, relaxed_field

BODIES = st.lists(
    st.sampled_from([b" ", b"\t", b"\r\n", b"\r", b"\n", b"a", b"bc", b" \r\n", b"\r\n\r\n"])
).map(b"".join)


def hashed(*chunks: bytes) -> bytes:
    body = BodyHash()
    for chunk in chunks:
        body.update(chunk)
    return body.digest()


def plain(body: bytes) -> bytes:
    """The rule, word by word (RFC 6376 section 3.4.4)."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


@pytest.mark.parametrize(
    ("field", "canonical"),
    [
        (b"A: X", b"a:X"),
        (b"B : Y\t\r\n\tZ  ", b"b:Y Z"),
        (b"Subject:   a  \t b\r\n c\r\n\t d", b"subject:a b c d"),
        (b"X:", b"x:"),
        (b"X: \r\n ", b"x:"),
    ],
)
def test_fields_are_unfolded_and_their_blanks_made_one(field: bytes, canonical: bytes) -> None:
    name, _, value = field.partition(b":")
    assert relaxed_field(name, value) == canonical


@pytest.mark.parametrize(
    ("body", "canonical"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C\r\nD E\r\n"),
        (b"", b""),
        (b"\r\n\r\n", b""),
        (b" \r\n\t\r\n", b""),
        (b"x", b"x\r\n"),
        (b"x \t", b"x\r\n"),
        (b"\r\n\r\nx\r\n", b"\r\n\r\nx\r\n"),
    ],
)
def test_bodies_lose_blanks_and_empty_lines_at_their_ends(body: bytes, canonical: bytes) -> None:
    assert hashed(body) == hashlib.sha256(canonical).digest()


@given(BODIES)
def test_every_body_is_hashed_by_the_rule(body: bytes) -> None:
    assert hashed(body) == hashlib.sha256(plain(body)).digest()


@given(st.lists(BODIES))
def test_it_does_not_matter_how_a_body_is_cut_into_chunks(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    octets = [whole[place : place + 1] for place in range(len(whole))]
    assert hashed(*chunks) == hashed(whole) == hashed(*octets)


def test_a_body_of_line_ends_alone_costs_no_memory() -> None:
    chunks = [b"\r\n" * 500_000] * 8
    assert hashed(*chunks) == hashed()
    assert hashed(*chunks, b"x") == hashlib.sha256(b"\r\n" * 4_000_000 + b"x\r\n").digest()
