"""Signatures, as another implementation (dkimpy) verifies them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import dkim
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfront.outgoing.dkim.keys import DomainKey, key_name, new_key, record_text
from mailfront.outgoing.dkim.signer import LARGEST_HEADER, MessageSigner

RSA = DomainKey("example.test", "r1", new_key("rsa-2048"))
ED = DomainKey("example.test", "e1", new_key("ed25519"))
SENDER = "alice@example.test"
RECORDS = {
    key_name(key.domain, key.selector): record_text(key.key.public_key()) for key in (RSA, ED)
}
HEADER = (
    b"Received: from here\r\n"
    b"From: Alice <alice@example.test>\r\nTo: bob@example.org,\r\n\t carol@example.org\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=   und   mehr\r\n"
    b"Date: Mon, 23 Nov 2026 20:00:00 +0000\r\n"
    b"Message-ID: <1@example.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
)


class Octets:
    """A message in memory, in chunks of a chosen size."""

    def __init__(self, content: bytes, chunk: int = 1 << 20) -> None:
        self._content = content
        self._chunk = chunk

    @property
    def size(self) -> int:
        return len(self._content)

    def chunks(self) -> Iterator[bytes]:
        for start in range(0, len(self._content), self._chunk):
            yield self._content[start : start + self._chunk]


def records(name: bytes, timeout: int = 5) -> bytes | None:
    text = RECORDS.get(name.decode().rstrip("."))
    return None if text is None else text.encode()


def sign(
    content: bytes,
    keys: Sequence[DomainKey] = (RSA,),
    chunk: int = 1 << 20,
    sender: str = SENDER,
) -> bytes:
    return MessageSigner(keys, clock=lambda: 1_795_000_000.0).sign(Octets(content, chunk), sender)


def verifies(content: bytes, index: int = 0) -> bool:
    try:
        return bool(dkim.DKIM(content).verify(idx=index, dnsfunc=records))
    except dkim.ValidationError:
        return False


@pytest.mark.parametrize("key", [RSA, ED])
def test_another_implementation_verifies_a_signature(key: DomainKey) -> None:
    content = HEADER + b"\r\nHello  \r\n\r\n world\r\n\r\n\r\n"
    assert verifies(sign(content, [key]) + content)


def test_both_signatures_of_a_domain_stand_side_by_side() -> None:
    content = HEADER + b"\r\nHello\r\n"
    fields = sign(content, [RSA, ED])
    assert fields.count(b"DKIM-Signature:") == 2
    assert verifies(fields + content, 0)
    assert verifies(fields + content, 1)


def test_a_signature_holds_when_blanks_change_on_the_way() -> None:
    content = HEADER + b"\r\nHello  world\r\n"
    changed = content.replace(b"To: bob@example.org,\r\n\t ", b"to:  bob@example.org, ")
    changed = changed.replace(b"Hello  world", b"Hello world \t") + b"\r\n\r\n"
    assert verifies(sign(content) + changed)


@pytest.mark.parametrize(
    ("present", "instead"),
    [
        (b"alice@", b"mallory@"),
        (b"Hello", b"Hullo"),
        (b"MIME-Version: 1.0\r\n", b""),
        (b"Received: from here\r\n", b"From: mallory@example.com\r\n"),
        (b"Received: from here\r\n", b"Subject: another\r\n"),
        (b"Received: from here\r\n", b"Reply-To: mallory@example.com\r\n"),
        (b"Received: from here\r\n", b"Content-Transfer-Encoding: base64\r\n"),
    ],
)
def test_a_message_that_was_changed_does_not_verify(present: bytes, instead: bytes) -> None:
    content = HEADER + b"\r\nHello\r\n"
    fields = sign(content)
    assert present in content
    assert not verifies(fields + content.replace(present, instead))


def test_fields_of_the_way_may_be_added() -> None:
    content = HEADER + b"\r\nHello\r\n"
    added = b"Received: from there\r\nList-Id: <l.example.org>\r\nSender: l@example.org\r\n"
    assert verifies(added + sign(content) + content)


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_body_in_any_chunks_verifies(body: bytes, chunk: int) -> None:
    # Bare line ends and lines without an end never pass SMTP.
    body = re.sub(rb"[\r\n\x00]+", b"\r\n", body) + b"\r\n"
    content = HEADER + b"\r\n" + body
    assert sign(content, chunk=chunk) == sign(content)
    assert verifies(sign(content) + content)


def test_a_message_without_body_is_signed() -> None:
    assert verifies(sign(HEADER + b"\r\n") + HEADER + b"\r\n")


@pytest.mark.parametrize(
    "header",
    [
        b"From: mallory@example.org\r\n",
        b"From: alice@example.test\r\nFrom: bob@example.test\r\n",
        b"From: alice@example.test, mallory@example.org\r\n",
        b"From: alice\r\n",
        b"From: <>\r\n",
        b"From: alice@\xff\xfe\r\n",
        b"From: alice@notexample.test\r\n",
        b"Subject: no author\r\n",
        b"",
    ],
)
def test_mail_of_others_is_not_signed(header: bytes) -> None:
    assert sign(header + b"\r\nHello\r\n") == b""


def test_a_domain_below_is_signed_for_by_the_domain_above() -> None:
    content = b"From: alice@dept.EXAMPLE.test\r\n\r\nHello\r\n"
    fields = sign(content)
    assert b"d=example.test;" in fields
    assert verifies(fields + content)


def test_a_domain_in_its_own_letters_is_signed_as_dns_has_it() -> None:
    key = DomainKey("xn--bcher-kva.example", "r1", RSA.key)
    content = "From: alice@bücher.example\r\n\r\nx\r\n".encode()
    assert b"d=xn--bcher-kva.example;" in sign(content, [key], sender="alice@bücher.example")


def test_lines_are_as_short_as_mail_wants_them() -> None:
    fields = sign(HEADER + b"\r\nHello\r\n", [RSA, ED])
    assert fields.endswith(b"\r\n")
    assert max(map(len, fields.split(b"\r\n"))) <= 78
    assert b"t=1795000000;" in fields


def test_an_endless_header_is_not_signed() -> None:
    assert sign(b"From: a@example.test\r\nX: " + b"y" * (LARGEST_HEADER + 1)) == b""


def test_keys_may_change_while_it_signs() -> None:
    signer = MessageSigner()
    content = Octets(HEADER + b"\r\nHello\r\n")
    assert (signer.has_keys, signer.sign(content, SENDER)) == (False, b"")
    signer.use([RSA])
    assert (signer.has_keys, signer.sign(content, SENDER) == b"") == (True, False)


@pytest.mark.parametrize(
    ("sender", "is_signed"),
    [
        ("alice@EXAMPLE.test", True),
        ("alice@example.org", False),
        ("alice@sub.example.test", False),
        ("alice@ample.test", False),
        ("", False),
    ],
)
def test_only_who_sends_from_the_domain_gets_its_signature(sender: str, is_signed: bool) -> None:
    message = Octets(HEADER + b"\r\nHello\r\n")
    assert bool(MessageSigner([RSA]).sign(message, sender)) is is_signed


def test_a_sender_may_write_from_below_their_domain() -> None:
    message = Octets(b"From: a@sub.example.test\r\n\r\nHello\r\n")
    assert MessageSigner([RSA]).sign(message, SENDER)


def test_mail_in_the_name_of_another_domain_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    signer = MessageSigner([RSA])
    for _ in range(2):
        assert not signer.sign(Octets(HEADER + b"\r\nHello\r\n"), "mallory@example.org")
    assert caplog.text.count("is not signed") == 1
