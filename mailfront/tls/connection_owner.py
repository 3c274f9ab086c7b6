"""What the TLS transport asks of the listener."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Protocol

from mailfront.tls.context import ServerContext

if TYPE_CHECKING:
    from mailfront.tls.transport import TlsTransport


class ConnectionOwner(Protocol):
    """The listener's side of a connection: admits it, and supplies what it needs.

    `protocols` are the ALPN names that the service answers to; if there are none, all are served.
    """

    implicit_tls: bool
    handshake_timeout: float
    service: str
    busy_reply: bytes
    protocols: frozenset[bytes]

    def admit(self, transport: TlsTransport) -> bool:
        """Count the connection in, or refuse it (then `closed` is not called)."""
        ...

    def front(self, transport: TlsTransport) -> asyncio.Protocol:
        """The protocol front for an admitted connection."""
        ...

    def context(self) -> ServerContext:
        """What a handshake that begins now presents. Raises `KeystoreError` if nothing can be."""
        ...

    def context_for(self, name: str) -> ServerContext | None:
        """What a client that asks for the host `name` is presented, where it is something else."""
        ...

    def ask_for_certificate(self, tls: ssl.SSLObject) -> None:
        """Ask the client of a handshake that begins for its certificate, if the port does so.
        Raises `ssl.SSLError` if it must and cannot."""
        ...

    def queue_handshake(self, transport: TlsTransport) -> None:
        """A ClientHello is there: call the transport's `begin_handshake` now or later, or its
        `refuse_handshake`."""
        ...

    def handshake_signing(self, transport: TlsTransport, *, begun: bool) -> None:
        """The next word of a handshake is ours and takes its time, since a token signs; or, unless
        `begun`, that is over."""
        ...

    def handshake_over(self, transport: TlsTransport, *, resumed: bool) -> None:
        """What `queue_handshake` began is over: established (perhaps `resumed`), failed, or the
        connection lost. Called once for each."""
        ...

    def handshake_failed(self, transport: TlsTransport, reason: str) -> None:
        """Count a failed handshake, for a reason in the words of `tls.failure`."""
        ...

    def closed(self, transport: TlsTransport) -> None:
        """Count the connection out and write its record."""
        ...
