"""The TLS layer over real sockets, on uvloop and on plain asyncio."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest
import uvloop

from mailfront.interfaces.peer import TlsFacts
from mailfront.tls.context import ServerContext, build_server_context
from mailfront.tls.policy import policy_named
from mailfront.tls.transport import TlsTransport
from tests.support.authority import self_signed
from tests.support.waiting import eventually

LOOPBACK = "127.0.0.1"


class Echo(asyncio.Protocol):
    """Greets, echoes, and upgrades when told `TLS`; keeps what happened."""

    def __init__(self) -> None:
        self.transport: TlsTransport | None = None
        self.facts: TlsFacts | None = None
        self.lost = False
        self.paused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, TlsTransport)
        self.transport = transport
        transport.write(b"hello\r\n")

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        if data == b"TLS\r\n":
            self.transport.write(b"go\r\n")
            self.transport.start_tls(self._established)
        elif data == b"QUIT\r\n":
            self.transport.write(b"bye\r\n")
            self.transport.close()
        elif data.startswith(b"BULK "):
            self.transport.write(b"x" * int(data[5:]))
        else:
            self.transport.write(data)

    def _established(self, facts: TlsFacts) -> None:
        self.facts = facts

    def pause_writing(self) -> None:
        self.paused += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True


class Owner:
    """Admits everybody and counts."""

    def __init__(self, context: ServerContext, *, implicit_tls: bool, timeout: float) -> None:
        self.implicit_tls = implicit_tls
        self.handshake_timeout = timeout
        self.service = "echo"
        self.busy_reply = b"busy\r\n"
        self.protocols = frozenset({b"imap"})
        self.admits = True
        self.fronts: list[Echo] = []
        self.failures: list[str] = []
        self.open = 0
        self._context = context

    def admit(self, transport: TlsTransport) -> bool:
        self.open += self.admits
        return self.admits

    def front(self, transport: TlsTransport) -> asyncio.Protocol:
        self.fronts.append(Echo())
        return self.fronts[-1]

    def context(self) -> ServerContext:
        return self._context

    def context_for(self, name: str) -> ServerContext | None:
        return None

    def ask_for_certificate(self, tls: ssl.SSLObject) -> None:
        """Nobody is asked."""

    def queue_handshake(self, transport: TlsTransport) -> None:
        transport.begin_handshake()

    def handshake_signing(self, transport: TlsTransport, *, begun: bool) -> None:
        pass

    def handshake_over(self, transport: TlsTransport, *, resumed: bool) -> None:
        pass

    def handshake_failed(self, transport: TlsTransport, reason: str) -> None:
        self.failures.append(reason)

    def closed(self, transport: TlsTransport) -> None:
        self.open -= 1


@pytest.fixture(scope="module")
def context() -> ServerContext:
    return build_server_context(
        [self_signed("echo-cert")], policy_named("intermediate"), alpn=("imap",), tickets=True
    )


LOOPS = pytest.mark.parametrize(
    "loop_factory", [uvloop.new_event_loop, asyncio.new_event_loop], ids=["uvloop", "asyncio"]
)
LoopFactory = Callable[[], asyncio.AbstractEventLoop]


def run_against(
    owner: Owner,
    loop_factory: LoopFactory,
    client: Callable[[int], None],
    transport: type[TlsTransport] = TlsTransport,
) -> None:
    """Serve with `owner` on an ephemeral port while `client` runs in a thread."""

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: transport(owner, loop), LOOPBACK, 0)
        port = server.sockets[0].getsockname()[1]
        with ThreadPoolExecutor(1) as pool:
            await loop.run_in_executor(pool, client, port)
        for _ in range(200):
            if not owner.open:
                break
            await asyncio.sleep(0.01)
        server.close()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(serve())
    assert owner.open == 0


def client_context(**changes: object) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@contextmanager
def tls_client(port: int, tls: ssl.SSLContext | None = None) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection((LOOPBACK, port), timeout=10)
    with (tls or client_context()).wrap_socket(plain, server_hostname="localhost") as secured:
        yield secured


def read_exactly(channel: socket.socket, count: int) -> bytes:
    received = bytearray()
    while len(received) < count:
        piece = channel.recv(min(65536, count - len(received)))
        assert piece, "the server closed early"
        received += piece
    return bytes(received)


@LOOPS
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_implicit_tls_serves_the_front_and_says_close_notify(
    context: ServerContext, loop_factory: LoopFactory, version: ssl.TLSVersion
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=5)

    def client(port: int) -> None:
        with tls_client(port, client_context(maximum_version=version)) as channel:
            assert read_exactly(channel, 7) == b"hello\r\n"
            channel.sendall(b"QUIT\r\n")
            assert read_exactly(channel, 5) == b"bye\r\n"
            # suppress_ragged_eofs would hide a missing close_notify from recv; unwrap does not.
            channel.unwrap()

    run_against(owner, loop_factory, client)
    assert owner.fronts[0].lost
    facts = owner.fronts[0].transport.tls_facts  # type: ignore[union-attr]
    assert facts is not None
    assert (facts.version, facts.nickname) == (version.name.replace("_", "."), "echo-cert")
    assert facts.server_name == "localhost"


@LOOPS
def test_starttls_upgrades_in_place(context: ServerContext, loop_factory: LoopFactory) -> None:
    owner = Owner(context, implicit_tls=False, timeout=5)

    def client(port: int) -> None:
        plain = socket.create_connection((LOOPBACK, port), timeout=10)
        assert read_exactly(plain, 7) == b"hello\r\n"
        plain.sendall(b"clear")
        assert read_exactly(plain, 5) == b"clear"
        plain.sendall(b"TLS\r\n")
        assert read_exactly(plain, 4) == b"go\r\n"
        with client_context().wrap_socket(plain) as channel:
            channel.sendall(b"secret")
            assert read_exactly(channel, 6) == b"secret"

    run_against(owner, loop_factory, client)
    assert owner.fronts[0].facts is not None


@LOOPS
def test_large_amounts_pass_unchanged_both_ways(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=5)
    sent = bytes(range(256)) * 4096

    def client(port: int) -> None:
        with tls_client(port) as channel:
            read_exactly(channel, 7)
            channel.sendall(sent)
            assert read_exactly(channel, len(sent)) == sent
            # More than the kernel's buffers take on both sides, so the front must wait for us.
            channel.sendall(b"BULK 64000000\r\n")
            eventually(lambda: bool(owner.fronts[0].paused), "the front is not held back")
            assert read_exactly(channel, 64_000_000) == b"x" * 64_000_000

    run_against(owner, loop_factory, client)
    assert owner.fronts[0].paused


@LOOPS
def test_a_failed_handshake_puts_its_alert_on_the_wire(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=5)

    def client(port: int) -> None:
        tls = client_context(maximum_version=ssl.TLSVersion.TLSv1_2)
        tls.set_ciphers("AES128-SHA@SECLEVEL=0")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"), tls_client(port, tls):
            pass

    run_against(owner, loop_factory, client)
    assert owner.failures == ["no shared cipher"]


@LOOPS
@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"EHLO me\r\n", b"\x16\x03\x01\xff\xff", b"\0" * 4096]
)
def test_garbage_in_place_of_a_handshake_ends_the_connection(
    context: ServerContext, loop_factory: LoopFactory, garbage: bytes
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=5)

    def client(port: int) -> None:
        with socket.create_connection((LOOPBACK, port), timeout=10) as plain:
            plain.sendall(garbage)
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(4096):
                pass

    run_against(owner, loop_factory, client)
    assert len(owner.failures) == 1
    assert not owner.fronts


@LOOPS
def test_a_client_that_sends_no_handshake_is_dropped_in_time(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=0.2)

    def client(port: int) -> None:
        plain = socket.create_connection((LOOPBACK, port), timeout=10)
        with plain, suppress(ConnectionResetError):
            assert plain.recv(1) == b""

    run_against(owner, loop_factory, client)
    assert owner.failures == ["time-out"]


@LOOPS
def test_a_reset_in_the_middle_of_a_handshake_is_no_traceback(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=5)

    def client(port: int) -> None:
        plain = socket.create_connection((LOOPBACK, port), timeout=10)
        plain.sendall(b"\x16\x03\x01\x02\x00\x01")
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        plain.close()

    run_against(owner, loop_factory, client)
    assert not owner.fronts


@LOOPS
def test_a_refused_client_is_told_so_in_clear(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    owner = Owner(context, implicit_tls=False, timeout=5)
    owner.admits = False

    def client(port: int) -> None:
        with socket.create_connection((LOOPBACK, port), timeout=10) as plain:
            assert plain.recv(100) == b"busy\r\n"
            assert plain.recv(100) == b""

    run_against(owner, loop_factory, client)
    assert not owner.fronts


@LOOPS
def test_reading_can_pause_and_loses_nothing(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    class Pausing(Echo):
        def data_received(self, data: bytes) -> None:
            assert self.transport is not None
            self.transport.write(data)
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(0.005, self.transport.resume_reading)

    owner = Owner(context, implicit_tls=True, timeout=5)
    front = Pausing()
    owner.front = lambda transport: front  # type: ignore[method-assign]
    sent = bytes(range(256)) * 1024

    def client(port: int) -> None:
        with tls_client(port) as channel:
            read_exactly(channel, 7)
            channel.sendall(sent)
            assert read_exactly(channel, len(sent)) == sent

    run_against(owner, loop_factory, client)


@LOOPS
def test_a_resumed_session_is_told_as_such(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=5)

    def client(port: int) -> None:
        tls = client_context()
        with tls_client(port, tls) as first:
            read_exactly(first, 7)
            session = first.session
        plain = socket.create_connection((LOOPBACK, port), timeout=10)
        with tls.wrap_socket(plain, server_hostname="localhost", session=session) as second:
            read_exactly(second, 7)
            assert second.session_reused

    run_against(owner, loop_factory, client)


@LOOPS
def test_a_client_that_takes_no_answers_is_not_read_for_ever(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=5)

    def client(port: int) -> None:
        with tls_client(port) as channel:
            channel.settimeout(1)
            with pytest.raises(TimeoutError):
                # More than all buffers of both kernels together.
                channel.sendall(bytes(128 * 1024 * 1024))
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    run_against(owner, loop_factory, client)


@LOOPS
def test_what_waited_for_a_slow_client_arrives(
    context: ServerContext, loop_factory: LoopFactory
) -> None:
    owner = Owner(context, implicit_tls=True, timeout=5)

    def client(port: int) -> None:
        with tls_client(port) as channel:
            read_exactly(channel, 7)
            channel.sendall(b"BULK 8000000\r\n")
            channel.sendall(b"more")
            assert read_exactly(channel, 8_000_000 + 4).endswith(b"xmore")

    run_against(owner, loop_factory, client)


@LOOPS
@pytest.mark.parametrize("ending", ["quit", "client closes", "reset", "no handshake"])
def test_an_ended_connection_is_freed_without_the_garbage_collector(
    context: ServerContext, loop_factory: LoopFactory, ending: str
) -> None:
    watched: list[weakref.ref[object]] = []

    class WatchedTransport(TlsTransport):
        __slots__ = ("__weakref__",)

    class Watching(Owner):
        def admit(self, transport: TlsTransport) -> bool:
            watched.append(weakref.ref(transport))
            return super().admit(transport)

        def front(self, transport: TlsTransport) -> asyncio.Protocol:
            front = Echo()
            watched.append(weakref.ref(front))
            return front

    def client(port: int) -> None:
        if ending == "no handshake":
            with socket.create_connection((LOOPBACK, port), timeout=10) as plain:
                plain.sendall(b"QUIT\r\n")
                plain.recv(100)
            return
        with tls_client(port) as channel:
            read_exactly(channel, 7)
            if ending == "quit":
                channel.sendall(b"QUIT\r\n")
                read_exactly(channel, 5)
            elif ending == "reset":
                channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    gc.collect()
    gc.disable()
    try:
        owner = Watching(context, implicit_tls=True, timeout=5)
        run_against(owner, loop_factory, client, WatchedTransport)
        assert watched
        assert [reference() for reference in watched] == [None] * len(watched)
    finally:
        gc.enable()
