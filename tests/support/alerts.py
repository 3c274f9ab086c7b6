"""A client that reads what a server says in TLS records, alerts above all."""

from __future__ import annotations

import socket
from contextlib import suppress

from tests.support.ports import LOOPBACK

CLOSE_NOTIFY, UNEXPECTED_MESSAGE, BAD_RECORD_MAC, RECORD_OVERFLOW = 0, 10, 20, 22
HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, DECODE_ERROR, PROTOCOL_VERSION = 40, 47, 50, 70
INTERNAL_ERROR, NO_APPLICATION_PROTOCOL = 80, 120

# What is said in clear before TLS begins: the greeting's lines to skip, and the command.
STARTTLS = {
    "smtp": b"EHLO client.example\r\nSTARTTLS\r\n",
    "submission": b"EHLO client.example\r\nSTARTTLS\r\n",
    "imap": b"a STARTTLS\r\n",
    "pop": b"STLS\r\n",
}
_INVITATION = {"smtp": b"\r\n220 ", "submission": b"\r\n220 ", "imap": b"a OK", "pop": b"+OK Begin"}


def connected(ports: dict[str, int], name: str) -> socket.socket:
    """A connection to the port `name`, where the next octet is TLS's."""
    channel = socket.create_connection((LOOPBACK, ports[name]), timeout=20)
    if name in STARTTLS:
        channel.recv(1024)
        channel.sendall(STARTTLS[name])
        said = b""
        while not (_INVITATION[name] in said and said.endswith(b"\r\n")):
            piece = channel.recv(1024)
            assert piece, said
            said += piece
    return channel


def everything(channel: socket.socket) -> bytes:
    """All that comes until the server closes."""
    received = b""
    with suppress(ConnectionResetError):
        while piece := channel.recv(65536):
            received += piece
    return received


def records(octets: bytes) -> list[tuple[int, bytes]]:
    """The records in `octets` as content type and content; nothing may be left over."""
    found = []
    while octets:
        length = int.from_bytes(octets[3:5], "big")
        assert len(octets) >= 5 + length, octets
        found.append((octets[0], octets[5 : 5 + length]))
        octets = octets[5 + length :]
    return found


def last_alert(channel: socket.socket) -> int:
    """The description of the alert in clear that is the server's last word."""
    said = records(everything(channel))
    assert said, "the server closed without an alert"
    kind, content = said[-1]
    assert kind == 21, said
    assert len(content) == 2, "the alert is encrypted"
    return content[1]
