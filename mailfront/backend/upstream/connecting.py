"""A connection to one of several upstreams, ready for the login: TCP, PROXY header, TLS, greeting.

Takes the balance of the upstreams that would do, tries them in its order, and gives the first that
answers. Addresses are resolved anew every few seconds; both families are tried side by side
(RFC 8305). Raises `BackendError` when none can be had; its text is for the log.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import aiohappyeyeballs

from mailfront.backend.upstream.balance import Balance
from mailfront.configuration.upstream_list import Upstream, UpstreamTls, is_loopback
from mailfront.errors import BackendError, PeerError
from mailfront.protocol.starttls_client import Dialogue, StarttlsProtocol
from mailfront.tls.client_transport import ClientTransport
from mailfront.tls.conversation import Conversation
from mailfront.tls.forwarding_transport import peer_of

_log = logging.getLogger("mailfront.upstream")

# RFC 8305 section 5.
_NEXT_ADDRESS_AFTER = 0.25
_RESOLVED_FOR = 5.0
_STARTTLS = {
    "imap": StarttlsProtocol.IMAP,
    "pop": StarttlsProtocol.POP3,
    "smtp": StarttlsProtocol.SMTP,
    "lmtp": StarttlsProtocol.SMTP,
}


_Resolved = tuple[float, Sequence[aiohappyeyeballs.AddrInfoType]]


@dataclass(slots=True)
class UpstreamConnection:
    """A connection on which the login may begin; `greeting` if it was read already, `has_spoken` if
    it has said anything."""

    upstream: Upstream
    transport: ClientTransport
    conversation: Conversation
    greeting: str | None
    has_spoken: bool = False

    @property
    def greeted(self) -> bool:
        """Whether the greeting was read already."""
        return self.greeting is not None


@dataclass(slots=True)
class Connector:
    """Opens connections; `context` gives the TLS context of the moment, `timeout` is in seconds
    for all that one attempt takes. `own_ports` are the ports that this server listens on, with
    their addresses (an empty one: all of this machine): no upstream may be there."""

    context: Callable[[], ssl.SSLContext]
    timeout: float
    own_ports: Mapping[int, Collection[str]] = field(default_factory=dict)
    _sessions: dict[Upstream, tuple[ssl.SSLContext, ssl.SSLSession]] = field(default_factory=dict)
    _resolved: dict[Upstream, _Resolved] = field(default_factory=dict)

    async def connect(
        self,
        balance: Balance,
        header: Callable[[], bytes],
        but: Collection[Upstream] = (),
    ) -> UpstreamConnection:
        """Return a connection to the best of the upstreams that answer, without those of `but`.

        What `header` gives is sent before all else to those that want a PROXY header.
        """
        for upstream in balance.candidates(time.monotonic()):
            if upstream in but:
                continue
            try:
                return await self.open(upstream, header() if upstream.proxy_header else b"")
            except (OSError, PeerError) as failure:
                problem = told(failure)
                if balance.failed(upstream, problem, time.monotonic()):
                    _log.error("upstream=%s protocol=%s %s", upstream, upstream.protocol, problem)
        raise BackendError("no upstream can be reached", temporary=True)

    async def open(self, upstream: Upstream, header: bytes = b"") -> UpstreamConnection:
        """Return a connection to `upstream`. Raises `OSError` (a time-out is one) and `PeerError`,
        of which `told` makes a text."""
        async with asyncio.timeout(self.timeout):
            return await self._open(upstream, header if upstream.proxy_header else b"")

    async def _open(self, upstream: Upstream, header: bytes) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        conversation = Conversation()
        transport = ClientTransport(loop, conversation)
        await self._connect(loop, upstream, transport)
        try:
            if upstream.port in self.own_ports:
                self._require_another(transport)
            if header:
                transport.write(header)
            greeting = None
            if upstream.tls is UpstreamTls.STARTTLS:
                greeting = await self._invite(upstream, transport, conversation)
            if upstream.tls is not UpstreamTls.NONE:
                await self._start_tls(upstream, transport)
        except BaseException:
            transport.abort()
            raise
        return UpstreamConnection(upstream, transport, conversation, greeting, greeting is not None)

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, upstream: Upstream, transport: ClientTransport
    ) -> None:
        addresses = await self._addresses(loop, upstream)
        if len(addresses) == 1:
            host, port = addresses[0][4][:2]
            await loop.create_connection(lambda: transport, str(host), int(port))
            return
        connected = await aiohappyeyeballs.start_connection(
            addresses, happy_eyeballs_delay=_NEXT_ADDRESS_AFTER, interleave=1, loop=loop
        )
        await loop.create_connection(lambda: transport, sock=connected)

    async def _addresses(
        self, loop: asyncio.AbstractEventLoop, upstream: Upstream
    ) -> Sequence[aiohappyeyeballs.AddrInfoType]:
        """Resolving takes a thread, so what was found serves all sessions of the next seconds."""
        now = loop.time()
        until, addresses = self._resolved.get(upstream, (0.0, ()))
        if now >= until:
            try:
                addresses = await loop.getaddrinfo(
                    upstream.host, upstream.port, type=socket.SOCK_STREAM
                )
            except UnicodeError as failure:
                raise OSError(f"{upstream.host!r} cannot be looked up: {failure}") from failure
            self._resolved[upstream] = (now + _RESOLVED_FOR, addresses)
        return addresses

    async def _invite(
        self, upstream: Upstream, transport: ClientTransport, conversation: Conversation
    ) -> str:
        dialogue = Dialogue(_STARTTLS[upstream.protocol], delivers=upstream.protocol == "lmtp")
        while not dialogue.is_ready:
            if answer := dialogue.feed(await conversation.received()):
                transport.write(answer)
        if not conversation.is_empty():
            raise PeerError("octets in clear behind its go-ahead for TLS")
        return dialogue.greeting

    async def _start_tls(self, upstream: Upstream, transport: ClientTransport) -> None:
        context = self.context()
        of_context, session = self._sessions.get(upstream, (context, None))
        await transport.start_tls(
            context, upstream.certificate_name, session if of_context is context else None
        )

    def _require_another(self, transport: ClientTransport) -> None:
        """Raise `PeerError` if a port of this server answers: then the addresses of both ends are
        equal, or loopback's."""
        far = peer_of(transport)
        listening = self.own_ports.get(far.port)
        if listening is None or not ("" in listening or far.address in listening):
            return
        if far.address == far.local_address or is_loopback(far.address):
            raise PeerError("this is a port of our own: the session would come back to us")

    def remember(self, connection: UpstreamConnection) -> None:
        """Keep what a later connection can resume; to be called once the login is done, when the
        ticket of TLS 1.3 has arrived."""
        if (kept := connection.transport.session) is not None:
            self._sessions[connection.upstream] = kept


def told(failure: Exception) -> str:
    """Why a connection was not had, for log and status."""
    if isinstance(failure, TimeoutError):
        return "does not answer in time"
    if isinstance(failure, ConnectionRefusedError):
        return "connection refused"
    if isinstance(failure, OSError):
        return failure.strerror or str(failure) or type(failure).__name__
    return str(failure)
