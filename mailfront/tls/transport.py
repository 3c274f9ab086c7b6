"""TLS over a plain transport, upgraded in place.

Toward the socket a `BufferedProtocol` that reads into one buffer shared by all connections of the
process (each read is consumed before the next begins); inside, an `ssl.SSLObject` over two memory
BIOs; toward the front an ordinary `asyncio.Transport`. Implicit TLS upgrades at once, STARTTLS when
the protocol says so, each with the service's context of that moment.

Because the outgoing BIO is ours, the alert of a failed handshake reaches the peer, and everything
written during one event (greeting and session tickets, pipelined answers) leaves in one send.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.observability.connection_record import ConnectionRecord
from mailfront.tls.context import ServerContext
from mailfront.tls.describe import describe
from mailfront.tls.failure import failure_reason

RECEIVE_SIZE = 256 * 1024
# A peer that does not take our last bytes within this many seconds loses them.
LINGER_SECONDS = 20.0
# What a peer sends after our farewell is discarded for this long (`close_lingering`).
DISCARD_SECONDS = 2.0
_TLS_ENDED = "peer closed TLS"

_receive_buffer = memoryview(bytearray(RECEIVE_SIZE))


class ConnectionOwner(Protocol):
    """The listener's side of a connection: admits it, and supplies what it needs."""

    implicit_tls: bool
    handshake_timeout: float
    service: str
    busy_reply: bytes

    def admit(self, transport: TlsTransport) -> bool:
        """Count the connection in, or refuse it (then `closed` is not called)."""
        ...

    def front(self, transport: TlsTransport) -> asyncio.Protocol:
        """The protocol front for an admitted connection."""
        ...

    def context(self) -> ServerContext:
        """What a handshake that begins now presents. Raises `KeystoreError` if nothing can be."""
        ...

    def handshake_failed(self, transport: TlsTransport, reason: str) -> None:
        """Count a failed handshake."""
        ...

    def closed(self, transport: TlsTransport) -> None:
        """Count the connection out."""
        ...


class TlsTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """One client connection, in clear or in TLS. `peer` and `record` are set once it is made."""

    __slots__ = (
        "_admitted", "_choked", "_closing", "_discarding", "_established", "_front", "_in_event",
        "_incoming",
        "_loop", "_nickname", "_on_established", "_outgoing", "_owner", "_paused", "_plain_output",
        "_raw", "_timer", "_tls", "peer", "record", "tls_facts",
    )  # fmt: skip

    peer: Peer
    record: ConnectionRecord

    def __init__(self, owner: ConnectionOwner, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._owner = owner
        self._loop = loop
        self._raw: asyncio.Transport | None = None
        self._front: asyncio.Protocol | None = None
        self._tls: ssl.SSLObject | None = None
        self._incoming: ssl.MemoryBIO | None = None
        self._outgoing: ssl.MemoryBIO | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._on_established: Callable[[TlsFacts], None] | None = None
        self._plain_output: list[bytes] = []
        self._nickname = ""
        self._established = False
        self._in_event = False
        self._paused = False
        self._choked = False
        self._closing = False
        self._admitted = False
        self._discarding = False
        self.tls_facts: TlsFacts | None = None

    # Toward the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        # uvloop's transports have the interface without the base class.
        raw = self._raw = cast(asyncio.Transport, transport)
        # Both are None when the client was gone before the accept finished.
        remote = transport.get_extra_info("peername") or ("unknown", 0)
        local = transport.get_extra_info("sockname") or ("unknown", 0)
        self.peer = Peer(remote[0], remote[1], local[0], local[1])
        self.record = ConnectionRecord(self._owner.service, self.peer)
        self._admitted = self._owner.admit(self)
        if not self._admitted:
            self._closing = True
            if not self._owner.implicit_tls:
                raw.write(self._owner.busy_reply)
            raw.close()
            return
        self._in_event = True
        try:
            if self._owner.implicit_tls:
                self.start_tls(self._begin_front)
            else:
                self._begin_front(None)
        finally:
            self._end_event()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Part of `asyncio.BufferedProtocol`: the buffer shared by all connections."""
        return _receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        self.record.bytes_in += nbytes
        if self._discarding:
            return
        self._in_event = True
        try:
            if self._tls is None:
                if self._front is not None:
                    self._front.data_received(bytes(_receive_buffer[:nbytes]))
            else:
                assert self._incoming is not None
                self._incoming.write(_receive_buffer[:nbytes])
                self._process_records()
        finally:
            self._end_event()

    def eof_received(self) -> bool:
        """Part of `asyncio.BufferedProtocol`: the peer's side of the TCP connection ended."""
        if self._discarding:
            return False
        if self._tls is not None and not self._established:
            self._fail("handshake: peer closed the connection")
            return False
        if self._front is None or self._closing:
            return False
        self._in_event = True
        try:
            return bool(self._front.eof_received())
        finally:
            self._end_event()

    def pause_writing(self) -> None:
        """Part of `asyncio.BufferedProtocol`: passed on to the front.

        A peer that does not take our answers is not read either: whatever it sends could only
        make more of them, those of TLS itself included, and our memory would hold them.
        """
        self._choked = True
        self._pass_on_reading()
        if self._front is not None:
            self._front.pause_writing()

    def resume_writing(self) -> None:
        """Part of `asyncio.BufferedProtocol`: passed on to the front."""
        self._choked = False
        self._pass_on_reading()
        if self._front is not None:
            self._front.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.BufferedProtocol`: tell the front, write the record, break cycles."""
        self._cancel_timer()
        self._closing = True
        front, self._front = self._front, None
        if front is not None:
            front.connection_lost(exc)
        if self._admitted:
            self.record.end("connection reset" if exc is not None else "peer closed")
            self.record.write()
            self._owner.closed(self)
        self._tls = self._incoming = self._outgoing = self._on_established = None
        self._raw = None

    # Toward the front: asyncio.Transport.

    def start_tls(self, on_established: Callable[[TlsFacts], None]) -> None:
        """Upgrade in place: from now on bytes are TLS records.

        The caller has sent its answer and proved that nothing unread is left. `on_established` is
        called with the facts; a failed handshake ends in `connection_lost`.
        """
        assert self._tls is None
        self._flush()
        context = self._owner.context()
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.ssl_context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._nickname = context.nickname
        self._on_established = on_established
        self._timer = self._loop.call_later(self._owner.handshake_timeout, self._handshake_overdue)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`. During an event it leaves with everything else the event writes."""
        if self._closing or not data:
            return
        if self._tls is None:
            self._plain_output.append(bytes(data))
        else:
            try:
                self._tls.write(data)
            except ssl.SSLError as failure:
                self._fail(f"TLS: {failure_reason(failure)}")
                return
        if not self._in_event:
            self._flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        """Say close_notify, send what is queued, close."""
        raw = self._say_farewell()
        if raw is not None:
            self._close_raw(raw)

    def close_lingering(self) -> None:
        """Close a connection whose peer may still be sending.

        Closing a socket with unread input makes the kernel send a reset, which can destroy our
        last reply on its way. So our side is shut, and input is discarded until the peer closes,
        for at most `DISCARD_SECONDS`.
        """
        raw = self._say_farewell()
        if raw is not None:
            self._discard_input(raw)

    def _say_farewell(self) -> asyncio.Transport | None:
        if self._closing:
            return None
        self._closing = True
        self._cancel_timer()
        if self._tls is not None and self._established:
            # Raised for the peer's close_notify that has not come: RFC 8446 section 6.1 does
            # not make us wait for it.
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()
        self._flush()
        return self._raw

    def _discard_input(self, raw: asyncio.Transport) -> None:
        if raw.is_closing():
            return
        self._discarding = True
        if self._paused or self._choked:
            raw.resume_reading()
        raw.write_eof()
        self._timer = self._loop.call_later(DISCARD_SECONDS, raw.abort)

    def abort(self) -> None:
        """Close at once; what is queued is lost."""
        self._closing = True
        if self._raw is not None:
            self._raw.abort()

    def is_closing(self) -> bool:
        """Whether the connection is closed or being closed."""
        return self._closing

    def pause_reading(self) -> None:
        """Deliver no more until `resume_reading`."""
        if not self._paused and not self._closing:
            self._paused = True
            self._pass_on_reading()

    def resume_reading(self) -> None:
        """Deliver again, beginning with what was received meanwhile."""
        if not self._paused or self._closing:
            return
        self._paused = False
        self._pass_on_reading()
        if self._tls is not None and self._established:
            # Not at once: the caller may be in the middle of handling an earlier piece.
            self._loop.call_soon(self._process_buffered)

    def is_reading(self) -> bool:
        """Whether data is being delivered."""
        return not self._paused and not self._closing

    def can_write_eof(self) -> bool:
        """TLS has no usable half-close here."""
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol; its `connection_made` is not called."""
        assert isinstance(protocol, asyncio.Protocol)
        self._front = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that receives the data."""
        assert self._front is not None
        return self._front

    @property
    def front_protocol(self) -> asyncio.Protocol | None:
        """The protocol that receives the data, or None before the front begins."""
        return self._front

    def get_write_buffer_size(self) -> int:
        """Octets not yet taken by the kernel."""
        return self._raw.get_write_buffer_size() if self._raw is not None else 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """As `set_write_buffer_limits` left them."""
        return self._raw.get_write_buffer_limits() if self._raw is not None else (0, 0)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When `pause_writing` and `resume_writing` are called."""
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's transports answer; `ssl_object` and `sslcontext` are None in clear."""
        if name == "ssl_object":
            return self._tls if self._tls is not None else default
        if name == "sslcontext":
            return self._tls.context if self._tls is not None else default
        return self._raw.get_extra_info(name, default) if self._raw is not None else default

    # Inside.

    def _begin_front(self, facts: TlsFacts | None) -> None:
        self._front = self._owner.front(self)
        self._front.connection_made(self)

    def _pass_on_reading(self) -> None:
        raw = self._raw
        if raw is None or self._closing or raw.is_closing():
            return
        if self._paused or self._choked:
            raw.pause_reading()
        else:
            raw.resume_reading()

    def _process_buffered(self) -> None:
        if self._closing or self._paused or self._tls is None:
            return
        self._in_event = True
        try:
            self._process_records()
        finally:
            self._end_event()

    def _process_records(self) -> None:
        if not self._established and not self._handshake():
            return
        tls, incoming = self._tls, self._incoming
        if tls is None or incoming is None or self._paused or self._closing:
            return
        received: list[bytes] = []
        ended = ""
        try:
            while data := tls.read(RECEIVE_SIZE):
                received.append(data)
                if not incoming.pending and not tls.pending():
                    break
            else:
                ended = _TLS_ENDED
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            pass
        except ssl.SSLZeroReturnError:
            ended = _TLS_ENDED
        except ssl.SSLError as failure:
            ended = f"TLS: {failure_reason(failure)}"
        if received and self._front is not None:
            self._front.data_received(received[0] if len(received) == 1 else b"".join(received))
        if ended:
            self._input_ended(ended)

    def _input_ended(self, reason: str) -> None:
        if reason != _TLS_ENDED:
            self._fail(reason)
        elif self._paused:
            # Told when reading resumes: OpenSSL answers the next read in the same way.
            return
        elif self._front is not None and not self._closing and not self._front.eof_received():
            self.record.end(reason)
            self.close()

    def _handshake(self) -> bool:
        assert self._tls is not None
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as failure:
            self._fail(f"handshake: {failure_reason(failure)}")
            return False
        self._established = True
        self._cancel_timer()
        self.tls_facts = self.record.tls = describe(self._tls, self._nickname)
        on_established, self._on_established = self._on_established, None
        if on_established is not None:
            on_established(self.tls_facts)
        return True

    def _handshake_overdue(self) -> None:
        self._timer = None
        self._owner.handshake_failed(self, "handshake: time-out")
        self.record.end("handshake: time-out")
        self.abort()

    def _fail(self, reason: str) -> None:
        """End the connection after a TLS error, with OpenSSL's alert on the wire."""
        if self._tls is not None and not self._established:
            self._owner.handshake_failed(self, reason)
        self.record.end(reason)
        self._shut()

    def _shut(self) -> None:
        """Send what is queued and close, in bounded time."""
        self._closing = True
        self._cancel_timer()
        self._flush()
        if self._raw is not None:
            self._close_raw(self._raw)

    def _close_raw(self, raw: asyncio.Transport) -> None:
        raw.close()
        if raw.get_write_buffer_size():
            self._timer = self._loop.call_later(LINGER_SECONDS, raw.abort)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_event(self) -> None:
        self._in_event = False
        self._flush()

    def _flush(self) -> None:
        raw = self._raw
        if raw is None:
            return
        if self._plain_output:
            data = b"".join(self._plain_output)
            self._plain_output.clear()
        elif self._outgoing is not None and self._outgoing.pending:
            data = self._outgoing.read()
        else:
            return
        self.record.bytes_out += len(data)
        raw.write(data)
