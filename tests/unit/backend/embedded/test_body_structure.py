"""BODY and BODYSTRUCTURE as finished bytes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from abnf.grammars import rfc9051
from hypothesis import given
from hypothesis import strategies as st

from mailfront.backend.embedded import body_structure as body_structure_module
from mailfront.backend.embedded.body_structure import INNER_HEADERS_LIMIT, body_structure
from mailfront.protocol.mime.scan import scan

MESSAGES = sorted((Path(__file__).parents[3] / "corpus" / "messages").glob("*.eml"))
PIECES = st.sampled_from(
    [
        b"\r\n", b"\r\n\r\n", b"\x00", b"text", b"\xff", b'"', b"--a\r\n", b"--ab\r\n",
        b"--a--\r\n",
        b"Content-Type: multipart/mixed; boundary=a\r\n", b"Content-Type: text/html; charset=x\r\n",
        b"Content-Type: multipart/digest; boundary=ab\r\n", b"Content-Type: message/rfc822\r\n",
        b"Content-Type: image/png; name*0=a; name*1*=b\r\n", b"Content-Language: en, de\r\n",
        b"Content-Disposition: inline; a=b\r\n", b"Content-ID: <x@y>\r\n", b"Subject: x\r\n",
        b"Content-Transfer-Encoding: base64\r\n", b"Content-MD5: x\r\n", b"Content-Location: y\r\n",
    ]
)  # fmt: skip


def structure(message: bytes, *, extended: bool = True) -> bytes:
    return body_structure(scan(message), message, extended=extended)


def without_literals(value: bytes) -> str:
    result, place = bytearray(), 0
    while match := re.compile(rb"\{(\d+)\}\r\n").search(value, place):
        result += value[place : match.start()] + b'"literal"'
        place = match.end() + int(match[1])
    return (bytes(result) + value[place:]).decode("ascii")


@given(st.lists(PIECES, max_size=20).map(b"".join), st.booleans())
def test_every_structure_follows_the_grammar(message: bytes, extended: bool) -> None:
    rfc9051.Rule("body").parse_all(without_literals(structure(message, extended=extended)))


@pytest.mark.parametrize("path", MESSAGES, ids=lambda path: path.stem)
@pytest.mark.parametrize("extended", [False, True], ids=["BODY", "BODYSTRUCTURE"])
def test_structures_of_awkward_messages_follow_the_grammar(path: Path, extended: bool) -> None:
    message = path.read_bytes()
    rfc9051.Rule("body").parse_all(without_literals(structure(message, extended=extended)))


def test_plain_text() -> None:
    assert structure(b"Subject: x\r\n\r\none\r\ntwo\r\n") == (
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 2 NIL NIL NIL NIL)'
    )
    assert structure(b"\r\n", extended=False) == (
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
    )


def test_a_multipart_lists_its_parts() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n"
    assert structure(message) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) '
        b'"mixed" ("boundary" "b") NIL NIL NIL)'
    )


def test_a_multipart_without_parts_shows_an_empty_one() -> None:
    assert structure(b"Content-Type: multipart/mixed; boundary=b\n\nnothing", extended=False) == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")'
    )


def test_a_message_inside_has_envelope_structure_and_lines() -> None:
    message = b"Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nx\r\n"
    assert structure(message, extended=False) == (
        b'("message" "rfc822" NIL NIL NIL "7bit" 18 '
        b'(NIL "in" NIL NIL NIL NIL NIL NIL NIL NIL) '
        b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1) 3)'
    )


def test_what_was_not_taken_apart_is_an_octet_stream() -> None:
    assert structure(b"Content-Type: multipart/mixed\r\n\r\nx").startswith(
        b'("application" "octet-stream"'
    )


def test_disposition_language_and_location() -> None:
    message = (
        b"Content-Type: image/png\r\nContent-Disposition: attachment; filename=a.png\r\n"
        b"Content-Language: en, de\r\nContent-Location: /a\r\nContent-MD5: Zm9v\r\n\r\n"
    )
    assert structure(message) == (
        b'("image" "png" NIL NIL NIL "7bit" 0 "Zm9v" ("attachment" ("filename" "a.png")) '
        b'("en" "de") "/a")'
    )


def test_envelopes_are_made_of_so_many_octets_of_inner_headers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    octets = 0

    def counted(header: bytes) -> bytes:
        nonlocal octets
        octets += len(header)
        return b"()"

    monkeypatch.setattr(body_structure_module, "envelope", counted)
    inner = b"--a\r\nContent-Type: message/rfc822\r\n\r\nTo: " + b"b@c, " * 9000 + b"\r\n\r\nx\r\n"
    structure(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + inner * 40)
    assert octets == INNER_HEADERS_LIMIT
