"""A server's first answer: read whole or by the octet, bounded, and never trusted."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import TlsAnswerError
from mailfront.protocol.tls_probe.answer import LONGEST_ANSWER, Answer
from mailfront.protocol.tls_probe.code_points import TLS12, TLS13
from mailfront.protocol.tls_probe.offer import Offer
from tests.support.authority import self_signed
from tests.support.openssl_server import answer_of

RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


def record(kind: int, payload: bytes) -> bytes:
    return bytes([kind, 3, 3]) + len(payload).to_bytes(2) + payload


def handshake(kind: int, body: bytes) -> bytes:
    return record(22, bytes([kind]) + len(body).to_bytes(3) + body)


def server_hello(suite: int, extensions: bytes = b"", random: bytes = bytes(32)) -> bytes:
    body = b"\x03\x03" + random + b"\0" + suite.to_bytes(2) + b"\0"
    return handshake(2, body + len(extensions).to_bytes(2) + extensions)


def read(data: bytes) -> Answer:
    answer = Answer()
    answer.feed(data)
    return answer


def test_openssl_chooses_from_the_offer_in_tls_1_2() -> None:
    answer = read(answer_of(Offer(TLS12), self_signed("x")))
    assert answer.is_complete
    assert (answer.version, answer.suite, answer.group) == (TLS12, 0xC02B, 0x1D)
    assert answer.signature_scheme == 0x0403
    assert len(answer.chain) == 1
    assert {0xFF01, 23} <= answer.extensions


def test_openssl_names_its_group_when_it_is_given_no_key_share() -> None:
    answer = read(answer_of(Offer(TLS13, groups=(0x18, 0x17)), self_signed("x")))
    assert answer.is_complete
    assert answer.is_retry
    assert answer.group in (0x18, 0x17)


def test_a_refusal_is_an_alert() -> None:
    answer = read(answer_of(Offer(TLS12, suites=(0x0005,)), self_signed("x")))
    assert answer.is_complete
    assert not answer.is_accepted
    assert answer.alert == 40


def test_it_does_not_matter_how_the_octets_arrive() -> None:
    whole = answer_of(Offer(TLS12), self_signed("x"))
    answer = Answer()
    for at in range(len(whole)):
        assert not answer.is_complete
        answer.feed(whole[at : at + 1])
    assert answer.is_complete
    assert answer.suite == 0xC02B


def test_a_retry_is_told_by_its_random() -> None:
    extensions = bytes.fromhex("002b00020304 00330002001d".replace(" ", ""))
    answer = read(server_hello(0x1301, extensions, RETRY_RANDOM))
    assert (answer.is_retry, answer.version, answer.group) == (True, TLS13, 0x1D)


def test_a_prime_of_3_octets_more_than_512_is_no_curve() -> None:
    """Its length begins with the number that stands for named curves."""
    prime = b"\xff" * 0x0300
    body = (0x0300).to_bytes(2) + prime + b"\0\1\2" + b"\0\1\2" + b"\x04\x01"
    answer = read(server_hello(0x009E) + handshake(12, body))
    assert (answer.prime_bits, answer.group, answer.signature_scheme) == (6144, 0, 0x0401)


@pytest.mark.parametrize(
    "data",
    [
        b"220 mail.example.org ESMTP\r\n",
        b"* OK IMAP4rev1 ready\r\n",
        record(23, b"early"),
        handshake(11, b"\0\0\0"),
        server_hello(0x1301) + server_hello(0x1301),
        bytes([22, 3, 3, 0xFF, 0xFF]),
        record(22, b"\x02\xff\xff\xff"),
        handshake(2, b"\x03\x03"),
        server_hello(0xC02F) + handshake(12, b"\x01"),
        server_hello(0xC02F) + handshake(11, b"\0\0\x54" + b"\0\0\1x" * 21),
    ],
)
def test_what_breaks_the_rules_is_refused(data: bytes) -> None:
    with pytest.raises(TlsAnswerError):
        read(data)


def test_an_answer_without_end_is_bounded() -> None:
    answer = Answer()
    for _ in range(LONGEST_ANSWER // 16005):
        answer.feed(record(20, bytes(16000)))
    with pytest.raises(TlsAnswerError):
        answer.feed(record(20, bytes(16000)))


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_octets_give_an_answer_or_one_error(chunks: list[bytes]) -> None:
    answer = Answer()
    with suppress(TlsAnswerError):
        for chunk in chunks:
            answer.feed(chunk)


@given(st.binary(max_size=300), st.integers(2, 20))
def test_any_message_behind_a_server_hello_gives_an_answer_or_one_error(
    body: bytes, kind: int
) -> None:
    answer = read(server_hello(0xC02F))
    with suppress(TlsAnswerError):
        answer.feed(handshake(kind, body))
