"""What no proper client does, done by tlslite-ng: the server says so, closes, and goes on, without
a leak and without a stack in its log."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from tlslite.api import HandshakeSettings, TLSConnection
from tlslite.constants import (
    AlertDescription,
    AlertLevel,
    ContentType,
    HandshakeType,
    KeyUpdateMessageType,
)
from tlslite.errors import TLSError
from tlslite.messages import Alert, ClientHello, Finished, Message

from tests.support.dialogue import Dialogue
from tests.support.ports import LOOPBACK
from tests.support.server import MailServer

TLS12, TLS13 = (3, 3), (3, 4)


@contextmanager
def connection(
    server: MailServer, version: tuple[int, int] = TLS13, record_size: int = 16384
) -> Iterator[TLSConnection]:
    """An IMAP connection in TLS, its greeting read; every read has a deadline."""
    with socket.create_connection((LOOPBACK, server.ports["imaps"]), timeout=20) as channel:
        tls = TLSConnection(channel)
        tls.ignoreAbruptClose = True
        tls.recordSize = record_size
        settings = HandshakeSettings()
        settings.minVersion = settings.maxVersion = version
        tls.handshakeClientCert(settings=settings, serverName="localhost")
        assert tls.read(min=1, max=1000).startswith(b"* OK ")
        yield tls


def says_noop(tls: TLSConnection) -> bool:
    tls.write(b"a NOOP\r\n")
    return bool(tls.read(min=1, max=1000) == b"a OK Noop completed\r\n")


def send(tls: TLSConnection, message: Message) -> None:
    for _ in tls._sendMsg(message, update_hashes=False):
        pass


def is_ended(tls: TLSConnection) -> bool:
    """Read on until the server closes, which must not take until the deadline."""
    try:
        while tls.read(min=1, max=65536):
            pass
    except TimeoutError:
        return False
    except (TLSError, OSError):
        pass
    return True


def goes_on(server: MailServer) -> bool:
    with Dialogue(server.ports["imaps"], tls=True) as client:
        client.line()
        return bool(client.ask(b"z NOOP", b"z OK"))


@pytest.mark.parametrize("size", [20, 64])
@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_handshake_in_small_records_is_served(
    server: MailServer, version: tuple[int, int], size: int
) -> None:
    """A ClientHello in more than 20 records among them."""
    with connection(server, version, record_size=size) as tls:
        tls.recordSize = 16384
        assert says_noop(tls)


@pytest.mark.parametrize("version", [(3, 0), (3, 1), (3, 2)])
def test_an_old_version_is_refused_with_its_alert(
    server: MailServer, version: tuple[int, int]
) -> None:
    refused = pytest.raises(TLSError, match=r"protocol_version|handshake_failure")
    with refused, connection(server, version):
        pass
    assert goes_on(server)


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_damaged_record_ends_the_connection(server: MailServer, version: tuple[int, int]) -> None:
    with connection(server, version) as tls:
        tls.sock.sendall(b"\x17\x03\x03\x00\x30" + bytes(48))
        with pytest.raises(TLSError, match="bad_record_mac"):
            tls.read(min=1, max=1000)
    assert goes_on(server)


def handshake_message(kind: int, body: bytes) -> Message:
    return Message(ContentType.handshake, bytearray([kind, 0, 0, len(body)]) + body)


@pytest.mark.parametrize(
    ("version", "message", "alert"),
    [
        (TLS13, handshake_message(HandshakeType.client_hello, bytes(40)), "unexpected_message"),
        (TLS13, handshake_message(HandshakeType.finished, bytes(32)), "unexpected_message"),
        (TLS13, handshake_message(HandshakeType.key_update, b""), "decode_error|illegal_parameter"),
        (TLS13, handshake_message(HandshakeType.key_update, b"\7"), "illegal_parameter"),
        (TLS13, handshake_message(99, b""), "unexpected_message"),
        (TLS12, handshake_message(HandshakeType.finished, bytes(12)), "unexpected_message"),
        (TLS12, handshake_message(HandshakeType.server_hello_done, b""), "unexpected_message"),
        (TLS13, Message(99, bytearray(b"no such content")), "unexpected_message"),
        (TLS12, Message(99, bytearray(b"no such content")), "unexpected_message"),
        (TLS13, Message(ContentType.alert, bytearray(1)), "unexpected_message|decode_error"),
    ],
)  # fmt: skip
def test_a_message_out_of_place_is_told_by_its_alert(
    server: MailServer, version: tuple[int, int], message: Message, alert: str
) -> None:
    with connection(server, version) as tls:
        send(tls, message)
        with pytest.raises(TLSError, match=alert):
            tls.read(min=1, max=1000)
    assert goes_on(server)


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_an_encrypted_record_that_is_too_long_is_told_so(
    server: MailServer, version: tuple[int, int]
) -> None:
    with connection(server, version) as tls:
        for _ in tls._recordLayer.sendRecord(
            Message(ContentType.application_data, bytearray(2**14 + 1))
        ):
            pass
        with pytest.raises(TLSError, match="record_overflow"):
            tls.read(min=1, max=1000)
    assert goes_on(server)


@pytest.mark.parametrize("version", [TLS12, TLS13])
def test_a_handshake_that_ends_with_a_false_word_is_refused(
    server: MailServer, version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our Finished is wrong (RFC 8446 section 4.4.4)."""
    create = Finished.create
    monkeypatch.setattr(Finished, "create", lambda self, data: create(self, bytearray(len(data))))
    with pytest.raises(TLSError, match="decrypt_error"), connection(server, version):
        pass
    assert goes_on(server)


def test_a_renegotiation_is_refused_and_the_session_goes_on(server: MailServer) -> None:
    with connection(server, TLS12) as tls:
        hello = ClientHello().create(TLS12, bytearray(32), bytearray(0), [0xC02B, 0xC02F])
        send(tls, hello)
        tls.ignoreAbruptClose = True
        with pytest.raises(TLSError, match=r"no_renegotiation|unexpected|handshake_failure"):
            tls.read(min=1, max=1000)
    assert goes_on(server)


def test_key_updates_are_answered(server: MailServer) -> None:
    with connection(server) as tls:
        for kind in (
            KeyUpdateMessageType.update_not_requested,
            KeyUpdateMessageType.update_requested,
        ):
            for _ in range(5):
                for _ in tls.send_keyupdate_request(kind):
                    pass
                assert says_noop(tls)


def key_updates(tls: TLSConnection) -> None:
    for _ in range(200):
        for _ in tls.send_keyupdate_request(KeyUpdateMessageType.update_requested):
            pass


def empty_records(tls: TLSConnection) -> None:
    for _ in range(200):
        send(tls, Message(ContentType.application_data, bytearray(0)))


def warnings(tls: TLSConnection) -> None:
    for _ in range(200):
        send(tls, Alert().create(AlertDescription.user_canceled, AlertLevel.warning))


def renegotiations(tls: TLSConnection) -> None:
    for _ in range(50):
        send(tls, ClientHello().create(TLS12, bytearray(32), bytearray(0), [0xC02B] * 50))


def dummy_change_cipher_specs(tls: TLSConnection) -> None:
    tls.sock.sendall(b"\x14\x03\x03\x00\x01\x01" * 500)


@pytest.mark.parametrize(
    ("version", "flood"),
    [
        (TLS13, key_updates),
        (TLS12, empty_records),
        (TLS13, empty_records),
        (TLS12, warnings),
        (TLS13, warnings),
        (TLS12, renegotiations),
        (TLS13, dummy_change_cipher_specs),
        (TLS12, dummy_change_cipher_specs),
    ],
)
def test_a_flood_of_records_without_data_ends(
    server: MailServer, version: tuple[int, int], flood: Callable[[TLSConnection], None]
) -> None:
    with connection(server, version) as tls:
        # The server closes in the middle; a broken pipe is what was wanted.
        with suppress(TLSError, OSError):
            for _ in range(40):
                flood(tls)
        assert is_ended(tls)
    assert goes_on(server)


def test_nothing_is_left_of_broken_connections(server: MailServer) -> None:
    descriptors = Path(f"/proc/{server.pid}/fd")
    before = len(list(descriptors.iterdir()))
    for _ in range(30):
        with connection(server, TLS12) as tls:
            tls.sock.sendall(b"\x17\x03\x03\x00\x30" + bytes(48))
            assert is_ended(tls)
        with socket.create_connection((LOOPBACK, server.ports["imaps"]), timeout=20) as plain:
            plain.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert goes_on(server)
    for _ in range(50):
        if len(list(descriptors.iterdir())) <= before + 2:
            return
        goes_on(server)
    raise AssertionError(sorted(each.readlink() for each in descriptors.iterdir()))
