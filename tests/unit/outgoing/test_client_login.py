"""The login at a smarthost: the better mechanism, a server that has to prove itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ConfigurationError, DestinationError
from mailfront.interfaces.secret import Secret
from mailfront.outgoing.client_login import (
    ClientLogin,
    PlainClient,
    ScramClient,
    choose_exchange,
    read_login,
)
from tests.support.scram_client import verifier_of

LOGIN = ClientLogin("user", Secret("pencil"))


def server_first(client: ScramClient, iterations: int = 4096) -> bytes:
    nonce = client.first().partition(b"r=")[2]
    return b"r=%sserver,s=%s,i=%d" % (nonce, base64.b64encode(b"0123456789abcdef"), iterations)


def test_the_messages_are_those_of_the_rfc() -> None:
    # RFC 7677 section 3.
    client = ScramClient(LOGIN, "rOprNGfwEbeRWgbNEkqO")
    assert client.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    final = client.respond(
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    )
    assert final == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert not client.is_complete
    assert client.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""
    assert client.is_complete


def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    client = ScramClient(LOGIN)
    client.respond(server_first(client))
    with pytest.raises(DestinationError):
        client.respond(b"v=" + base64.b64encode(bytes(32)))
    assert not client.is_complete


def test_the_proof_fits_a_verifier_made_elsewhere() -> None:
    client = ScramClient(LOGIN, "nonce")
    first = server_first(client)
    unsigned, _, proof = client.respond(first).rpartition(b",p=")
    verifier = verifier_of("pencil")
    signed = b",".join((client.first()[3:], first, unsigned))
    signature = hmac.digest(verifier.stored_key, signed, "sha256")
    key = bytes(one ^ two for one, two in zip(base64.b64decode(proof), signature, strict=True))
    assert hashlib.sha256(key).digest() == verifier.stored_key


@pytest.mark.parametrize("iterations", [1, 4095, 1_000_001, 9_999_999])
def test_iterations_are_bounded_both_ways(iterations: int) -> None:
    client = ScramClient(LOGIN)
    with pytest.raises(DestinationError):
        client.respond(server_first(client, iterations))


@given(st.binary(max_size=300))
def test_any_challenge_is_answered_or_ends_it(challenge: bytes) -> None:
    with pytest.raises(DestinationError):
        ScramClient(LOGIN, "nonce").respond(challenge)


def test_plain_is_for_servers_that_may_be_told_the_password() -> None:
    offered = {"PLAIN", "LOGIN"}
    assert choose_exchange(LOGIN, offered, may_tell_password=False) is None
    chosen = choose_exchange(LOGIN, offered, may_tell_password=True)
    assert isinstance(chosen, PlainClient)
    assert chosen.first() == b"\0user\0pencil"
    with pytest.raises(DestinationError):
        chosen.respond(b"")
    better = choose_exchange(LOGIN, {"PLAIN", "SCRAM-SHA-256"}, may_tell_password=True)
    assert isinstance(better, ScramClient)


def test_the_login_is_read_from_a_file_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "login"
    path.write_text("user:pen:cil\n")
    path.chmod(0o600)
    assert read_login(path) == ClientLogin("user", Secret("pen:cil"))
    path.chmod(0o644)
    with pytest.raises(ConfigurationError):
        read_login(path)


@pytest.mark.parametrize("line", ["user", "user:", ":pencil"])
def test_half_a_login_is_a_fault_that_quotes_nothing(tmp_path: Path, line: str) -> None:
    path = tmp_path / "login"
    path.write_text(line)
    path.chmod(0o600)
    with pytest.raises(ConfigurationError) as caught:
        read_login(path)
    assert "pencil" not in str(caught.value)
