"""Connections of the examining client: TCP, the dialogue before STARTTLS, TLS; all with deadlines.

Each connection has one deadline for everything that happens on it, so a server that drips octets
gains nothing. Raises `OperatorError` (no TCP connection), `StarttlsError`, `ssl.SSLError` and
`OSError` (time-outs included).
"""

from __future__ import annotations

import socket
import ssl
import time
from types import TracebackType
from typing import Self

from mailfront.errors import OperatorError, TlsAnswerError
from mailfront.protocol.starttls_client import Dialogue
from mailfront.protocol.tls_probe.answer import Answer
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.doctor.target import Target

RECEIVE_SIZE = 16384
# How much one connection may make us read in clear or decrypted.
MOST_RECEIVED = 1 << 20


class Connection:
    """One TCP connection to the target, in clear until `start_tls`."""

    def __init__(self, target: Target, seconds: float) -> None:
        self._target = target
        self._deadline = time.monotonic() + seconds
        self._received = 0
        try:
            self._socket = socket.create_connection((target.host, target.port), timeout=seconds)
        except OSError as failure:
            raise OperatorError(
                f"no connection to {target}: {failure.strerror or failure}",
                remedy="check host, port and what stands between",
            ) from failure

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._limit()
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """What comes next; empty at the end of the connection."""
        self._limit()
        data = self._socket.recv(RECEIVE_SIZE)
        self._received += len(data)
        if self._received > MOST_RECEIVED:
            raise TlsAnswerError("the server does not stop sending")
        return data

    def converse(self, dialogue: Dialogue) -> None:
        """Carry the dialogue through, to the server's go-ahead or its capabilities."""
        if dialogue.first:
            self.send(dialogue.first)
        while not dialogue.is_ready:
            data = self.receive()
            if not data:
                raise ConnectionResetError("the server closed the connection")
            if answer := dialogue.feed(data):
                self.send(answer)

    def reach_tls(self, *, behind: bytes = b"") -> Dialogue | None:
        """Speak the protocol in clear until the handshake may begin, if the target wants that."""
        if self._target.starttls is None:
            return None
        dialogue = Dialogue(self._target.starttls, behind=behind)
        self.converse(dialogue)
        return dialogue

    def start_tls(
        self, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        """Do the handshake with OpenSSL."""
        self._limit()
        # An address as name is verified as one and not sent as SNI.
        self._socket = context.wrap_socket(
            self._socket, server_hostname=self._target.name, session=session
        )
        return self._socket

    def probe(self, offer: Offer) -> Answer:
        """Send a ClientHello of our own and return the answer as far as it came."""
        answer = Answer()
        self.send(offer.record())
        while not answer.is_complete:
            data = self.receive()
            if not data:
                break
            answer.feed(data)
        return answer

    def _limit(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the server is too slow")
        self._socket.settimeout(left)
