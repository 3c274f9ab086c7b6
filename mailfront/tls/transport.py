"""TLS over a plain transport, upgraded in place.

Toward the socket a `BufferedProtocol` that reads into one buffer shared by all connections of the
process (each read is consumed before the next begins); inside, `tls.records`; toward the front an
ordinary `asyncio.Transport`. Implicit TLS upgrades at once, STARTTLS when the protocol says so,
each with the service's context of that moment.

Because the outgoing BIO is ours (`tls.sending_transport`), the alert of a failed handshake reaches
the peer. OpenSSL takes part once a ClientHello is there, was judged (`tls.first_flight`), and has
its turn.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from mailfront.errors import KeystoreError
from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.observability.connection_record import ConnectionRecord
from mailfront.tls.alert import Alert, alert_record
from mailfront.tls.connection_owner import ConnectionOwner
from mailfront.tls.context import ServerContext
from mailfront.tls.describe import describe
from mailfront.tls.failure import (
    CONNECTION_RESET,
    NO_CERTIFICATE,
    PEER_CLOSED,
    TIME_OUT,
    TOO_MANY_HANDSHAKES,
    failure_reason,
)
from mailfront.tls.first_flight import FirstFlight
from mailfront.tls.forwarding_transport import peer_of
from mailfront.tls.records import PEER_CLOSED_TLS, TlsRecords
from mailfront.tls.sending_transport import SendingTransport
from mailfront.tls.token_handshakes import TokenRecords

RECEIVE_SIZE = 256 * 1024
# So much may arrive without a single octet of data in it: a record in pieces is 16 KiB, the rest
# is KeyUpdate, empty records and the like, each of which costs more than it is worth.
BARREN_LIMIT = 64 * 1024

_receive_buffer = memoryview(bytearray(RECEIVE_SIZE))


class TlsTransport(SendingTransport):
    """One client connection, in clear or in TLS. `peer` and `record` are set once it is made.

    `first_flight` is what the client sent where TLS begins, until its handshake is over.
    """

    __slots__ = (
        "_admitted", "_barren", "_context", "_nickname", "_on_established", "_owner", "_queued",
        "first_flight", "tls_facts",
    )  # fmt: skip

    def __init__(self, owner: ConnectionOwner, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._owner = owner
        self._context: ServerContext | None = None
        self._on_established: Callable[[TlsFacts], None] | None = None
        self._nickname = ""
        self._barren = 0
        self._queued = False
        self._admitted = False
        self.first_flight: FirstFlight | None = None
        self.tls_facts: TlsFacts | None = None

    # Toward the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        # uvloop's transports have the interface without the base class.
        self.begin(cast(asyncio.Transport, transport), peer_of(transport))

    def begin(self, raw: asyncio.Transport, peer: Peer) -> None:
        """The connection is there, from `peer`: the one at the socket's other end, or the client
        of whom a load balancer there tells."""
        self._raw, self.peer = raw, peer
        self.record = ConnectionRecord(self._owner.service, peer)
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
                self._start_with_tls()
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
            if self._records is not None:
                self._records.incoming.write(_receive_buffer[:nbytes])
                self._process_records(nbytes)
            elif self.first_flight is not None:
                self._take_first_flight(self.first_flight, bytes(_receive_buffer[:nbytes]))
            elif self._front is not None:
                self._front.data_received(bytes(_receive_buffer[:nbytes]))
        finally:
            self._end_event()

    def eof_received(self) -> bool:
        """Part of `asyncio.BufferedProtocol`: the peer's side of the TCP connection ended."""
        if self._discarding:
            return False
        if self.first_flight is not None:
            self._handshake_failed(PEER_CLOSED)
            return False
        if self._front is None or self._closing:
            return False
        self._in_event = True
        try:
            if not self._front.eof_received():
                self.record.end("peer closed")
                self.close()
                return False
            return True
        finally:
            self._end_event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.BufferedProtocol`: tell the front, write the record, break cycles."""
        self._cancel_timer()
        if self.first_flight is not None and not self._closing:
            self._count_failure(CONNECTION_RESET if exc is not None else PEER_CLOSED)
        self._closing = True
        self._end_turn(resumed=False)
        self._abandon_handshake()
        front, self._front = self._front, None
        if front is not None:
            front.connection_lost(exc)
        if self._admitted:
            self.record.end("connection reset" if exc is not None else "peer closed")
            self._owner.closed(self)
        self._records = self._on_established = self._context = self.first_flight = None
        self._raw = None

    # Toward the listener, which decides when a handshake may cost something.

    def begin_handshake(self) -> None:
        """It is this connection's turn."""
        flight, context = self.first_flight, self._context
        if flight is None or context is None or self._closing:
            return
        self._context = None
        if self._waiting:
            self._waiting = False
            self._pass_on_reading()
        chosen = self._owner.context_for(flight.server_name) or context
        self._nickname = chosen.nickname
        ask = self._owner.ask_for_certificate
        if chosen.on_tokens:
            self._records = TokenRecords(chosen.ssl_context, ask, self._process_now, self._loop)
        else:
            self._records = TlsRecords(chosen.ssl_context, ask=ask)
        self._records.incoming.write(flight.received)
        nested, self._in_event = self._in_event, True
        try:
            self._process_records(0)
        finally:
            self._in_event = nested
            if not nested:
                self._flush()

    def refuse_handshake(self, reason: str) -> None:
        """It has no turn, or not any more."""
        if self._records is None:
            self._handshake_failed(reason, alert_record(Alert.INTERNAL_ERROR))
        elif not self._closing:
            self._give_up(reason)

    @property
    def at_token(self) -> bool:
        """Whether a token signs for the handshake at this moment."""
        return self._records is not None and self._records.at_token

    # Toward the front: asyncio.Transport.

    def start_tls(self, on_established: Callable[[TlsFacts], None]) -> None:
        """Upgrade in place: from now on bytes are TLS records.

        The caller has sent its answer and proved that nothing unread is left. `on_established` is
        called with the facts; a failed handshake ends in `connection_lost`. Raises `KeystoreError`
        if there is no certificate.
        """
        assert self._records is None, "TLS inside TLS"
        self._context = self._owner.context()
        self._flush()
        self.first_flight = FirstFlight(self._owner.protocols)
        self._on_established = on_established
        self._timer = self._loop.call_later(self._owner.handshake_timeout, self._handshake_overdue)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send `data`. During an event it leaves with everything else the event writes."""
        if self._closing or not data:
            return
        if self._records is not None:
            try:
                self._records.tls.write(data)
            except ssl.SSLError as failure:
                self._fail(f"TLS: {failure_reason(failure)}")
                return
        elif self.first_flight is None:
            self._plain_output.append(bytes(data))
        # Else TLS was announced, and nothing leaves in clear any more.
        if not self._in_event:
            self._flush()

    def resume_reading(self) -> None:
        """Deliver again, beginning with what was received meanwhile."""
        if not self._paused or self._closing:
            return
        self._paused = False
        self._pass_on_reading()
        if self._established:
            # Not at once: the caller may be in the middle of handling an earlier piece.
            self._loop.call_soon(self._process_buffered)

    # Inside.

    def _start_with_tls(self) -> None:
        try:
            self.start_tls(self._begin_front)
        except KeystoreError:
            self._handshake_failed(NO_CERTIFICATE, alert_record(Alert.INTERNAL_ERROR))

    def _begin_front(self, facts: TlsFacts | None) -> None:
        self._front = self._owner.front(self)
        self._front.connection_made(self)

    def _take_first_flight(self, flight: FirstFlight, data: bytes) -> None:
        refusal = flight.take(data)
        if refusal is not None:
            self._handshake_failed(refusal.reason, refusal.alert)
        elif flight.complete and not self._queued:
            self._queued = True
            self._owner.queue_handshake(self)
            if self._records is None and not self._closing:
                self._waiting = True
                self._pass_on_reading()

    def _process_buffered(self) -> None:
        if not self._paused:
            self._process_now()

    def _process_now(self) -> None:
        if self._closing or self._records is None:
            return
        if self._waiting:
            self._waiting = False
            self._pass_on_reading()
            self._owner.handshake_signing(self, begun=False)
        self._in_event = True
        try:
            self._process_records(0)
        finally:
            self._end_event()

    def _process_records(self, nbytes: int) -> None:
        records = self._records
        assert records is not None
        if not self._established and not self._handshake(records):
            return
        if self._paused or self._closing:
            return
        data = records.decrypt()
        if data:
            self._barren = 0
            if self._front is not None:
                self._front.data_received(data)
        else:
            self._barren += nbytes
        if records.ended:
            self._input_ended(records.ended)
        elif self._barren > BARREN_LIMIT:
            self._fail("TLS: records without data")

    def _input_ended(self, reason: str) -> None:
        if reason != PEER_CLOSED_TLS:
            self._fail(reason)
        elif self._paused:
            # Told when reading resumes: OpenSSL answers the next read in the same way.
            return
        elif self._front is not None and not self._closing and not self._front.eof_received():
            self.record.end(reason)
            self.close()

    def _handshake(self, records: TlsRecords) -> bool:
        try:
            if not records.handshake():
                if records.busy:
                    self._waiting = True
                    self._pass_on_reading()
                    self._owner.handshake_signing(self, begun=True)
                return False
        except ssl.SSLError as failure:
            self._handshake_failed(failure_reason(failure))
            return False
        self._established = True
        self.first_flight = None
        self._cancel_timer()
        facts = self.tls_facts = self.record.tls = describe(records.tls, self._nickname)
        self._end_turn(resumed=facts.resumed)
        on_established, self._on_established = self._on_established, None
        if on_established is not None:
            on_established(facts)
        return True

    def _end_turn(self, *, resumed: bool) -> None:
        if self._queued:
            self._queued = False
            self._owner.handshake_over(self, resumed=resumed)

    def _handshake_overdue(self) -> None:
        self._timer = None
        flight = self.first_flight
        if self._records is None and flight is not None and flight.received:
            waited = TOO_MANY_HANDSHAKES if self._waiting else TIME_OUT
            self._handshake_failed(waited, alert_record(Alert.CLOSE_NOTIFY))
        else:
            self._give_up(TIME_OUT)

    def _give_up(self, reason: str) -> None:
        """End a handshake in the middle, where OpenSSL cannot say a word."""
        self._count_failure(reason)
        self._end_turn(resumed=False)
        self._abandon_handshake()
        self.abort()

    def _abandon_handshake(self) -> None:
        if self._records is not None and not self._established:
            self._records.abandon()

    def _handshake_failed(self, reason: str, alert: bytes = b"") -> None:
        """End the connection with an alert on the wire: `alert`, or OpenSSL's own."""
        if self._closing:
            return
        self._count_failure(reason)
        if alert:
            self._plain_output.append(alert)
        self._shut()

    def _count_failure(self, reason: str) -> None:
        self.record.end(f"handshake: {reason}")
        self._owner.handshake_failed(self, reason)

    # The end.

    def _fail(self, reason: str) -> None:
        """End the connection after a TLS error, with OpenSSL's alert on the wire."""
        self.record.end(reason)
        self._shut()

    def _shut(self) -> None:
        self._closing = True
        self._cancel_timer()
        self._end_turn(resumed=False)
        self._abandon_handshake()
        self._flush()
        if self._raw is not None:
            self._discard_input(self._raw)
