"""What stands before a port behind load balancers. HAProxy itself does so in
tests/interop/test_haproxy.py."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Iterator

import pytest

from mailfront.interfaces.peer import Peer
from mailfront.listener.handshake_turns import HandshakeTurns
from mailfront.listener.limits import ConnectionLimits
from mailfront.listener.proxy_opening import ProxyOpening
from mailfront.listener.service_port import PortSettings, ServicePort
from mailfront.listener.sockets import bind
from mailfront.observability.counters import Counters
from mailfront.protocol.proxy_header import SIGNATURE, build_header
from mailfront.tls.context import build_server_context
from mailfront.tls.first_flight import FirstFlight
from mailfront.tls.personality import ContextSlot
from mailfront.tls.policy import policy_named
from mailfront.tls.transport import TlsTransport
from tests.support.authority import self_signed
from tests.support.client_hello import client_hello
from tests.support.memory_transport import MemoryTransport
from tests.support.ports import LOOPBACK

BALANCER = "192.0.2.200"
CLIENT = Peer("198.51.100.7", 40000, "192.0.2.1", 143)
V1 = b"PROXY TCP4 198.51.100.7 192.0.2.1 40000 143\r\n"
V2 = build_header(CLIENT, None)
LOCAL = SIGNATURE + b"\x20\x00\x00\x00"
HEADERS = pytest.mark.parametrize("header", [V1, V2], ids=["version 1", "version 2"])


class Raw(MemoryTransport):
    """The socket's side, from `address`; feeds whatever protocol has taken over."""

    def __init__(self, address: str = BALANCER) -> None:
        super().__init__()
        self.address = address
        self.aborted = False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": (self.address, 5000), "sockname": ("192.0.2.1", 143)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.aborted = True
        super().abort()


class Session(asyncio.Protocol):
    def __init__(self) -> None:
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsTransport)
        transport.write(b"* OK\r\n")

    def data_received(self, data: bytes) -> None:
        self.received += data


class Site:
    """One port behind the load balancer, and what came of its connections."""

    def __init__(
        self, *, implicit_tls: bool = False, per_address: int = 0, wait: float = 5
    ) -> None:
        self.counters = Counters()
        self.sessions: list[Session] = []
        self.limits = ConnectionLimits(total=0, per_address=per_address)
        settings = PortSettings(
            service="imap", name="imap", address=LOOPBACK, port=0, option="service.imap.port",
            implicit_tls=implicit_tls, handshake_timeout=wait, maximum_sessions=0,
            busy_reply=b"* BYE\r\n", proxies=f"{BALANCER}/32,2001:db8::/64",
        )  # fmt: skip
        self.listener = bind(LOOPBACK, 0, option="service.imap.port", client_speaks_first=False)
        slot = ContextSlot("imap", ())
        if implicit_tls:
            slot.current = build_server_context(
                [self_signed("Server-Cert")], policy_named("intermediate"), alpn=(), tickets=False
            )
        turns = HandshakeTurns(total=0, per_address=0, per_minute=0)
        self.port = ServicePort(
            settings, self.listener, slot, self._front, self.limits, turns, self.counters
        )

    def connect(self, address: str = BALANCER) -> tuple[ProxyOpening, Raw]:
        opening, raw = self.port.protocol(asyncio.get_running_loop()), Raw(address)
        assert isinstance(opening, ProxyOpening)
        raw.set_protocol(opening)
        opening.connection_made(raw)
        return opening, raw

    def _front(self) -> asyncio.Protocol:
        self.sessions.append(Session())
        return self.sessions[-1]


def feed(raw: Raw, data: bytes) -> None:
    protocol = raw.get_protocol()
    assert isinstance(protocol, asyncio.BufferedProtocol)
    buffer = protocol.get_buffer(-1)
    memoryview(buffer)[: len(data)] = data
    protocol.buffer_updated(len(data))


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.listener.close()


@HEADERS
async def test_the_client_of_the_header_is_the_peer(site: Site, header: bytes) -> None:
    _, raw = site.connect()
    assert raw.take() == b""
    feed(raw, header)
    [transport] = site.port.connections
    assert transport.peer == transport.record.peer == CLIENT
    assert transport.get_extra_info("peername") == (CLIENT.address, CLIENT.port)
    assert raw.take() == b"* OK\r\n"
    assert raw.get_protocol() is transport
    transport.connection_lost(None)
    assert site.port.connections == set()


@HEADERS
async def test_what_follows_the_header_is_the_clients(site: Site, header: bytes) -> None:
    _, raw = site.connect()
    feed(raw, header + b"a NOOP\r\n")
    assert site.sessions[0].received == b"a NOOP\r\n"
    feed(raw, b"b NOOP\r\n")
    assert site.sessions[0].received == b"a NOOP\r\nb NOOP\r\n"
    [transport] = site.port.connections
    assert transport.record.bytes_in == len(b"a NOOP\r\nb NOOP\r\n")


@HEADERS
async def test_a_header_comes_octet_by_octet(site: Site, header: bytes) -> None:
    _, raw = site.connect()
    for octet in header:
        assert site.sessions == []
        feed(raw, bytes([octet]))
    feed(raw, b"a NOOP\r\n")
    assert site.sessions[0].received == b"a NOOP\r\n"


@HEADERS
async def test_tls_begins_with_a_client_hello_in_the_same_segment(header: bytes) -> None:
    site = Site(implicit_tls=True)
    hello = client_hello()
    _, raw = site.connect()
    feed(raw, header + hello[:40])
    [transport] = site.port.connections
    assert isinstance(transport.first_flight, FirstFlight)
    assert transport.first_flight.received == hello[:40]
    feed(raw, hello[40:])
    assert raw.take()[:1] == b"\x16"
    transport.abort()
    transport.connection_lost(None)
    site.listener.close()


async def test_only_load_balancers_connect(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    _, raw = site.connect("198.51.100.9")
    assert raw.aborted
    feed(raw, V1)
    assert site.sessions == []
    assert site.counters.values() == {"imap.refused": 1}
    assert "peer=198.51.100.9:5000 refused: not of service.proxynetworks" in caplog.text


@pytest.mark.parametrize("address", ["::ffff:192.0.2.200", "2001:db8::5%eth0"])
async def test_a_load_balancer_is_known_in_every_spelling(site: Site, address: str) -> None:
    _, raw = site.connect(address)
    feed(raw, V1)
    assert len(site.sessions) == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"a LOGIN alice secret\r\n",
        b"\x16\x03\x01\x02\x00",
        b"PROXY TCP4 300.0.0.1 192.0.2.1 1 2\r\n",
        b"PROXY TCP4 " + b"1" * 100,
        SIGNATURE + b"\x31\x11" + struct.pack("!H", 12) + bytes(12),
        SIGNATURE + b"\x21\x11" + struct.pack("!H", 65535),
        SIGNATURE + b"\x21\x11" + struct.pack("!H", 4) + bytes(4),
    ],
)
async def test_what_is_no_header_ends_the_connection(
    site: Site, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    _, raw = site.connect()
    feed(raw, garbage)
    assert raw.aborted
    assert raw.take() == b""
    assert site.sessions == []
    assert site.counters.values() == {"imap.refused": 1}
    assert "refused: a PROXY" in caplog.text or "refused: no PROXY" in caplog.text


async def test_who_does_not_send_a_header_in_time_is_refused() -> None:
    site = Site(wait=0.01)
    _, raw = site.connect()
    feed(raw, V2[:20])
    await raw.more()
    assert raw.aborted
    assert site.counters.values() == {"imap.refused": 1}
    site.listener.close()


async def test_a_connection_that_says_nothing_only_asked_whether_the_port_is_open(
    site: Site,
) -> None:
    opening, _ = site.connect()
    opening.connection_lost(None)
    assert site.counters.values() == {}
    opening, raw = site.connect()
    feed(raw, V1[:9])
    assert not opening.eof_received()
    opening.connection_lost(None)
    assert site.counters.values() == {"imap.refused": 1}


async def test_limits_are_those_of_the_client_and_never_the_load_balancers() -> None:
    site = Site(per_address=1)
    raws = [site.connect()[1] for _ in range(3)]
    for number, raw in enumerate(raws):
        feed(raw, b"PROXY TCP4 198.51.100.%d 192.0.2.1 40000 143\r\n" % number)
        assert raw.take() == b"* OK\r\n"
    _, another = site.connect()
    feed(another, b"PROXY TCP4 198.51.100.1 192.0.2.1 40001 143\r\na NOOP\r\n")
    assert another.take() == b"* BYE\r\n"
    assert another.is_closing()
    assert len(site.sessions) == 3
    site.listener.close()


@pytest.mark.parametrize("header", [LOCAL, b"PROXY UNKNOWN\r\n"])
async def test_a_health_probe_is_answered_and_neither_logged_nor_counted(
    header: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    site = Site(per_address=1)
    for _ in range(3):
        _, raw = site.connect()
        feed(raw, header)
        assert raw.take() == b"* OK ready\r\n"
        feed(raw, b"a LOGOUT\r\n")
        assert raw.take().startswith(b"* BYE ")
        assert raw.is_closing()
        raw.hang_up()
    assert site.sessions == []
    assert site.counters.values() == {}
    assert caplog.text == ""
    site.listener.close()


async def test_a_stop_ends_what_has_no_client_yet(site: Site) -> None:
    _, waiting = site.connect()
    _, probing = site.connect()
    feed(probing, LOCAL)
    site.port.stop_sessions()
    assert waiting.aborted
    assert probing.aborted
    assert site.counters.values() == {}
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(site.port.drained(), 1)
    assert site.port.connections == set()
