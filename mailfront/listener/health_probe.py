"""Connections of a load balancer's own, by which it finds out whether we serve.

Such a connection (LOCAL or UNKNOWN in its PROXY header) is answered as far as the usual checks go:
the TLS handshake with the certificate of the port, the greeting, SMTP's HELO and EHLO, the
farewell; of HTTP one answer. Nobody logs in here and no mail is taken, for nobody knows whose it
would be. It stands in no log and counts nowhere, and it ends within the time of a handshake.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from mailfront.tls.connection_owner import ConnectionOwner
from mailfront.tls.context import ServerContext
from mailfront.tls.transport import TlsTransport

MAXIMUM_PROBES = 100
_LONGEST_REQUEST = 4096
_HTTP_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class HealthProbes:
    """The owner of these connections on the port of `port`; at most `MAXIMUM_PROBES` at a time."""

    def __init__(self, port: ConnectionOwner) -> None:
        self._port = port
        self.implicit_tls = port.implicit_tls
        self.handshake_timeout = port.handshake_timeout
        self.service = port.service
        self.busy_reply = port.busy_reply
        self.protocols = port.protocols
        self._ends: dict[TlsTransport, asyncio.TimerHandle] = {}

    def cut(self) -> None:
        """End all of them at once."""
        for transport in list(self._ends):
            transport.abort()

    def admit(self, transport: TlsTransport) -> bool:
        """Part of `ConnectionOwner`."""
        if len(self._ends) >= MAXIMUM_PROBES:
            return False
        loop = asyncio.get_running_loop()
        self._ends[transport] = loop.call_later(self.handshake_timeout, transport.abort)
        return True

    def front(self, transport: TlsTransport) -> asyncio.Protocol:
        """Part of `ConnectionOwner`."""
        match self.service:
            case "imap" | "imaps":
                return LineProbe(b"* OK ready\r\n", b"* BYE Health probes alone\r\n")
            case "pop3" | "pop3s":
                return LineProbe(b"+OK ready\r\n", b"-ERR Health probes alone\r\n")
            case "http" | "https":
                return HttpProbe()
            case _:
                return SmtpProbe(f"[{transport.peer.local_address}]".encode("ascii", "replace"))

    def context(self) -> ServerContext:
        """Part of `ConnectionOwner`."""
        return self._port.context()

    def context_for(self, name: str) -> ServerContext | None:
        """Part of `ConnectionOwner`."""
        return self._port.context_for(name)

    def ask_for_certificate(self, tls: ssl.SSLObject) -> None:
        """Part of `ConnectionOwner`: nobody logs in."""

    def queue_handshake(self, transport: TlsTransport) -> None:
        """Part of `ConnectionOwner`."""
        transport.begin_handshake()

    def handshake_signing(self, transport: TlsTransport, *, begun: bool) -> None:
        """Part of `ConnectionOwner`."""

    def handshake_over(self, transport: TlsTransport, *, resumed: bool) -> None:
        """Part of `ConnectionOwner`."""

    def handshake_failed(self, transport: TlsTransport, reason: str) -> None:
        """Part of `ConnectionOwner`."""

    def closed(self, transport: TlsTransport) -> None:
        """Part of `ConnectionOwner`."""
        self._ends.pop(transport).cancel()


class LineProbe(asyncio.Protocol):
    """A greeting, and a farewell at the first line that comes."""

    def __init__(self, greeting: bytes, farewell: bytes) -> None:
        self._greeting = greeting
        self._farewell = farewell
        self._received = b""
        self._transport: TlsTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = cast(TlsTransport, transport)
        self._transport.write(self._greeting)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            answer = self.answer(line)
            if answer is None or self._transport is None:
                self._end(self._farewell)
                return
            self._transport.write(answer)
        if len(self._received) > _LONGEST_REQUEST:
            self._end(self._farewell)

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = None

    def answer(self, line: bytes) -> bytes | None:
        """Return the answer to a line; None: it is the last."""
        return None

    def _end(self, farewell: bytes) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.write(farewell)
            transport.close_lingering()


class SmtpProbe(LineProbe):
    """Takes HELO and EHLO; its `name` is an address literal (RFC 5321 section 4.1.3)."""

    def __init__(self, name: bytes) -> None:
        super().__init__(b"220 " + name + b" ready\r\n", b"221 2.0.0 Health probes alone\r\n")
        self._answer = b"250 " + name + b"\r\n"

    def answer(self, line: bytes) -> bytes | None:
        """Return the answer to a line; None: it is the last."""
        return self._answer if line[:5].upper() in (b"HELO ", b"EHLO ") else None


class HttpProbe(LineProbe):
    """One answer to whatever is asked."""

    def __init__(self) -> None:
        super().__init__(b"", _HTTP_ANSWER)

    def answer(self, line: bytes) -> bytes | None:
        """Return nothing until the head of the request has ended."""
        return b"" if line.strip() else None
