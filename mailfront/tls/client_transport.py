"""Our connection to another server: in clear, or in TLS as its client, upgraded in place.

The mirror of `tls.transport`: a `BufferedProtocol` that reads into one buffer shared by all such
connections, TLS in `tls.records` over BIOs of our own, an ordinary `asyncio.Transport` toward the
protocol. In clear the protocol is handed views into that buffer, valid only during the call, so
that bulk data is copied once, by OpenSSL, on its way to the client.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from mailfront.errors import PeerGoneError, UpstreamTlsError
from mailfront.tls.failure import failure_reason
from mailfront.tls.forwarding_transport import ForwardingTransport
from mailfront.tls.records import PEER_CLOSED_TLS, TlsRecords

RECEIVE_SIZE = 256 * 1024

_receive_buffer = memoryview(bytearray(RECEIVE_SIZE))


class ClientTransport(ForwardingTransport):
    """One connection that we opened. `start_tls` once at most, before or after talk in clear."""

    __slots__ = ("_established", "_handshake", "_in_event", "_records")

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol) -> None:
        super().__init__(loop)
        self._front = protocol
        self._records: TlsRecords | None = None
        self._handshake: asyncio.Future[None] | None = None
        self._established = False
        self._in_event = False

    # Toward the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        self._raw = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Part of `asyncio.BufferedProtocol`."""
        return _receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        if self._discarding:
            return
        view = _receive_buffer[:nbytes]
        if self._records is None:
            if self._front is not None:
                # The protocol is told in its contract that the view ends with the call.
                self._front.data_received(cast(bytes, view))
            return
        self._records.incoming.write(view)
        self._in_event = True
        try:
            self._process(self._records)
        finally:
            self._in_event = False
            self._flush()

    def eof_received(self) -> bool:
        """Part of `asyncio.BufferedProtocol`."""
        if self._discarding or self._front is None or self._closing:
            return False
        if self._records is not None:
            # The end of the stream without close_notify: the protocol is told, as of a reset.
            self._records.ended = self._records.ended or "connection cut inside TLS"
            return False
        return bool(self._front.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        self._cancel_timer()
        self._closing = True
        self._handshake_over(PeerGoneError("the server closed the connection"))
        front, self._front = self._front, None
        if front is not None:
            front.connection_lost(exc)
        self._records = self._raw = None

    def pause_writing(self) -> None:
        """Part of `asyncio.BufferedProtocol`: passed on, and the server is read all the same.

        It may take nothing more just because its own answers wait for us. Our protocol bounds
        what it gives us to send.
        """
        if self._front is not None:
            self._front.pause_writing()

    def resume_writing(self) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        if self._front is not None:
            self._front.resume_writing()

    # Toward the protocol.

    async def start_tls(
        self, context: ssl.SSLContext, name: str, session: ssl.SSLSession | None = None
    ) -> None:
        """Make a TLS connection of it; `name` is what the certificate must be for.

        The caller has seen that nothing in clear is left unread. Raises `UpstreamTlsError`, which
        says whether the certificate is at fault, and `PeerGoneError`.
        """
        assert self._records is None, "TLS inside TLS"
        self._records = TlsRecords(context, server_name=name, session=session)
        handshake = self._handshake = self._loop.create_future()
        self._process(self._records)
        self._flush()
        await handshake

    @property
    def session(self) -> tuple[ssl.SSLContext, ssl.SSLSession] | None:
        """What a later connection to the same server may resume, and the context it belongs to."""
        if self._records is None or not self._established:
            return None
        session = self._records.tls.session
        return (self._records.tls.context, session) if session and session.has_ticket else None

    @property
    def tls(self) -> ssl.SSLObject | None:
        """What was agreed on, once the handshake is finished."""
        return self._records.tls if self._records is not None and self._established else None

    @property
    def is_tls(self) -> bool:
        """Whether what is written now leaves encrypted."""
        return self._records is not None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`; views are read before it returns."""
        raw = self._raw
        if self._closing or raw is None or not data:
            return
        if self._records is None:
            # uvloop keeps what the kernel does not take at once.
            raw.write(bytes(data))
            return
        try:
            self._records.tls.write(data)
        except ssl.SSLError:
            self.abort()
            return
        if not self._in_event:
            self._flush()

    def write_eof(self) -> None:
        """End our side. TLS has no usable half-close: there the connection is closed."""
        if self._records is not None:
            self.close()
        elif self._raw is not None and not self._closing:
            self._raw.write_eof()

    def close(self) -> None:
        """Send what is queued, then close."""
        raw = self._raw
        if self._closing or raw is None:
            return
        self._closing = True
        if self._records is not None and self._established:
            self._records.say_close_notify()
            self._flush()
        self._close_raw(raw)

    def resume_reading(self) -> None:
        """Deliver again, beginning with what was received meanwhile."""
        if not self._paused or self._closing:
            return
        self._paused = False
        self._pass_on_reading()
        if self._records is not None:
            self._loop.call_soon(self._process_buffered)

    # Inside.

    def _process_buffered(self) -> None:
        if self._records is not None and not self._closing and not self._paused:
            self._process(self._records)
            self._flush()

    def _process(self, records: TlsRecords) -> None:
        if not self._established:
            try:
                if not records.handshake():
                    return
            except ssl.SSLCertVerificationError as failure:
                words = f"its certificate: {failure.verify_message}"
                self._handshake_failed(words, failure.verify_code)
                return
            except ssl.SSLError as failure:
                self._handshake_failed(failure_reason(failure))
                return
            self._established = True
            self._handshake_over(None)
        if self._paused or self._closing:
            return
        if (data := records.decrypt()) and self._front is not None:
            self._front.data_received(data)
        if records.ended and not self._closing:
            front = self._front
            if records.ended != PEER_CLOSED_TLS or front is None or not front.eof_received():
                self.close()

    def _handshake_failed(self, reason: str, verify_code: int = 0) -> None:
        self._handshake_over(UpstreamTlsError(reason, verify_code=verify_code))
        # OpenSSL's alert still leaves.
        self._flush()
        self.close()

    def _handshake_over(self, failure: Exception | None) -> None:
        waiting, self._handshake = self._handshake, None
        if waiting is None or waiting.done():
            return
        if failure is None:
            waiting.set_result(None)
        else:
            waiting.set_exception(failure)

    def _flush(self) -> None:
        if self._raw is not None and self._records is not None and self._records.outgoing.pending:
            self._raw.write(self._records.outgoing.read())
