"""The TLS transport over a socket's side in memory: events, pauses, ends. Its tests over real
sockets and loops are in tests/integration/test_tls_transport.py."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from mailfront.interfaces.peer import TlsFacts
from mailfront.tls import token_handshakes
from mailfront.tls.context import ServerContext, build_server_context
from mailfront.tls.policy import policy_named
from mailfront.tls.token_handshakes import THREADS, SigningThreads
from mailfront.tls.transport import TlsTransport
from tests.support.authority import self_signed
from tests.support.memory_tls import MemoryTlsClient, client_context
from tests.support.memory_transport import MemoryTransport


class RawTransport(MemoryTransport):
    """The socket's side. `stuck` octets are those that the peer does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.stuck = 0
        self.aborted = False
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes += 1
        super().write(data)

    def write_eof(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.aborted = True
        super().abort()

    def get_write_buffer_size(self) -> int:
        return self.stuck

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.7", 40000), "sockname": ("192.0.2.1", 993)}.get(name, default)


class Front(asyncio.Protocol):
    """Keeps what it is told; `on_data` may do more."""

    def __init__(self) -> None:
        self.transport: TlsTransport | None = None
        self.received: list[bytes] = []
        self.events: list[str] = []
        self.keeps_half_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsTransport)
        self.transport = transport
        self.events.append("made")

    def data_received(self, data: bytes) -> None:
        self.received.append(data)

    def eof_received(self) -> bool:
        self.events.append("eof")
        return self.keeps_half_open

    def pause_writing(self) -> None:
        self.events.append("pause")

    def resume_writing(self) -> None:
        self.events.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.events.append("lost")


class Pausing(Front):
    """Stops reading at each piece."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        assert self.transport is not None
        self.transport.pause_reading()


class Connection:
    """One connection from socket to front, its owner, and the client that speaks TLS with it."""

    def __init__(
        self, context: ServerContext, front: Front | None = None, *, implicit_tls: bool = True
    ) -> None:
        self.implicit_tls = implicit_tls
        self.handshake_timeout = 30.0
        self.service = "imaps"
        self.busy_reply = b"busy\r\n"
        self.protocols = frozenset({b"imap"})
        self.admits = True
        self.turns: list[str] = []
        self.failures: list[str] = []
        self.open = 0
        self.facts: TlsFacts | None = None
        self.made_front = front or Front()
        self.raw = RawTransport()
        self.transport = TlsTransport(self, asyncio.get_running_loop())
        self.client = MemoryTlsClient(self.exchange)
        self._context = context

    def connect(self) -> Connection:
        self.transport.connection_made(self.raw)
        return self

    def secured(self) -> Connection:
        self.connect()
        self.client.handshake()
        return self

    def exchange(self, data: bytes) -> bytes:
        self.feed(data)
        return self.raw.take()

    def feed(self, data: bytes) -> None:
        """Octets arrive from the socket."""
        buffer = self.transport.get_buffer(-1)
        buffer[: len(data)] = data
        self.transport.buffer_updated(len(data))

    def is_read(self) -> bool:
        return self.raw.reading

    # ConnectionOwner.

    def admit(self, transport: TlsTransport) -> bool:
        self.open += self.admits
        return self.admits

    def front(self, transport: TlsTransport) -> asyncio.Protocol:
        return self.made_front

    def context(self) -> ServerContext:
        return self._context

    def context_for(self, name: str) -> ServerContext | None:
        return None

    def ask_for_certificate(self, tls: ssl.SSLObject) -> None:
        """Nobody is asked."""

    def queue_handshake(self, transport: TlsTransport) -> None:
        self.turns.append("queued")
        transport.begin_handshake()

    def handshake_signing(self, transport: TlsTransport, *, begun: bool) -> None:
        self.turns.append("signing" if begun else "signed")

    def handshake_over(self, transport: TlsTransport, *, resumed: bool) -> None:
        self.turns.append("resumed" if resumed else "over")

    def handshake_failed(self, transport: TlsTransport, reason: str) -> None:
        self.failures.append(reason)

    def closed(self, transport: TlsTransport) -> None:
        transport.record.write()
        self.open -= 1


@pytest.fixture(scope="module")
def context() -> ServerContext:
    return build_server_context(
        [self_signed("imap-cert")], policy_named("intermediate"), alpn=("imap",), tickets=True
    )


async def test_the_front_begins_after_the_handshake(context: ServerContext) -> None:
    connection = Connection(context).connect()
    assert connection.made_front.events == []
    connection.client.handshake()
    assert connection.made_front.events == ["made"]
    facts = connection.transport.tls_facts
    assert facts is not None
    assert facts.server_name == "localhost"
    assert str(connection.transport.peer) == "192.0.2.7:40000"


async def test_what_arrives_in_records_is_delivered_in_one_piece(context: ServerContext) -> None:
    connection = Connection(context).secured()
    records = connection.client.records(b"a NOOP\r\n") + connection.client.records(b"b NOOP\r\n")
    connection.feed(records)
    assert connection.made_front.received == [b"a NOOP\r\nb NOOP\r\n"]


async def test_a_record_in_pieces_is_delivered_once_it_is_complete(context: ServerContext) -> None:
    connection = Connection(context).secured()
    for octet in connection.client.records(b"a NOOP\r\n"):
        connection.feed(bytes([octet]))
    assert connection.made_front.received == [b"a NOOP\r\n"]


async def test_what_one_event_writes_leaves_in_one_send(context: ServerContext) -> None:
    class Chatty(Front):
        def data_received(self, data: bytes) -> None:
            assert self.transport is not None
            for _ in range(10):
                self.transport.write(b"* OK\r\n")

    connection = Connection(context, Chatty()).secured()
    before = connection.raw.writes
    connection.client.send(b"x")
    assert connection.raw.writes == before + 1
    assert connection.client.received() == b"* OK\r\n"


async def test_a_write_outside_an_event_leaves_at_once(context: ServerContext) -> None:
    connection = Connection(context).secured()
    connection.transport.writelines([b"* 1 ", b"EXISTS\r\n"])
    connection.client.take(connection.raw.take())
    assert connection.client.received() == b"* 1 EXISTS\r\n"


async def test_starttls_sends_its_reply_in_clear_and_the_rest_in_tls(
    context: ServerContext,
) -> None:
    established: list[TlsFacts] = []

    class Upgrading(Front):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            assert self.transport is not None
            if data == b"STLS\r\n":
                self.transport.write(b"+OK\r\n")
                self.transport.start_tls(established.append)

    connection = Connection(context, Upgrading(), implicit_tls=False).connect()
    assert connection.exchange(b"STLS\r\n") == b"+OK\r\n"
    connection.client.handshake()
    assert len(established) == 1
    connection.client.send(b"CAPA\r\n")
    assert connection.made_front.received == [b"STLS\r\n", b"CAPA\r\n"]


async def test_a_paused_front_gets_nothing_until_it_resumes(context: ServerContext) -> None:
    connection = Connection(context, Pausing()).secured()
    connection.feed(connection.client.records(b"first"))
    assert not connection.is_read()
    # The kernel's side may have had a further piece under way.
    connection.feed(connection.client.records(b"second"))
    assert connection.made_front.received == [b"first"]
    connection.transport.resume_reading()
    assert connection.is_read()
    await asyncio.sleep(0)
    assert connection.made_front.received == [b"first", b"second"]


async def test_half_a_record_waits_through_a_pause(context: ServerContext) -> None:
    connection = Connection(context, Pausing()).secured()
    first, second = connection.client.records(b"first"), connection.client.records(b"second")
    connection.feed(first + second[:7])
    connection.transport.resume_reading()
    await asyncio.sleep(0)
    connection.feed(second[7:])
    assert connection.made_front.received == [b"first", b"second"]


async def test_a_pause_right_after_resuming_is_kept(context: ServerContext) -> None:
    connection = Connection(context, Pausing()).secured()
    connection.feed(connection.client.records(b"first"))
    connection.feed(connection.client.records(b"second"))
    connection.transport.resume_reading()
    connection.transport.pause_reading()
    await asyncio.sleep(0)
    assert connection.made_front.received == [b"first"]
    assert not connection.is_read()


async def test_the_end_of_input_waits_through_a_pause_too(context: ServerContext) -> None:
    connection = Connection(context, Pausing()).secured()
    records = connection.client.records(b"a LOGIN alice secret\r\n")
    connection.feed(records + connection.client.say_close_notify())
    assert connection.made_front.events == ["made"]
    connection.transport.resume_reading()
    await asyncio.sleep(0)
    assert connection.made_front.events == ["made", "eof"]
    assert connection.raw.is_closing()


async def test_a_front_may_answer_after_the_client_said_its_last_word(
    context: ServerContext,
) -> None:
    connection = Connection(context).secured()
    connection.made_front.keeps_half_open = True
    connection.feed(connection.client.say_close_notify())
    assert connection.made_front.events == ["made", "eof"]
    before = connection.raw.writes
    connection.transport.write(b"* BYE\r\n")
    assert connection.raw.writes == before + 1
    assert not connection.raw.is_closing()


async def test_a_peer_that_takes_no_answers_is_not_read(context: ServerContext) -> None:
    connection = Connection(context).secured()
    connection.transport.pause_writing()
    assert not connection.is_read()
    connection.transport.resume_writing()
    assert connection.is_read()
    assert connection.made_front.events == ["made", "pause", "resume"]


async def test_reading_resumes_only_when_both_sides_agree(context: ServerContext) -> None:
    connection = Connection(context).secured()
    connection.transport.pause_reading()
    connection.transport.pause_writing()
    connection.transport.resume_reading()
    assert not connection.is_read()
    connection.transport.pause_reading()
    connection.transport.resume_writing()
    assert not connection.is_read()
    connection.transport.resume_reading()
    assert connection.is_read()


async def test_closing_says_close_notify_and_takes_nothing_more(context: ServerContext) -> None:
    connection = Connection(context).secured()
    connection.transport.write(b"* BYE\r\n")
    connection.transport.close()
    connection.transport.write(b"too late")
    connection.client.take(connection.raw.take())
    assert connection.client.received() == b"* BYE\r\n"
    assert connection.client.is_told_of_the_end()
    assert connection.raw.is_closing()
    assert connection.transport.is_closing()


async def test_a_lingering_close_discards_what_still_comes(context: ServerContext) -> None:
    connection = Connection(context).secured()
    connection.transport.pause_reading()
    connection.transport.close_lingering()
    assert connection.is_read()
    assert connection.raw.ended
    connection.feed(connection.client.records(b"too late"))
    assert connection.made_front.received == []
    assert not connection.transport.eof_received()


async def test_a_failed_handshake_is_counted_once_and_its_alert_is_sent(
    context: ServerContext,
) -> None:
    connection = Connection(context)
    tls = client_context()
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    tls.set_ciphers("AES128-SHA@SECLEVEL=0")
    connection.client = MemoryTlsClient(connection.exchange, tls)
    with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
        connection.secured()
    assert connection.failures == ["no shared cipher"]
    assert connection.raw.ended
    assert connection.transport.record.reason == "handshake: no shared cipher"


async def test_a_record_that_was_tampered_with_ends_the_connection(context: ServerContext) -> None:
    connection = Connection(context).secured()
    records = bytearray(connection.client.records(b"a NOOP\r\n"))
    records[-1] ^= 1
    connection.feed(bytes(records))
    assert connection.made_front.received == []
    assert connection.raw.ended
    assert connection.transport.record.reason.startswith("TLS: ")
    assert connection.failures == []


async def test_the_end_of_tcp_in_a_handshake_is_a_failure(context: ServerContext) -> None:
    connection = Connection(context).connect()
    assert not connection.transport.eof_received()
    assert connection.failures == ["peer closed the connection"]


async def test_an_overdue_handshake_is_ended(context: ServerContext) -> None:
    connection = Connection(context)
    connection.handshake_timeout = 0
    connection.connect()
    await asyncio.sleep(0.01)
    assert connection.raw.aborted
    assert connection.failures == ["time-out"]


async def test_a_close_in_a_handshake_leaves_no_timer_that_counts_a_failure(
    context: ServerContext,
) -> None:
    connection = Connection(context)
    connection.handshake_timeout = 0
    connection.connect()
    connection.raw.stuck = 1
    connection.transport.close()
    await asyncio.sleep(0.01)
    assert connection.failures == []


async def test_a_client_that_is_not_admitted_gets_the_busy_reply_in_clear(
    context: ServerContext,
) -> None:
    connection = Connection(context, implicit_tls=False)
    connection.admits = False
    connection.connect()
    assert connection.raw.take() == b"busy\r\n"
    connection.feed(b"ignored")
    connection.transport.connection_lost(None)
    assert connection.made_front.events == []
    assert connection.open == 0


async def test_a_lost_connection_is_told_once_and_recorded(
    context: ServerContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    connection = Connection(context).secured()
    connection.transport.connection_lost(ConnectionResetError())
    assert connection.made_front.events == ["made", "lost"]
    assert connection.open == 0
    [line] = [record.getMessage() for record in caplog.records]
    assert 'end="connection reset"' in line
    connection.transport.write(b"x")
    connection.transport.close()
    connection.transport.pause_reading()


async def test_another_protocol_takes_over_in_the_middle(context: ServerContext) -> None:
    connection = Connection(context).secured()
    session = Front()
    connection.transport.set_protocol(session)
    connection.client.send(b"a SELECT INBOX\r\n")
    connection.transport.connection_lost(None)
    assert session.received == [b"a SELECT INBOX\r\n"]
    assert session.events == ["lost"]
    assert connection.made_front.received == []


async def test_the_transport_answers_as_asyncio_s_own(context: ServerContext) -> None:
    connection = Connection(context, implicit_tls=False).connect()
    transport = connection.transport
    assert transport.get_extra_info("peername") == ("192.0.2.7", 40000)
    assert transport.get_extra_info("ssl_object", "none") == "none"
    assert transport.get_protocol() is connection.made_front
    assert transport.is_reading()
    assert not transport.can_write_eof()
    transport.start_tls(lambda facts: None)
    connection.client.handshake()
    assert cast(ssl.SSLObject, transport.get_extra_info("ssl_object")).server_side
    assert transport.get_extra_info("sslcontext") is connection.context().ssl_context


class Slow(Connection):
    """An owner whose turns come when the test says so."""

    def ask_for_certificate(self, tls: ssl.SSLObject) -> None:
        """Nobody is asked."""

    def queue_handshake(self, transport: TlsTransport) -> None:
        self.turns.append("queued")


def first_flight(connection: Connection) -> bytes:
    with pytest.raises(ssl.SSLWantReadError):
        connection.client.tls.do_handshake()
    return connection.client.pending()


async def test_a_handshake_waits_for_its_turn_unread(context: ServerContext) -> None:
    connection = Slow(context).connect()
    connection.feed(first_flight(connection))
    assert connection.turns == ["queued"]
    assert not connection.is_read()
    assert connection.raw.take() == b""
    connection.transport.begin_handshake()
    assert connection.is_read()
    connection.client.take(connection.raw.take())
    connection.client.handshake()
    assert connection.made_front.events == ["made"]
    assert connection.turns == ["queued", "over"]


async def test_without_a_whole_client_hello_there_is_no_turn(context: ServerContext) -> None:
    connection = Slow(context).connect()
    hello = first_flight(connection)
    connection.feed(hello[:-1])
    assert connection.turns == []
    assert connection.is_read()
    connection.feed(hello[-1:])
    assert connection.turns == ["queued"]


async def test_a_refused_handshake_is_told_internal_error(context: ServerContext) -> None:
    connection = Slow(context).connect()
    connection.feed(first_flight(connection))
    connection.transport.refuse_handshake("too many handshakes")
    assert connection.raw.take() == bytes.fromhex("15030300020250")
    assert connection.failures == ["too many handshakes"]
    assert connection.turns == ["queued", "over"]
    connection.transport.begin_handshake()
    connection.transport.refuse_handshake("again")
    assert connection.raw.take() == b""
    assert connection.failures == ["too many handshakes"]


async def test_a_handshake_under_way_can_be_given_up(context: ServerContext) -> None:
    connection = Connection(context).connect()
    connection.feed(first_flight(connection))
    connection.transport.refuse_handshake("time-out")
    assert connection.raw.aborted
    assert connection.failures == ["time-out"]
    assert connection.turns == ["queued", "over"]


async def test_a_handshake_that_waits_for_a_token_is_withdrawn_with_its_connection(
    context: ServerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = SigningThreads()
    monkeypatch.setattr(token_handshakes, "signing_threads", lambda: threads)
    on_token = replace(context, on_tokens=context.certificates)
    release, begun = threading.Event(), threading.Semaphore(0)

    def sign() -> None:
        begun.release()
        release.wait(30)

    for _ in range(THREADS):
        threads.submit(sign)
    assert all(begun.acquire(timeout=30) for _ in range(THREADS))
    try:
        ends: list[Callable[[Connection], object]] = [
            lambda one: one.transport.refuse_handshake("time-out"),
            lambda one: one.transport.connection_lost(None),
            lambda one: one.transport.eof_received(),
        ]
        for end in ends:
            connection = Connection(on_token).connect()
            connection.feed(first_flight(connection))
            assert connection.turns == ["queued", "signing"]
            assert not connection.transport.at_token
            end(connection)
            assert connection.turns == ["queued", "signing", "over"]
            assert threads.waiting == 0
    finally:
        release.set()


async def test_the_turn_is_the_clients_again_when_a_token_has_signed(
    context: ServerContext,
) -> None:
    connection = Connection(replace(context, on_tokens=context.certificates)).connect()
    connection.feed(first_flight(connection))
    async with asyncio.timeout(30):
        while "signed" not in connection.turns:
            await asyncio.sleep(0.01)
    assert connection.turns == ["queued", "signing", "signed"]
    connection.client.take(connection.raw.take())
    connection.client.tls.do_handshake()
    connection.feed(connection.client.pending())
    async with asyncio.timeout(30):
        while not connection.made_front.events:
            await asyncio.sleep(0.01)
    assert connection.turns[3:] == ["signing", "signed", "over"]


async def test_who_waits_too_long_is_told_close_notify(context: ServerContext) -> None:
    connection = Slow(context)
    connection.handshake_timeout = 0
    connection.connect()
    connection.feed(first_flight(connection))
    await asyncio.sleep(0.01)
    assert connection.raw.take() == bytes.fromhex("15030300020100")
    assert connection.failures == ["too many handshakes"]


async def test_a_foreign_protocol_is_refused_before_openssl(context: ServerContext) -> None:
    connection = Slow(context)
    tls = client_context()
    tls.set_alpn_protocols(["h2"])
    connection.client = MemoryTlsClient(connection.exchange, tls)
    connection.connect()
    connection.feed(first_flight(connection))
    assert connection.raw.take() == bytes.fromhex("15030300020278")
    assert connection.turns == []
    assert connection.failures == ["foreign application protocol"]


async def test_a_lost_connection_gives_its_turn_back_and_counts(context: ServerContext) -> None:
    connection = Connection(context).connect()
    connection.feed(first_flight(connection))
    connection.transport.connection_lost(ConnectionResetError())
    assert connection.turns == ["queued", "over"]
    assert connection.failures == ["connection reset"]
    assert connection.open == 0


async def test_nothing_leaves_in_clear_once_tls_was_announced(context: ServerContext) -> None:
    connection = Connection(context).connect()
    connection.transport.write(b"421 too late\r\n")
    assert connection.raw.take() == b""


async def test_a_record_in_pieces_is_no_flood(context: ServerContext) -> None:
    connection = Connection(context).secured()
    for _ in range(10):
        records = connection.client.records(b"x" * 16000)
        for start in range(0, len(records), 1000):
            connection.feed(records[start : start + 1000])
    assert len(b"".join(connection.made_front.received)) == 160_000
    assert not connection.transport.is_closing()


async def test_the_end_of_tcp_is_answered_with_close_notify(context: ServerContext) -> None:
    connection = Connection(context).secured()
    connection.raw.take()
    assert not connection.transport.eof_received()
    connection.client.take(connection.raw.take())
    connection.client.received()
    assert connection.client.is_told_of_the_end()
    assert connection.transport.record.reason == "peer closed"
