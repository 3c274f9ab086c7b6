"""One port: its limits, its context, and how it comes to an end. Real clients connect to it in
tests/integration."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mailfront.errors import KeystoreError
from mailfront.interfaces.tasks import start_task
from mailfront.listener.handshake_turns import HandshakeTurns
from mailfront.listener.limits import ConnectionLimits
from mailfront.listener.service_port import PortSettings, ServicePort
from mailfront.listener.sockets import bind
from mailfront.observability.counters import Counters
from mailfront.tls.first_flight import FirstFlight
from mailfront.tls.personality import ContextSlot
from mailfront.tls.transport import TlsTransport
from tests.support.client_hello import client_hello
from tests.support.memory_transport import MemoryTransport
from tests.support.ports import LOOPBACK


class Session(asyncio.Protocol):
    def __init__(self) -> None:
        self.stopped = False

    def stop(self, *, kicked: bool = False) -> None:
        self.stopped = True


class RawTransport(MemoryTransport):
    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("192.0.2.7", 40000), "sockname": ("192.0.2.1", 143)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return 0


class Port:
    """A port in clear whose connections are made in memory."""

    def __init__(self, *, maximum_sessions: int = 0, per_address: int = 0) -> None:
        self.counters = Counters()
        self.sessions: list[Session] = []
        settings = PortSettings(
            service="imap", name="imap", address=LOOPBACK, port=0, option="service.imap.port",
            implicit_tls=False, handshake_timeout=5, maximum_sessions=maximum_sessions,
            busy_reply=b"* BYE\r\n",
        )  # fmt: skip
        self.listener = bind(LOOPBACK, 0, option="service.imap.port", client_speaks_first=False)
        limits = ConnectionLimits(total=0, per_address=per_address)
        turns = HandshakeTurns(total=0, per_address=0, per_minute=0)
        slot = ContextSlot("imap", ())
        self.port = ServicePort(
            settings, self.listener, slot, self._front, limits, turns, self.counters
        )

    def connect(self) -> tuple[TlsTransport, RawTransport]:
        transport, raw = TlsTransport(self.port, asyncio.get_running_loop()), RawTransport()
        transport.connection_made(raw)
        return transport, raw

    def _front(self) -> asyncio.Protocol:
        self.sessions.append(Session())
        return self.sessions[-1]


@pytest.fixture
def port() -> Iterator[Port]:
    made = Port()
    yield made
    made.listener.close()


async def test_a_connection_gets_a_front_and_is_counted(port: Port) -> None:
    transport, _ = port.connect()
    assert transport.front_protocol is port.sessions[0]
    assert port.port.connections == {transport}
    assert port.counters.values() == {"imap.connections": 1}
    transport.connection_lost(None)
    assert port.port.connections == set()


@pytest.mark.parametrize("limit", [{"maximum_sessions": 1}, {"per_address": 1}])
async def test_beyond_a_limit_a_client_is_told_and_counted(limit: dict[str, int]) -> None:
    port = Port(**limit)
    first, _ = port.connect()
    second, raw = port.connect()
    assert raw.take() == b"* BYE\r\n"
    assert raw.is_closing()
    assert port.counters.values() == {"imap.connections": 1, "imap.refused": 1}
    second.connection_lost(None)
    first.connection_lost(None)
    _, raw = port.connect()
    assert not raw.is_closing()
    port.listener.close()


async def test_a_stop_asks_every_session(port: Port) -> None:
    port.connect()
    port.connect()
    port.port.stop_sessions()
    assert [session.stopped for session in port.sessions] == [True, True]


async def test_the_port_is_drained_once_the_last_connection_ended(port: Port) -> None:
    first, _ = port.connect()
    second, _ = port.connect()
    drained = start_task(port.port.drained(), name="drained")
    await asyncio.sleep(0)
    first.connection_lost(None)
    await asyncio.sleep(0)
    assert not drained.done()
    second.connection_lost(None)
    await drained


async def test_what_does_not_end_is_cut(port: Port) -> None:
    transport, raw = port.connect()
    assert port.port.cut_sessions() == 1
    assert raw.is_closing()
    assert transport.record.reason == "server stopping"


async def test_failed_handshakes_are_counted_by_reason(port: Port) -> None:
    transport, _ = port.connect()
    port.port.handshake_failed(transport, "no shared cipher")
    counts = port.counters.values()
    assert counts["imap.handshakes_failed"] == counts["handshake: no shared cipher"] == 1


async def test_without_a_certificate_there_is_no_context(port: Port) -> None:
    with pytest.raises(KeystoreError, match="no certificate is loaded for imap"):
        port.port.context()


async def test_a_started_port_accepts_until_it_is_told_not_to(port: Port) -> None:
    await port.port.start()
    assert port.port.bound_port == port.listener.getsockname()[1]
    _reader, writer = await asyncio.open_connection(LOOPBACK, port.port.bound_port)
    while not port.sessions:
        await asyncio.sleep(0.01)
    port.port.stop_accepting()
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset, by the moment
        await asyncio.open_connection(LOOPBACK, port.listener.getsockname()[1])
    port.port.cut_sessions()
    await port.port.drained()
    writer.close()


async def test_a_port_that_never_started_closes_its_socket(port: Port) -> None:
    port.port.stop_accepting()
    assert port.listener.fileno() == -1


async def test_a_failure_that_can_be_explained_is(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    transport, _ = port.connect()
    port.port.handshake_failed(transport, "not TLS: plain HTTP")
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("service=imap peer=192.0.2.7:40000 not TLS: plain HTTP: a browser")
    port.port.handshake_failed(transport, "connection reset")
    assert len(caplog.records) == 1


async def test_the_offer_of_a_client_is_told_with_its_octets_escaped(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    transport, _ = port.connect()
    flight = transport.first_flight = FirstFlight(frozenset({b"imap"}))
    flight.take(client_hello(["evil\r\nforged"]))
    port.port.handshake_failed(transport, "foreign application protocol")
    [line] = [record.getMessage() for record in caplog.records]
    assert "\\r\\nforged" in line
    assert "\r" not in line
    assert "versions=TLSv1.3,TLSv1.2" in line
    assert "sni=imap.example.org" in line


async def test_the_sessions_of_one_user_are_asked_to_end(port: Port) -> None:
    transports = [port.connect()[0] for _ in range(3)]
    for transport, user in zip(transports, ("ann@x.test", "bob@x.test", "ann@x.test"), strict=True):
        transport.record.user = user
    assert port.port.stop_user("ann@x.test") == 2
    assert [session.stopped for session in port.sessions] == [True, False, True]
    assert transports[0].record.reason == "ended by the administrator"
    assert transports[1].record.reason == ""
