"""ClientHellos for tests: as OpenSSL makes them, and cut into records of any size."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress

from tests.support.memory_tls import client_context

RECORD_HEADER = 5


def client_hello(
    protocols: Sequence[str] = (), server_name: str | None = "imap.example.org"
) -> bytes:
    """The first record of a client, header included."""
    context = client_context()
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=server_name)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def in_records(message: bytes, size: int) -> list[bytes]:
    """A handshake message in records of at most `size` octets each."""
    pieces = (message[start : start + size] for start in range(0, len(message), size))
    return [b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces]


def extension(number: int, content: bytes) -> bytes:
    """One extension of a ClientHello."""
    return number.to_bytes(2, "big") + len(content).to_bytes(2, "big") + content


def made_hello(
    extensions: bytes = b"",
    *,
    version: bytes = b"\x03\x03",
    suites: bytes = b"\x13\x01",
) -> bytes:
    """A ClientHello message with these extensions, header included."""
    body = version + bytes(32) + b"\x00" + len(suites).to_bytes(2, "big") + suites + b"\x01\x00"
    body += len(extensions).to_bytes(2, "big") + extensions
    return b"\x01" + len(body).to_bytes(3, "big") + body
