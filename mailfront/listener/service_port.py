"""One listening port: accepts connections, applies the limits, gives each its TLS and its front."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

from mailfront.errors import KeystoreError
from mailfront.interfaces.backend import KICKED
from mailfront.listener.handshake_turns import HandshakeTurns
from mailfront.listener.limits import ConnectionLimits
from mailfront.listener.proxy_opening import ProxyGate
from mailfront.listener.sockets import BACKLOG
from mailfront.observability.connection_record import quoted
from mailfront.observability.counters import Counters
from mailfront.tls.alpn import accepted_protocols
from mailfront.tls.client_authentication import ClientAuthentication, refused_certificate
from mailfront.tls.context import ServerContext
from mailfront.tls.failure import advice
from mailfront.tls.personality import ContextSlot
from mailfront.tls.transport import TlsTransport

_log = logging.getLogger("mailfront.listener")

Front = Callable[[], asyncio.Protocol]


@runtime_checkable
class Stoppable(Protocol):
    """A front or backend protocol that can end its session politely."""

    def stop(self, *, kicked: bool = False) -> None:
        """Say goodbye in the protocol's words as soon as the running command is finished; `kicked`
        if an administrator ends this session alone."""
        ...


@dataclass(frozen=True, slots=True)
class PortSettings:
    """What a port is: `service` chooses certificate and limits, `name` is for people, `option`
    is the option that sets the port number, `busy_reply` what a refused client is told; the ports
    of one `group` share `maximum_sessions`. `proxies` are the networks of the load balancers that
    alone may connect and tell of clients; None: clients connect themselves."""

    service: str
    name: str
    address: str
    port: int
    option: str
    implicit_tls: bool
    handshake_timeout: float
    maximum_sessions: int
    busy_reply: bytes = b""
    group: str = ""
    proxies: str | None = None


class ServicePort:
    """The owner of all connections on one port."""

    def __init__(
        self,
        settings: PortSettings,
        listener: socket.socket,
        slot: ContextSlot,
        front: Front,
        limits: ConnectionLimits,
        turns: HandshakeTurns,
        counters: Counters,
        client_authentication: ClientAuthentication | None = None,
    ) -> None:
        self.settings = settings
        self.slot = slot
        self.client_authentication = client_authentication or ClientAuthentication()
        self.service = settings.name
        self.implicit_tls = settings.implicit_tls
        self.handshake_timeout = settings.handshake_timeout
        self.busy_reply = settings.busy_reply
        self.protocols = accepted_protocols(settings.service)
        self.connections: set[TlsTransport] = set()
        self._listener = listener
        self._front = front
        self._limits = limits
        self._turns = turns
        self._counters = counters
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()
        self._gate: ProxyGate | None = None
        if settings.proxies is not None:
            refused = partial(counters.add, f"{self.service}.refused")
            self._gate = ProxyGate(settings.proxies, self, refused)

    @property
    def bound_port(self) -> int:
        """The port number in fact, where the settings say 0."""
        number: int = self._listener.getsockname()[1]
        return number

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        # The loop listens anew, with 100 places unless told otherwise: in a burst of connections
        # each one too many would wait a second for its next attempt.
        self._server = await loop.create_server(
            partial(self.protocol, loop), sock=self._listener, backlog=BACKLOG
        )

    def protocol(self, loop: asyncio.AbstractEventLoop) -> asyncio.BufferedProtocol:
        """What a connection that was accepted begins with."""
        return TlsTransport(self, loop) if self._gate is None else self._gate.opening(loop)

    def stop_accepting(self) -> None:
        """Accept no more; connections go on."""
        if self._server is not None:
            self._server.close()
        else:
            self._listener.close()

    def stop_sessions(self) -> None:
        """Ask every session to end when its running command is finished."""
        if self._gate is not None:
            self._gate.cut()
        for transport in list(self.connections):
            protocol = transport.front_protocol
            if protocol is None:
                transport.abort()
            elif isinstance(protocol, Stoppable):
                protocol.stop()

    def stop_user(self, user: str) -> int:
        """Ask the sessions of `user` (the canonical address) to end; return how many there are."""
        theirs = [each for each in self.connections if each.record.user == user]
        for transport in theirs:
            protocol = transport.front_protocol
            transport.record.end(KICKED)
            if protocol is None:
                transport.abort()
            elif isinstance(protocol, Stoppable):
                protocol.stop(kicked=True)
        return len(theirs)

    async def drained(self) -> None:
        """Return once no connection is left; to be called after `stop_accepting`."""
        while self.connections:
            self._empty.clear()
            await self._empty.wait()

    def cut_sessions(self) -> int:
        """End every connection at once; return how many there were."""
        left = list(self.connections)
        for transport in left:
            transport.record.end("server stopping")
            transport.abort()
        return len(left)

    def admit(self, transport: TlsTransport) -> bool:
        """Part of `ConnectionOwner`."""
        settings = self.settings
        reason = self._limits.admit(
            transport.peer.address, settings.group, settings.maximum_sessions
        )
        if reason:
            self._counters.add(f"{self.service}.refused")
            _log.warning("service=%s peer=%s refused: %s", self.service, transport.peer, reason)
            return False
        self.connections.add(transport)
        self._counters.add(f"{self.service}.connections")
        return True

    def front(self, transport: TlsTransport) -> asyncio.Protocol:
        """Part of `ConnectionOwner`."""
        return self._front()

    def context(self) -> ServerContext:
        """Part of `ConnectionOwner`."""
        if self.slot.current is None:
            raise KeystoreError(f"no certificate is loaded for {self.slot.service}")
        return self.slot.current

    def context_for(self, name: str) -> ServerContext | None:
        """Part of `ConnectionOwner`."""
        return self.slot.server_names.choose(name)

    def ask_for_certificate(self, tls: ssl.SSLObject) -> None:
        """Part of `ConnectionOwner`."""
        self.client_authentication.ask(tls)

    def queue_handshake(self, transport: TlsTransport) -> None:
        """Part of `ConnectionOwner`."""
        self._turns.enter(transport, transport.peer.address)

    def handshake_signing(self, transport: TlsTransport, *, begun: bool) -> None:
        """Part of `ConnectionOwner`."""
        self._turns.signing(transport, begun=begun)

    def handshake_over(self, transport: TlsTransport, *, resumed: bool) -> None:
        """Part of `ConnectionOwner`."""
        self._turns.leave(transport, resumed=resumed)
        facts = transport.tls_facts
        if facts is not None and (presented := facts.client_certificate) is not None:
            self._counters.add(f"{self.service}.client_certificates")
            if not presented.verified:
                self._counters.add(f"client certificate: {presented.fault.value}")

    def handshake_failed(self, transport: TlsTransport, reason: str) -> None:
        """Part of `ConnectionOwner`."""
        self._counters.add(f"{self.service}.handshakes_failed")
        self._counters.add(f"handshake: {reason}")
        transport.record.refused_certificate = refused_certificate(
            transport.get_extra_info("ssl_object")
        )
        if hint := advice(reason):
            _log.warning(
                "service=%s peer=%s %s: %s%s",
                self.service, transport.peer, reason, hint, _offer(transport),
            )  # fmt: skip

    def closed(self, transport: TlsTransport) -> None:
        """Part of `ConnectionOwner`."""
        transport.record.write()
        self.connections.discard(transport)
        if not self.connections:
            self._empty.set()
        self._limits.release(transport.peer.address, self.settings.group)


def _offer(transport: TlsTransport) -> str:
    """What the client came with, for the line about its failure."""
    flight = transport.first_flight
    hello = flight.hello if flight is not None else None
    if hello is None:
        return ""
    versions = ",".join(_VERSIONS.get(number, hex(number)) for number in hello.versions[:8])
    protocols = b",".join(hello.protocols[:8])[:100].decode("latin-1")
    return (
        f" (it offers versions={versions or '-'} alpn={quoted(protocols or '-')} "
        f"sni={quoted(hello.server_name[:255] or '-')})"
    )


_VERSIONS = {
    0x0300: "SSLv3",
    0x0301: "TLSv1",
    0x0302: "TLSv1.1",
    0x0303: "TLSv1.2",
    0x0304: "TLSv1.3",
}
