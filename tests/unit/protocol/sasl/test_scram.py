"""SCRAM against the vectors of RFC 7677, a client of our own, and whatever else may be sent."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import ScramCredentials, VerifierRequest
from mailfront.protocol.sasl.exchange import Challenge
from mailfront.protocol.sasl.scram import BINDINGS, ScramExchange, scram_verifier
from tests.support.scram_client import ScramClient, verifier_of

PASSWORD = "pencil"


def binding(kind: str) -> bytes | None:
    return b"octets of " + kind.encode()


def run(client: ScramClient, exchange: ScramExchange) -> ScramCredentials:
    """Run an exchange up to its proof."""
    assert isinstance(exchange.respond(client.first()), VerifierRequest)
    challenge = exchange.supply(verifier_of(PASSWORD))
    outcome = exchange.respond(client.last(challenge.data))
    assert isinstance(outcome, ScramCredentials)
    return outcome


def fault(exchange: ScramExchange, message: bytes) -> SaslFault:
    with pytest.raises(SaslError) as caught:
        exchange.respond(message)
    return caught.value.kind


def test_the_exchange_of_rfc_7677() -> None:
    salt = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    exchange = ScramExchange(nonce=b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    asked = exchange.respond(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    assert asked == VerifierRequest("user")
    assert exchange.supply(scram_verifier(b"pencil", salt, 4096)) == Challenge(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    outcome = exchange.respond(
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert outcome == ScramCredentials("", "user", proven=True)
    assert exchange.granted() == Challenge(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


def test_a_wrong_password_is_not_proven() -> None:
    client = ScramClient("alice", "crayon")
    assert run(client, ScramExchange()) == ScramCredentials("", "alice", proven=False)


def test_the_nonce_of_every_exchange_is_another() -> None:
    nonces = set()
    for _ in range(5):
        exchange = ScramExchange()
        exchange.respond(b"n,,n=alice,r=abc")
        nonces.add(exchange.supply(verifier_of(PASSWORD)).data)
    assert len(nonces) == 5


@pytest.mark.parametrize("kind", BINDINGS)
def test_plus_binds_to_the_connection(kind: str) -> None:
    client = ScramClient("alice", PASSWORD, kind, binding(kind) or b"")
    exchange = ScramExchange(bound=True, channel_binding=binding)
    assert exchange.mechanism == "SCRAM-SHA-256-PLUS"
    assert run(client, exchange).proven
    assert client.is_server(exchange.granted().data)


def test_a_proof_from_another_connection_is_none() -> None:
    client = ScramClient("alice", PASSWORD, "tls-exporter", b"octets of somebody in between")
    assert not run(client, ScramExchange(bound=True, channel_binding=binding)).proven


@pytest.mark.parametrize("flag", ["n", "y", "p=tls-unique", "p=", "p=tls-server-end-point "])
def test_plus_is_not_to_be_had_without_a_known_binding(flag: str) -> None:
    exchange = ScramExchange(bound=True, channel_binding=binding)
    assert fault(exchange, f"{flag},,n=alice,r=abc".encode()) is SaslFault.INVALID


def test_plus_where_the_connection_has_no_such_binding_is_invalid() -> None:
    exchange = ScramExchange(bound=True, channel_binding=lambda kind: None)
    assert fault(exchange, b"p=tls-server-end-point,,n=alice,r=abc") is SaslFault.INVALID


def test_binding_without_plus_is_invalid() -> None:
    assert fault(ScramExchange(), b"p=tls-exporter,,n=alice,r=abc") is SaslFault.INVALID


def test_a_client_that_was_not_told_of_plus_is_told_so() -> None:
    exchange = ScramExchange(plus_offered=True)
    assert fault(exchange, b"y,,n=alice,r=abc") is SaslFault.DOWNGRADE
    assert run(ScramClient("alice", PASSWORD, flag="y"), ScramExchange()).proven
    assert run(ScramClient("alice", PASSWORD), ScramExchange(plus_offered=True)).proven


def test_whom_to_act_as_is_read_and_ones_own_name_means_oneself() -> None:
    as_bob = ScramClient("a=l,ice", PASSWORD, authorization="bob,=")
    outcome = run(as_bob, ScramExchange())
    assert outcome == ScramCredentials("bob,=", "a=l,ice", proven=True)
    as_herself = ScramClient("alice", PASSWORD, authorization="Alice")
    assert run(as_herself, ScramExchange()).authorization == ""


@pytest.mark.parametrize(
    "message",
    [
        b"", b"n,,", b"n,,n=alice", b"n,,r=abc,n=alice", b"n,,n=,r=abc", b"n,,n=alice,r=",
        b"n,,m=x,n=alice,r=abc", b"n,,n=alice,r=a c", b"n,,n=alice,r=" + b"x" * 513,
        b"n,,n=al=ice,r=abc", b"n,,n=alice,r=abc,", b"n,,n=alice,r=abc,x", b"n,,n=\xff,r=abc",
        b"n,,n=alice,r=abc" + b",x=y" * 9, b"n,,n=alice,r=a\x7fc", b"n,,n=al\0ice,r=abc",
    ],
)  # fmt: skip
def test_a_first_message_of_another_shape_is_invalid(message: bytes) -> None:
    assert fault(ScramExchange(), message) is SaslFault.INVALID


@pytest.mark.parametrize(
    "message",
    [
        b"", b"c=biws", b"c=biws,r=abc", b"c=biws,r=abc,p=", b"c=biws,r=abc,p=AA==",
        b"c=biws,r=abc,p=!", b"p=" + base64.b64encode(bytes(32)),
    ],
)  # fmt: skip
def test_a_last_message_without_a_proof_is_invalid(message: bytes) -> None:
    exchange = ScramExchange()
    exchange.respond(b"n,,n=alice,r=abc")
    exchange.supply(verifier_of(PASSWORD))
    assert fault(exchange, message) is SaslFault.INVALID


def test_unknown_extensions_are_signed_and_ignored() -> None:
    client = ScramClient("alice", PASSWORD)
    client.bare += b",x=later"
    exchange = ScramExchange()
    exchange.respond(client.first())
    challenge = exchange.supply(verifier_of(PASSWORD))
    outcome = exchange.respond(client.last(challenge.data, extension=b",y=also"))
    assert isinstance(outcome, ScramCredentials)
    assert outcome.proven


@pytest.mark.parametrize("nonce", [b"rOprNGfwEbeRWgbNEkqO", b"another"])
def test_a_proof_over_another_nonce_is_none(nonce: bytes) -> None:
    client, exchange = ScramClient("alice", PASSWORD), ScramExchange()
    exchange.respond(client.first())
    challenge = exchange.supply(verifier_of(PASSWORD))
    try:
        outcome = exchange.respond(client.last(challenge.data, nonce=nonce))
    except SaslError:
        return
    assert isinstance(outcome, ScramCredentials)
    assert not outcome.proven


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_no_octets_prove_anything(first: bytes, last: bytes) -> None:
    exchange = ScramExchange(plus_offered=True)
    try:
        exchange.respond(first or b"n,,n=alice,r=abc")
        exchange.supply(verifier_of(PASSWORD))
        outcome = exchange.respond(last + b",p=" + base64.b64encode(last.ljust(32)[:32]))
    except SaslError:
        return
    assert isinstance(outcome, ScramCredentials)
    assert not outcome.proven


def test_a_verifier_does_not_show_its_keys() -> None:
    assert repr(verifier_of(PASSWORD)) == "ScramVerifier(iterations=4096)"
