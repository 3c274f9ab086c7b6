"""The transport that a protocol front gets in `connection_made`: plain until it is upgraded.

The TLS layer implements it; the fronts, which may not import that layer's server side, name this.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from mailfront.interfaces.peer import Peer, TlsFacts


class ConnectionFacts(Protocol):
    """What a front notes on the record of its connection, for the line logged at the end."""

    user: str
    method: str
    session_id: str
    forwarded_for: str

    def end(self, reason: str) -> None:
        """Note why the connection ends, unless that is already known."""
        ...


class UpgradableTransport(Protocol):
    """An `asyncio.Transport` that becomes TLS in place.

    `tls_facts` is None until a handshake has finished (at once for implicit TLS: then
    `connection_made` comes after the handshake).
    """

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        ...

    @property
    def record(self) -> ConnectionFacts:
        """The record of this connection."""
        ...

    @property
    def tls_facts(self) -> TlsFacts | None:
        """What the handshake agreed on."""
        ...

    def channel_binding(self, kind: str) -> bytes | None:
        """What ties a login to this connection and no other: `tls-exporter` (RFC 9266) or
        `tls-server-end-point` (RFC 5929); None for another kind, or where there is none."""
        ...

    def start_tls(self, on_done: Callable[[TlsFacts], None]) -> None:
        """Upgrade to TLS with the service's context of this moment.

        Call it after the reply that invites the handshake was written: everything written before
        leaves in clear, every octet received afterwards is TLS. `on_done` is called with what was
        agreed, before the first decrypted octet arrives; a failed handshake ends in the protocol's
        `connection_lost`.
        """
        ...

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """As `asyncio.WriteTransport.write`."""
        ...

    def close(self) -> None:
        """As `asyncio.BaseTransport.close`: what was written still leaves."""
        ...

    def close_lingering(self) -> None:
        """Close, discarding for a moment what the peer still sends, so that our last reply is not
        destroyed by a reset."""
        ...

    def abort(self) -> None:
        """As `asyncio.WriteTransport.abort`."""
        ...

    def is_closing(self) -> bool:
        """As `asyncio.BaseTransport.is_closing`."""
        ...

    def pause_reading(self) -> None:
        """As `asyncio.ReadTransport.pause_reading`."""
        ...

    def resume_reading(self) -> None:
        """As `asyncio.ReadTransport.resume_reading`."""
        ...

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As `asyncio.BaseTransport.get_extra_info`."""
        ...

    def get_protocol(self) -> asyncio.BaseProtocol:
        """As `asyncio.BaseTransport.get_protocol`."""
        ...

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """As `asyncio.BaseTransport.set_protocol`."""
        ...
