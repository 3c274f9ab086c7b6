"""A line-by-line conversation with a server, in clear or inside TLS, as a test writes it down."""

from __future__ import annotations

import socket
import ssl
from types import TracebackType
from typing import Self

from tests.support.ports import LOOPBACK

DEADLINE = 20.0


def unverified_context() -> ssl.SSLContext:
    """A client context that takes any certificate: the tests' servers sign their own."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Dialogue:
    """One connection; every read has a deadline, so a silent server fails the test."""

    def __init__(
        self, port: int, *, tls: bool = False, server_name: str = "localhost", source: str = ""
    ) -> None:
        own = (source, 0) if source else None
        self._socket = socket.create_connection((LOOPBACK, port), DEADLINE, own)
        self._received = b""
        self._server_name = server_name
        if tls:
            self.start_tls()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def start_tls(self, context: ssl.SSLContext | None = None) -> None:
        """Do the client's handshake; what was received and not yet read must be nothing."""
        assert self._received == b"", f"bytes before the handshake: {self._received!r}"
        context = context or unverified_context()
        self._socket = context.wrap_socket(self._socket, server_hostname=self._server_name)

    @property
    def certificate(self) -> bytes:
        """The server's certificate, DER."""
        assert isinstance(self._socket, ssl.SSLSocket)
        certificate = self._socket.getpeercert(binary_form=True)
        assert certificate is not None
        return certificate

    @property
    def agreed(self) -> tuple[str, str]:
        """The version and the suite."""
        assert isinstance(self._socket, ssl.SSLSocket)
        cipher = self._socket.cipher()
        assert cipher is not None
        return self._socket.version() or "none", cipher[0]

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def line(self) -> bytes:
        """Return the next line without its CRLF; at the end of the connection, what is left."""
        while b"\r\n" not in self._received:
            if not self._fill():
                rest, self._received = self._received, b""
                return rest
        line, _, self._received = self._received.partition(b"\r\n")
        return line

    def lines_until(self, *beginnings: bytes) -> list[bytes]:
        """Return lines up to and with the first that begins with one of `beginnings`."""
        lines: list[bytes] = []
        while not lines or not lines[-1].startswith(beginnings):
            line = self.line()
            assert line, f"closed before {beginnings!r}; got {lines!r}"
            lines.append(line)
        return lines

    def ask(self, command: bytes, *beginnings: bytes) -> list[bytes]:
        """Send a command line; return the answer up to the line that begins as told."""
        self.send(command + b"\r\n")
        return self.lines_until(*beginnings)

    def rest(self) -> bytes:
        """Return everything until the server closes the connection."""
        while self._fill():
            pass
        rest, self._received = self._received, b""
        return rest

    def _fill(self) -> bool:
        try:
            chunk = self._socket.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError):
            return False
        self._received += chunk
        return bool(chunk)
