"""Our side toward another server, with that server's TLS in memory."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from contextlib import suppress

import pytest

from mailfront.errors import PeerGoneError, UpstreamTlsError
from mailfront.tls.client_context import build_client_context
from mailfront.tls.client_transport import ClientTransport
from mailfront.tls.context import build_server_context
from mailfront.tls.policy import Policy, choose_suites, choose_versions, make_policy
from mailfront.tls.profiles import profile_named
from tests.support.authority import self_signed
from tests.support.memory_transport import MemoryTransport

NAME = "store1.example.test"


class Listener(asyncio.Protocol):
    """What arrives, kept."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.lost = False
        self.paused = False

    def data_received(self, data: bytes) -> None:
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False


class Wire(MemoryTransport):
    """The loop's transport: what we send is in it."""

    def get_write_buffer_size(self) -> int:
        return 0


class Transport(ClientTransport):
    """One that a weak reference can follow."""


class Connected:
    """One connection with a server in memory at its other end."""

    def __init__(self, certificate_name: str = NAME) -> None:
        credentials = self_signed("store", certificate_name)
        self.trusting = build_client_context([credentials.certificate])
        server = build_server_context([credentials], policy(), alpn=(), tickets=True)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.server = server.ssl_context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.listener = Listener()
        self.transport = Transport(asyncio.get_running_loop(), self.listener)
        self.wire = Wire()
        self.transport.connection_made(self.wire)

    def deliver(self, data: bytes) -> None:
        self.transport.get_buffer(-1)[: len(data)] = data
        self.transport.buffer_updated(len(data))

    async def handshake(self, context: ssl.SSLContext | None = None) -> None:
        upgrade = asyncio.ensure_future(self.transport.start_tls(context or self.trusting, NAME))
        while not upgrade.done():
            await asyncio.sleep(0)
            self.incoming.write(self.wire.take())
            with suppress(ssl.SSLError):
                self.server.do_handshake()
            if answer := self.outgoing.read():
                self.deliver(answer)
        await upgrade


def policy() -> Policy:
    profile = profile_named("intermediate")
    versions = choose_versions(profile, "", "")
    return make_policy(profile, versions, choose_suites(profile, versions, ""))


async def test_in_clear_the_protocol_gets_what_arrives() -> None:
    connected = Connected()
    connected.deliver(b"* OK hello\r\n")
    assert connected.listener.received == b"* OK hello\r\n"
    connected.transport.write(memoryview(b"a1 NOOP\r\n"))
    assert connected.wire.take() == b"a1 NOOP\r\n"
    assert not connected.transport.is_tls


async def test_inside_tls_both_directions_are_encrypted() -> None:
    connected = Connected()
    await connected.handshake()
    assert connected.transport.is_tls
    connected.transport.write(b"a1 NOOP\r\n")
    sent = connected.wire.take()
    assert b"NOOP" not in sent
    connected.incoming.write(sent)
    assert connected.server.read(100) == b"a1 NOOP\r\n"
    connected.server.write(b"a1 OK done\r\n")
    connected.deliver(connected.outgoing.read())
    assert connected.listener.received == b"a1 OK done\r\n"


async def test_a_certificate_for_another_name_is_refused() -> None:
    connected = Connected("other.example.test")
    with pytest.raises(UpstreamTlsError, match="certificate"):
        await connected.handshake()
    assert connected.wire.is_closing()


async def test_a_certificate_of_an_unknown_authority_is_refused() -> None:
    connected = Connected()
    with pytest.raises(UpstreamTlsError, match="certificate"):
        await connected.handshake(build_client_context([]))


async def test_a_server_that_speaks_no_tls_is_an_error() -> None:
    connected = Connected()
    upgrade = asyncio.ensure_future(connected.transport.start_tls(connected.trusting, NAME))
    await asyncio.sleep(0)
    connected.deliver(b"* OK I do not understand\r\n")
    with pytest.raises(UpstreamTlsError):
        await upgrade


async def test_a_server_that_goes_away_in_the_handshake_is_an_error() -> None:
    connected = Connected()
    upgrade = asyncio.ensure_future(connected.transport.start_tls(connected.trusting, NAME))
    await asyncio.sleep(0)
    connected.transport.connection_lost(None)
    with pytest.raises(PeerGoneError):
        await upgrade
    assert connected.listener.lost


async def test_nothing_is_delivered_while_the_protocol_pauses_and_nothing_is_lost() -> None:
    connected = Connected()
    await connected.handshake()
    connected.transport.pause_reading()
    assert not connected.wire.reading
    connected.server.write(b"late")
    connected.deliver(connected.outgoing.read())
    assert connected.listener.received == b""
    connected.transport.resume_reading()
    await asyncio.sleep(0)
    assert connected.listener.received == b"late"


async def test_close_notify_of_the_server_ends_the_connection() -> None:
    connected = Connected()
    await connected.handshake()
    with pytest.raises(ssl.SSLError):
        connected.server.unwrap()
    connected.deliver(connected.outgoing.read())
    assert connected.wire.is_closing()


async def test_our_close_says_close_notify() -> None:
    connected = Connected()
    await connected.handshake()
    connected.wire.take()
    connected.transport.close()
    connected.incoming.write(connected.wire.take())
    assert connected.server.read(10) == b""


async def test_a_session_can_be_resumed_once_its_ticket_has_come() -> None:
    connected = Connected()
    await connected.handshake()
    connected.server.write(b"with the ticket")
    connected.deliver(connected.outgoing.read())
    kept = connected.transport.session
    assert kept is not None
    assert kept[0] is connected.trusting


async def test_in_clear_there_is_no_session() -> None:
    assert Connected().transport.session is None


async def test_pauses_of_the_socket_reach_the_protocol() -> None:
    connected = Connected()
    connected.transport.pause_writing()
    assert connected.listener.paused
    connected.transport.resume_writing()
    assert not connected.listener.paused


async def test_a_server_that_takes_nothing_more_is_read_all_the_same() -> None:
    connected = Connected()
    connected.transport.pause_writing()
    assert connected.wire.reading
    connected.deliver(b"answers that it could not get rid of")
    assert connected.listener.received == b"answers that it could not get rid of"


async def test_a_connection_that_ended_is_freed_without_the_garbage_collector() -> None:
    gc.disable()
    try:
        connected = Connected()
        await connected.handshake()
        transport = weakref.ref(connected.transport)
        connected.transport.connection_lost(None)
        del connected
        assert transport() is None
    finally:
        gc.enable()
