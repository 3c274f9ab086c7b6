"""What a client sends first is judged before OpenSSL sees it."""

from __future__ import annotations

import pytest

from mailfront.tls.first_flight import FirstFlight, Refusal
from tests.support.client_hello import RECORD_HEADER, client_hello, in_records

HELLO = client_hello(["imap"])
IMAP = frozenset({b"imap"})


def taken(*pieces: bytes) -> FirstFlight:
    flight = FirstFlight(IMAP)
    for piece in pieces:
        assert flight.take(piece) is None
    return flight


def test_a_client_hello_completes_it() -> None:
    flight = taken(HELLO)
    assert flight.complete
    assert flight.received == HELLO
    assert flight.hello is not None
    assert flight.hello.protocols == (b"imap",)


def test_half_a_client_hello_does_not() -> None:
    flight = taken(HELLO[:50])
    assert (flight.complete, flight.received, flight.hello) == (False, HELLO[:50], None)
    assert flight.take(HELLO[50:]) is None
    assert (flight.complete, flight.received) == (True, HELLO)


def test_pieces_and_what_comes_behind_are_kept_for_openssl() -> None:
    records = in_records(HELLO[RECORD_HEADER:], 40)
    flight = taken(*records, b"later", b"still")
    assert flight.complete
    assert flight.received == b"".join(records) + b"laterstill"


def test_a_foreign_protocol_is_refused_with_its_alert() -> None:
    refusal = FirstFlight(IMAP).take(client_hello(["h2"]))
    assert refusal == Refusal("foreign application protocol", bytes.fromhex("15030300020278"))


def test_a_service_without_names_takes_any() -> None:
    flight = FirstFlight(frozenset())
    assert flight.take(client_hello(["h2"])) is None
    assert flight.complete


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"GET / HTTP/1.1\r\n", "not TLS: plain HTTP"),
        (b"EHLO me\r\n", "not TLS: a mail command in clear"),
        (b"\0\0\0\0", "not TLS"),
    ],
)
def test_clear_text_is_refused_without_a_word(octets: bytes, reason: str) -> None:
    assert FirstFlight(IMAP).take(octets) == Refusal(reason)


def test_another_major_version_is_refused_with_its_alert() -> None:
    refusal = FirstFlight(IMAP).take(b"\x16\x04\x01\x00\x05")
    assert refusal == Refusal("protocol version", bytes.fromhex("15030300020246"))


@pytest.mark.parametrize("octets", [b"\x15\x03\x01\x00\x02\x01\x00", b"\x80\x2e\x01\x03\x03"])
def test_malformed_tls_is_left_to_openssl(octets: bytes) -> None:
    flight = taken(octets)
    assert flight.complete
    assert flight.received == octets
    assert flight.hello is None
