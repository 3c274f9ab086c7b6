"""The client's side of TLS without a socket: records in, records out."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import suppress


def client_context() -> ssl.SSLContext:
    """A context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class MemoryTlsClient:
    """Speaks TLS with a server that takes records and gives records back.

    `exchange` sends the server some octets and returns what it answered.
    """

    def __init__(
        self,
        exchange: Callable[[bytes], bytes],
        context: ssl.SSLContext | None = None,
        *,
        server_name: str | None = "localhost",
    ) -> None:
        self._exchange = exchange
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(
            self._incoming, self._outgoing, server_hostname=server_name
        )

    def handshake(self) -> None:
        """Raises `ssl.SSLError` if the server refuses, `ssl.SSLWantReadError` if it is silent."""
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                if not self._flush():
                    raise
            else:
                break
        self._flush()

    def pending(self) -> bytes:
        """The records that are to be sent, not sent."""
        return self._outgoing.read()

    def records(self, data: bytes) -> bytes:
        """`data` as records, not sent."""
        self.tls.write(data)
        return self._outgoing.read()

    def send(self, data: bytes) -> None:
        """Send `data`."""
        self.tls.write(data)
        self._flush()

    def take(self, records: bytes) -> None:
        """Take records that the server sent of its own accord."""
        self._incoming.write(records)

    def received(self) -> bytes:
        """What the server sent and is not yet read; empty after its close_notify too."""
        try:
            return self.tls.read(1 << 20)
        except ssl.SSLWantReadError:
            return b""

    def is_told_of_the_end(self) -> bool:
        """Whether the server's close_notify has come."""
        try:
            return self.tls.read(1) == b""
        except ssl.SSLWantReadError:
            return False

    def say_close_notify(self) -> bytes:
        """The records of our close_notify, not sent."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self._outgoing.read()

    def _flush(self) -> bool:
        answer = self._exchange(self._outgoing.read())
        self._incoming.write(answer)
        return bool(answer)
