"""Records without a socket."""

from __future__ import annotations

import ssl

import pytest

from mailfront.tls.context import build_server_context
from mailfront.tls.describe import describe
from mailfront.tls.policy import policy_named
from mailfront.tls.records import PEER_CLOSED_TLS, TlsRecords
from tests.support.authority import self_signed
from tests.support.memory_tls import MemoryTlsClient


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    made = build_server_context(
        [self_signed("imap-cert")], policy_named("intermediate"), alpn=("imap",), tickets=False
    )
    return made.ssl_context


def connected(context: ssl.SSLContext) -> tuple[TlsRecords, MemoryTlsClient]:
    server = TlsRecords(context)
    done = False

    def exchange(data: bytes) -> bytes:
        nonlocal done
        server.incoming.write(data)
        done = done or server.handshake()
        return server.outgoing.read()

    client = MemoryTlsClient(exchange)
    client.handshake()
    assert done
    return server, client


def test_the_key_exchange_group_is_known_after_the_handshake(context: ssl.SSLContext) -> None:
    server, client = connected(context)
    assert describe(server.tls, "imap-cert").group in {"x25519", "X25519MLKEM768"}
    server.tls.write(b"and nothing of the flight was lost")
    client.take(server.outgoing.read())
    assert client.received() == b"and nothing of the flight was lost"


def test_all_records_that_are_there_are_decrypted_together(context: ssl.SSLContext) -> None:
    server, client = connected(context)
    assert server.decrypt() == b""
    server.incoming.write(client.records(b"a" * 40_000) + client.records(b"b"))
    assert server.decrypt() == b"a" * 40_000 + b"b"
    assert server.ended == ""


def test_a_damaged_record_ends_input_with_its_alert(context: ssl.SSLContext) -> None:
    server, client = connected(context)
    records = client.records(b"good") + client.records(b"bad")[:-1] + b"\0"
    server.incoming.write(records)
    assert server.decrypt() == b"good"
    assert server.ended == "TLS: damaged record"
    client.take(server.outgoing.read())
    with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC"):
        client.received()


def test_the_peer_s_close_notify_ends_input(context: ssl.SSLContext) -> None:
    server, client = connected(context)
    server.incoming.write(client.records(b"last") + client.say_close_notify())
    assert server.decrypt() == b"last"
    server.decrypt()
    assert server.ended == PEER_CLOSED_TLS


def test_our_close_notify_is_put_out(context: ssl.SSLContext) -> None:
    server, client = connected(context)
    server.tls.write(b"bye")
    server.say_close_notify()
    client.take(server.outgoing.read())
    assert client.received() == b"bye"
    assert client.is_told_of_the_end()


def test_a_failed_handshake_leaves_its_alert(context: ssl.SSLContext) -> None:
    server = TlsRecords(context)
    server.incoming.write(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00")
    with pytest.raises(ssl.SSLError):
        server.handshake()
    assert server.outgoing.read() == bytes.fromhex("1503030002020a")
