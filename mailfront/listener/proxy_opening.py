"""A port behind load balancers: each connection begins with the header that tells of the client.

Takes connections from the configured networks alone; reads the PROXY header (versions 1 and 2,
`protocol.proxy_header`), begins the TLS transport for the client it names, and gives it what
follows the header, to the octet. A connection of the load balancer's own (LOCAL, UNKNOWN) goes to
`listener.health_probe`. Nothing of what stands here counts in the limits of the port; those are
applied to the client, once it is known.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from typing import cast

from mailfront.errors import ProxyHeaderError
from mailfront.interfaces.peer import Peer
from mailfront.listener.health_probe import HealthProbes
from mailfront.protocol.proxy_header import LONGEST_V2, ProxyHeader, parse_header
from mailfront.tls.connection_owner import ConnectionOwner
from mailfront.tls.forwarding_transport import peer_of
from mailfront.tls.transport import TlsTransport

_log = logging.getLogger("mailfront.listener")

# With room for the client's first octets, which mostly come in the same segment.
_receive_buffer = memoryview(bytearray(2 * LONGEST_V2))


class ProxyGate:
    """The load balancers before one port. `networks` are theirs, divided by commas; `owner` gets
    the connections of clients; `refused` counts a connection that had to go."""

    def __init__(self, networks: str, owner: ConnectionOwner, refused: Callable[[], None]) -> None:
        self._networks = [ipaddress.ip_network(name) for name in networks.split(",")]
        self._owner = owner
        self._probes = HealthProbes(owner)
        self._refused = refused
        self._openings: set[ProxyOpening] = set()

    def opening(self, loop: asyncio.AbstractEventLoop) -> ProxyOpening:
        """The protocol of a connection that was accepted."""
        return ProxyOpening(self, loop, self._owner.handshake_timeout)

    def cut(self) -> None:
        """End what has no client yet, and the load balancers' own connections."""
        for opening in list(self._openings):
            opening.abort()
        self._probes.cut()

    def admit(self, opening: ProxyOpening, peer: Peer) -> bool:
        """Whether `peer` may tell us of clients; if so, it is waited for."""
        if not self._trusts(peer.address):
            self.refuse(peer, "not of service.proxynetworks")
            return False
        self._openings.add(opening)
        return True

    def forget(self, opening: ProxyOpening) -> None:
        """It is not waited for any more."""
        self._openings.discard(opening)

    def refuse(self, peer: Peer, reason: str) -> None:
        """Tell the operator of a connection that is closed."""
        self._refused()
        _log.warning("service=%s peer=%s refused: %s", self._owner.service, peer, reason)

    def transport(self, header: ProxyHeader, loop: asyncio.AbstractEventLoop) -> TlsTransport:
        """What goes on after the header."""
        return TlsTransport(self._owner if header.peer is not None else self._probes, loop)

    def _trusts(self, text: str) -> bool:
        try:
            address = ipaddress.ip_address(text.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


class ProxyOpening(asyncio.BufferedProtocol):
    """One connection until its header is read, for at most `seconds`."""

    __slots__ = ("_gate", "_loop", "_peer", "_raw", "_received", "_seconds", "_timer")

    def __init__(self, gate: ProxyGate, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._gate = gate
        self._loop = loop
        self._seconds = seconds
        self._received = bytearray()
        self._raw: asyncio.Transport | None = None
        self._peer: Peer | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        # uvloop's transports have the interface without the base class.
        raw, peer = cast(asyncio.Transport, transport), peer_of(transport)
        if not self._gate.admit(self, peer):
            raw.abort()
            return
        self._raw, self._peer = raw, peer
        self._timer = self._loop.call_later(self._seconds, self._overdue)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Part of `asyncio.BufferedProtocol`: one buffer for all."""
        return _receive_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Part of `asyncio.BufferedProtocol`."""
        if self._raw is None:
            return
        self._received += _receive_buffer[:nbytes]
        try:
            header = parse_header(bytes(self._received))
        except ProxyHeaderError as error:
            self._refuse(str(error))
            return
        if header is not None:
            self._go_on(header)

    def eof_received(self) -> bool:
        """Part of `asyncio.BufferedProtocol`."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.BufferedProtocol`. Who says nothing at all only asks whether the port
        is open, as a load balancer does."""
        if self._peer is not None and self._raw is not None and self._received:
            self._gate.refuse(self._peer, "closed within its PROXY header")
        self._end()

    def abort(self) -> None:
        """Close at once."""
        raw = self._raw
        self._end()
        if raw is not None:
            raw.abort()

    def _go_on(self, header: ProxyHeader) -> None:
        raw, rest = self._raw, self._received[header.length :]
        assert raw is not None
        assert self._peer is not None
        peer = header.peer or self._peer
        self._end()
        transport = self._gate.transport(header, self._loop)
        raw.set_protocol(transport)
        transport.begin(raw, peer)
        if rest:
            transport.get_buffer(len(rest))[: len(rest)] = rest
            transport.buffer_updated(len(rest))

    def _overdue(self) -> None:
        self._timer = None
        self._refuse("no PROXY header in time")

    def _refuse(self, reason: str) -> None:
        assert self._peer is not None
        self._gate.refuse(self._peer, reason)
        self.abort()

    def _end(self) -> None:
        self._gate.forget(self)
        self._raw = None
        self._received.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
