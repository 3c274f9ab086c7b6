"""Every failed handshake and every broken record ends with its alert on the wire (RFC 8446 section
6.2), on each kind of port; what is no TLS gets a line in the log that helps."""

from __future__ import annotations

import json
import re
import socket
import ssl

import pytest

from tests.support import alerts
from tests.support.alerts import connected, everything, last_alert
from tests.support.client_hello import (
    RECORD_HEADER,
    client_hello,
    extension,
    in_records,
    made_hello,
)
from tests.support.dialogue import unverified_context
from tests.support.memory_tls import MemoryTlsClient, client_context
from tests.support.server import MailServer

PORTS = ["imaps", "pops", "submissions", "https", "smtp", "submission", "imap", "pop"]
EVERY_PORT = pytest.mark.parametrize("port", PORTS)
VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def record(message: bytes) -> bytes:
    return b"".join(in_records(message, 2**14))


def answer_to(server: MailServer, port: str, octets: bytes) -> int:
    with connected(server.ports, port) as channel:
        channel.sendall(octets)
        return last_alert(channel)


@EVERY_PORT
def test_an_old_version_is_told_so(server: MailServer, port: str) -> None:
    old = record(made_hello(version=b"\x03\x01", suites=b"\xc0\x13\x00\x2f"))
    assert answer_to(server, port, old) == alerts.PROTOCOL_VERSION


@EVERY_PORT
def test_no_shared_cipher_is_told_so(server: MailServer, port: str) -> None:
    null = record(made_hello(suites=b"\x00\x01\x00\x02"))
    assert answer_to(server, port, null) == alerts.HANDSHAKE_FAILURE


@EVERY_PORT
def test_a_client_of_foreign_protocols_is_told_so(server: MailServer, port: str) -> None:
    foreign = client_hello(["ftp", "acme-tls/1"])
    assert answer_to(server, port, foreign) == alerts.NO_APPLICATION_PROTOCOL


@pytest.mark.parametrize("size", [1, 7, 100])
def test_the_protocols_are_seen_in_a_client_hello_of_many_records(
    server: MailServer, size: int
) -> None:
    message = client_hello(["http/1.1"])[RECORD_HEADER:]
    with connected(server.ports, "imaps") as channel:
        for piece in in_records(message, size):
            channel.sendall(piece)
        assert last_alert(channel) == alerts.NO_APPLICATION_PROTOCOL


@pytest.mark.parametrize(
    ("port", "protocols", "selected"),
    [
        ("imaps", ["imap"], "imap"),
        ("imaps", ["h2", "imap"], "imap"),
        ("imaps", [], None),
        ("pops", ["pop3"], "pop3"),
        ("https", ["h2", "http/1.1"], "http/1.1"),
        ("submissions", ["smtp"], "smtp"),
        ("submissions", [], None),
    ],
)
def test_a_client_of_the_right_protocol_or_of_none_is_served(
    server: MailServer, port: str, protocols: list[str], selected: str | None
) -> None:
    context = unverified_context()
    if protocols:
        context.set_alpn_protocols(protocols)
    plain = connected(server.ports, port)
    with context.wrap_socket(plain, server_hostname="localhost") as channel:
        assert channel.selected_alpn_protocol() == selected


@pytest.mark.parametrize(
    ("octets", "alert"),
    [
        (record(b"\x01\x00\x00\x04abcd"), alerts.DECODE_ERROR),
        (record(made_hello()[:-1] + b"\x05"), alerts.DECODE_ERROR),
        (record(b"\x02\x00\x00\x00"), alerts.UNEXPECTED_MESSAGE),
        (b"\x17\x03\x03\x00\x05hello", alerts.UNEXPECTED_MESSAGE),
        (b"\x14\x03\x03\x00\x01\x01", alerts.UNEXPECTED_MESSAGE),
        (b"\x16\x03\x01\x48\x01" + bytes(20_000), alerts.RECORD_OVERFLOW),
        (b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(2**14 - 4), alerts.ILLEGAL_PARAMETER),
        (b"\x16\x04\x01\x00\x05\x01\x00\x00\x01\x00", alerts.PROTOCOL_VERSION),
        (b"\x16\x03\x01\x00\x00" * 40, alerts.UNEXPECTED_MESSAGE),
        (record(made_hello(extension(16, b"\x00\x05\x04imap\x01"))), None),
    ],
)
@pytest.mark.parametrize("port", ["imaps", "pop"])
def test_a_malformed_beginning_gets_the_alert_that_fits(
    server: MailServer, port: str, octets: bytes, alert: int | None
) -> None:
    told = answer_to(server, port, octets)
    assert alert is None or told == alert


class Socketed:
    """OpenSSL's client over a socket, with its records in hand."""

    def __init__(self, server: MailServer, version: ssl.TLSVersion, port: str = "imaps") -> None:
        context = client_context()
        context.maximum_version = version
        self.channel = connected(server.ports, port)
        self.client = MemoryTlsClient(self._exchange, context)
        self.client.handshake()

    def _exchange(self, octets: bytes) -> bytes:
        self.channel.sendall(octets)
        # Greeting and, with TLS 1.2, the server's last word arrive together.
        return self.channel.recv(65536) if octets else b""

    def send_broken(self, octets: bytes) -> str:
        """The name of the alert that comes back, as OpenSSL has it."""
        self.channel.sendall(octets)
        self.client.take(everything(self.channel))
        try:
            while self.client.tls.read(65536):
                pass
        except ssl.SSLError as failure:
            return failure.reason
        return "no alert"


@VERSIONS
def test_a_damaged_record_is_told_so(server: MailServer, version: ssl.TLSVersion) -> None:
    connection = Socketed(server, version)
    damaged = bytearray(connection.client.records(b"a NOOP\r\n"))
    damaged[-1] ^= 1
    # The client goes on sending, which must not destroy the alert.
    assert connection.send_broken(bytes(damaged) * 20) == "SSLV3_ALERT_BAD_RECORD_MAC"


@VERSIONS
def test_a_record_that_is_too_long_is_told_so(server: MailServer, version: ssl.TLSVersion) -> None:
    connection = Socketed(server, version)
    reason = connection.send_broken(b"\x17\x03\x03\x60\x00" + bytes(0x6000))
    assert reason == "TLSV1_ALERT_RECORD_OVERFLOW"


@VERSIONS
@pytest.mark.parametrize(("port", "farewell"), [("imaps", b"a LOGOUT\r\n"), ("pops", b"QUIT\r\n")])
def test_a_clean_end_says_close_notify(
    server: MailServer, version: ssl.TLSVersion, port: str, farewell: bytes
) -> None:
    connection = Socketed(server, version, port)
    connection.channel.sendall(connection.client.records(farewell))
    connection.client.take(everything(connection.channel))
    while not connection.client.is_told_of_the_end():
        assert connection.client.tls.read(65536)


@VERSIONS
def test_a_client_that_only_closes_tcp_is_told_close_notify(
    server: MailServer, version: ssl.TLSVersion
) -> None:
    connection = Socketed(server, version)
    connection.channel.shutdown(socket.SHUT_WR)
    connection.client.take(everything(connection.channel))
    assert connection.client.received()
    assert connection.client.is_told_of_the_end()


def counters(server: MailServer) -> dict[str, int]:
    told = server.mailfront("status", "--json")
    found: dict[str, int] = json.loads(told.stdout)["counters"]
    return found


@pytest.mark.parametrize(
    ("octets", "counter", "hint"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "handshake: not TLS: plain HTTP", "https://"),
        (b"EHLO me\r\n", "handshake: not TLS: a mail command in clear", "STARTTLS"),
        (b"a1 LOGIN bob secret-word\r\n", "handshake: not TLS: a mail command in clear", ""),
        (b"USER bob\r\nPASS secret-word\r\n", "handshake: not TLS: a mail command in clear", ""),
        (b"\0\0\0\0\r\nsecret-word\r\n", "handshake: not TLS", ""),
        (record(made_hello(suites=b"\x00\x01")), "handshake: no shared cipher", "key type"),
        (record(made_hello(version=b"\x03\x02")), "handshake: protocol version", "TLSv1.1"),
        (client_hello(["ftp"]), "handshake: foreign application protocol", "alpn=ftp"),
    ],
)
def test_a_failure_is_counted_by_its_reason_and_explained(
    server: MailServer, octets: bytes, counter: str, hint: str
) -> None:
    before = counters(server).get(counter, 0)
    logged = len(server.log)
    with connected(server.ports, "imaps") as channel:
        channel.sendall(octets)
        everything(channel)
    assert counters(server)[counter] == before + 1
    said = server.log[logged:]
    assert hint in said
    assert "secret-word" not in said
    assert re.search(rf'service=imaps peer=.* end="{re.escape(counter)}"', said)


def test_a_reset_in_a_handshake_is_counted(server: MailServer) -> None:
    channel = connected(server.ports, "imaps")
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    channel.sendall(client_hello()[:100])
    before = counters(server).get("handshake: connection reset", 0)
    channel.close()
    for _ in range(20):
        if counters(server).get("handshake: connection reset", 0) > before:
            return
    raise AssertionError(counters(server))
