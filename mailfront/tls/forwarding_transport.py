"""What a connection's transport is without TLS: a front on one side, the loop's transport on the
other, three reasons to read nothing, and the ways to close.

`tls.transport` builds on it; nothing here sees a record.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any

from mailfront.interfaces.peer import Peer
from mailfront.tls.channel_binding import channel_binding

# A peer that does not take our last bytes within this many seconds loses them.
LINGER_SECONDS = 20.0
# What a peer sends after our farewell is discarded for this long.
DISCARD_SECONDS = 2.0
# RFC 4291 section 2.5.5.2.
_MAPPED = "::ffff:"


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Both ends of a connection; unknown if the client was gone before it was accepted."""
    remote = transport.get_extra_info("peername") or ("unknown", 0)
    local = transport.get_extra_info("sockname") or ("unknown", 0)
    # Our own address is the same in thousands of connections.
    ours = sys.intern(_unmapped(local[0]))
    return Peer(_unmapped(remote[0]), remote[1], ours, local[1])


def _unmapped(address: str) -> str:
    """An IPv4 address that came through an IPv6 socket, as logs, filters and upstreams know it."""
    return address[len(_MAPPED) :] if address.startswith(_MAPPED) and "." in address else address


class ForwardingTransport(asyncio.Transport, asyncio.BufferedProtocol):
    """Forwards to `_front` and to `_raw`, each None outside its time.

    Nothing is read while the front has paused (`_paused`), while the peer takes nothing
    (`_choked`), or while a handshake waits for its turn (`_waiting`).
    """

    __slots__ = (
        "_choked", "_closing", "_discarding", "_front", "_loop", "_paused", "_raw", "_timer",
        "_waiting",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._raw: asyncio.Transport | None = None
        self._front: asyncio.Protocol | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting = False
        self._paused = False
        self._choked = False
        self._closing = False
        self._discarding = False

    # Toward the socket.

    def pause_writing(self) -> None:
        """Part of `asyncio.BufferedProtocol`: passed on to the front.

        A peer that does not take our answers is not read either: whatever it sends could only
        make more of them, those of TLS itself included, and our memory would hold them.
        """
        self._choked = True
        self._pass_on_reading()
        if self._front is not None:
            self._front.pause_writing()

    def resume_writing(self) -> None:
        """Part of `asyncio.BufferedProtocol`: passed on to the front."""
        self._choked = False
        self._pass_on_reading()
        if self._front is not None:
            self._front.resume_writing()

    # Toward the front.

    def abort(self) -> None:
        """Close at once; what is queued is lost."""
        self._closing = True
        if self._raw is not None:
            self._raw.abort()

    def is_closing(self) -> bool:
        """Whether the connection is closed or being closed."""
        return self._closing

    def pause_reading(self) -> None:
        """Deliver no more until `resume_reading`."""
        if not self._paused and not self._closing:
            self._paused = True
            self._pass_on_reading()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Send several pieces as one."""
        self.write(b"".join(list_of_data))

    def is_reading(self) -> bool:
        """Whether data is being delivered."""
        return not self._paused and not self._closing

    def can_write_eof(self) -> bool:
        """TLS has no usable half-close here."""
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection to another protocol; its `connection_made` is not called."""
        assert isinstance(protocol, asyncio.Protocol)
        self._front = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        """The protocol that receives the data."""
        assert self._front is not None
        return self._front

    @property
    def front_protocol(self) -> asyncio.Protocol | None:
        """The protocol that receives the data, or None before the front begins."""
        return self._front

    def get_write_buffer_size(self) -> int:
        """Octets not yet taken by the kernel."""
        return self._raw.get_write_buffer_size() if self._raw is not None else 0

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """As `set_write_buffer_limits` left them."""
        return self._raw.get_write_buffer_limits() if self._raw is not None else (0, 0)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """When `pause_writing` and `resume_writing` are called."""
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As asyncio's transports answer."""
        return self._raw.get_extra_info(name, default) if self._raw is not None else default

    def channel_binding(self, kind: str) -> bytes | None:
        """What ties a login to this connection (`tls.channel_binding`); None in clear."""
        tls = self.get_extra_info("ssl_object")
        return None if tls is None else channel_binding(tls, kind)

    # For the transport.

    def _pass_on_reading(self) -> None:
        raw = self._raw
        if raw is None or self._closing or raw.is_closing():
            return
        if self._paused or self._choked or self._waiting:
            raw.pause_reading()
        else:
            raw.resume_reading()

    def _discard_input(self, raw: asyncio.Transport) -> None:
        if raw.is_closing():
            return
        self._discarding = True
        if self._paused or self._choked or self._waiting:
            raw.resume_reading()
        try:
            raw.write_eof()
        except OSError:
            # asyncio's own transport says so if the peer has gone already.
            raw.abort()
            return
        self._timer = self._loop.call_later(DISCARD_SECONDS, raw.abort)

    def _close_raw(self, raw: asyncio.Transport) -> None:
        raw.close()
        if raw.get_write_buffer_size():
            self._timer = self._loop.call_later(LINGER_SECONDS, raw.abort)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
