"""The group that our own first flight names."""

from __future__ import annotations

import os
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.tls_probe.code_points import SECP256R1, TLS12, TLS13, X25519
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.context import build_server_context
from mailfront.tls.policy import policy_named
from mailfront.tls.server_flight import is_retry_request, negotiated_group
from tests.support.authority import self_signed

SECP384R1 = 0x0018
CONTEXT = build_server_context(
    [self_signed("x")], policy_named("legacy"), alpn=(), tickets=True
).ssl_context


def flight(offer: Offer) -> bytes:
    """What OpenSSL answers to an offer."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = CONTEXT.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(offer.record())
    with pytest.raises(ssl.SSLError):
        server.do_handshake()
    return outgoing.read()


SHARES = ((X25519, os.urandom(32)),)
TLS13_FLIGHT = flight(Offer(TLS13, groups=(X25519,), key_shares=SHARES))
TLS12_FLIGHT = flight(Offer(TLS12, groups=(SECP256R1, X25519)))


def test_tls_1_3_names_it_in_server_hello() -> None:
    assert negotiated_group(TLS13_FLIGHT) == "x25519"


def test_a_hello_retry_request_is_told_from_other_flights() -> None:
    retry = flight(Offer(TLS13, groups=(SECP384R1,), key_shares=()))
    assert is_retry_request(retry)
    assert not any(is_retry_request(each) for each in (b"", retry[:20], TLS12_FLIGHT, TLS13_FLIGHT))


def test_a_hello_retry_request_names_it_too() -> None:
    assert negotiated_group(flight(Offer(TLS13, groups=(SECP384R1,)))) == "secp384r1"


def test_tls_1_2_names_it_in_server_key_exchange() -> None:
    assert negotiated_group(TLS12_FLIGHT) == "x25519"


def test_messages_may_be_divided_among_records_in_any_way() -> None:
    def records(size: int) -> bytes:
        content, at = b"", 0
        while at < len(TLS12_FLIGHT):
            length = int.from_bytes(TLS12_FLIGHT[at + 3 : at + 5])
            content += TLS12_FLIGHT[at + 5 : at + 5 + length]
            at += 5 + length
        first = 4 + int.from_bytes(content[1:4])
        parts = [content[:first]]
        parts += [content[at : at + size] for at in range(first, len(content), size)]
        return b"".join(b"\x16\3\3" + len(part).to_bytes(2) + part for part in parts)

    for size in (1, 7, 100, 16384):
        assert negotiated_group(records(size)) == "x25519"


def test_an_alert_names_none() -> None:
    refused = flight(Offer(TLS13, groups=(0x0100,)))
    assert refused[0] == 21
    assert negotiated_group(refused) is None


def test_an_unknown_group_is_told_by_its_number() -> None:
    assert negotiated_group(TLS13_FLIGHT.replace(b"\0\x1d\0\x20", b"\xfe\x1d\0\x20", 1)) == "0xFE1D"


@given(st.binary(max_size=200))
def test_any_octets_are_a_group_or_none(data: bytes) -> None:
    negotiated_group(data)
    negotiated_group(b"\x16\3\3\0\x50\2\0\0\x4c" + data)


@pytest.mark.parametrize("whole", [TLS13_FLIGHT, TLS12_FLIGHT])
def test_any_part_of_a_flight_is_a_group_or_none(whole: bytes) -> None:
    for end in range(len(whole)):
        assert negotiated_group(whole[:end]) in {None, "x25519"}
