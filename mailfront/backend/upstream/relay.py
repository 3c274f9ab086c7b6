"""Octets between a client and its upstream, both ways, until either side ends.

The hot path of a front end: no parsing, no task, no copy that OpenSSL does not need. Each side's
pauses reach the other, so a slow reader costs no memory. All that is known of the conversation is
what was said last: where the upstream spoke last and ended a line, a farewell in the protocol's
words cannot stand in the middle of something; after LOGOUT or `* BYE` none is needed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from mailfront.configuration.upstream_list import Upstream
from mailfront.interfaces.backend import KICKED, LOGOUT
from mailfront.tls.client_transport import ClientTransport

# What either side may have in our memory before the other is not read any more.
HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024
CLIENT_CLOSED = "peer closed"
UPSTREAM_CLOSED = "upstream closed"
# Longer than any LOGOUT or BYE, shorter than what is worth copying.
_SHORT = 256


@dataclass(frozen=True, slots=True)
class Farewells:
    """What a client is told, in its protocol, when its session ends from our side.

    `leave` is the command with which a client ends its session, `bye` what an upstream says that
    ends it by itself (empty where the protocol has no such word).
    """

    leave: bytes
    bye: bytes
    upstream_gone: bytes
    idle: bytes
    stopping: bytes
    kicked: bytes


class Losses(Protocol):
    """Knows how many sessions an upstream that dies takes with it."""

    def lost(self, upstream: Upstream, now: float) -> float:
        """In how many seconds the client of one of them is to be told."""
        ...


class Relay(asyncio.Protocol):
    """The client's side, and the owner of the other. Await `ended` for the reason.

    `idle_timeout` is in seconds without an octet from the client or the upstream. `losses` decides
    when the client hears that its upstream is gone; without it, at once.
    """

    __slots__ = (
        "_client", "_farewells", "_idle_timeout", "_last_activity", "_last_answer", "_last_command",
        "_loop", "_losses", "_quiet", "_timer", "_upstream", "ended",
    )  # fmt: skip

    def __init__(
        self,
        client: asyncio.Transport,
        upstream: ClientTransport,
        farewells: Farewells,
        idle_timeout: float,
        losses: tuple[Losses, Upstream] | None = None,
    ) -> None:
        loop = self._loop = asyncio.get_running_loop()
        self._client: asyncio.Transport | None = client
        self._upstream: ClientTransport | None = upstream
        self._farewells = farewells
        self._idle_timeout = idle_timeout
        self._last_activity = loop.time()
        self._quiet = True
        self._last_command = self._last_answer = b""
        self._losses = losses
        self._timer: asyncio.TimerHandle | None = loop.call_later(idle_timeout, self._look_at_clock)
        self.ended: asyncio.Future[str] = loop.create_future()

    def start(self, answer: bytes, leftover: bytes) -> None:
        """Begin: `answer` goes to the client, `leftover` (of the client's) to the upstream."""
        client, upstream = self._client, self._upstream
        assert client is not None
        assert upstream is not None
        client.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        upstream.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)
        upstream.set_protocol(_UpstreamSide(self))
        client.set_protocol(self)
        # First, so that a pause which the octets below ask for stays.
        upstream.resume_reading()
        client.resume_reading()
        client.write(answer)
        if leftover:
            self.data_received(leftover)
        if client.is_closing():
            self._end(CLIENT_CLOSED)

    # From the client.

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        if self._upstream is not None:
            self._quiet = False
            self._last_command = data if len(data) < _SHORT else b""
            self._last_activity = self._loop.time()
            self._upstream.write(data)

    def eof_received(self) -> bool:
        """Part of `asyncio.Protocol`: answers to what was sent still come, if TLS lets them."""
        if self._upstream is None:
            return False
        self._upstream.write_eof()
        return not self._upstream.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`; after LOGOUT it does not matter who closes first."""
        self._client = None
        self._end(LOGOUT if self._is_leaving() else CLIENT_CLOSED)

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`: the client reads slower than the upstream sends."""
        if self._upstream is not None:
            self._upstream.pause_reading()

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        if self._upstream is not None:
            self._upstream.resume_reading()

    def stop(self, *, kicked: bool = False) -> None:
        """The server stops; or an administrator ends this session."""
        if kicked:
            self._farewell(self._farewells.kicked, KICKED)
        else:
            self._farewell(self._farewells.stopping, "server stopping")

    # From the upstream.

    def from_upstream(self, data: bytes) -> None:
        """Octets of the upstream; a view of them is enough."""
        client = self._client
        if client is not None:
            self._quiet = data[-1] == 0x0A
            self._last_answer = bytes(data) if len(data) < _SHORT else b""
            self._last_activity = self._loop.time()
            client.write(data)

    def upstream_lost(self) -> None:
        """The upstream closed, or is gone."""
        self._upstream = None
        if self.ended.done():
            return
        farewells = self._farewells
        if self._is_leaving():
            self._end(LOGOUT)
        elif farewells.bye and farewells.bye in self._last_answer.upper():
            self._end(UPSTREAM_CLOSED)
        elif self._losses is None:
            self._tell_loss()
        else:
            balance, upstream = self._losses
            self._tell_loss_in(balance.lost(upstream, self._loop.time()))

    def pause_client(self) -> None:
        """The upstream reads slower than the client sends."""
        if self._client is not None:
            self._client.pause_reading()

    def resume_client(self) -> None:
        """It reads again."""
        if self._client is not None:
            self._client.resume_reading()

    # The end.

    def _tell_loss_in(self, seconds: float) -> None:
        if not seconds:
            self._tell_loss()
            return
        # Nobody takes what the client says meanwhile.
        self.pause_client()
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._tell_loss)

    def _tell_loss(self) -> None:
        self._farewell(self._farewells.upstream_gone, UPSTREAM_CLOSED)

    def _look_at_clock(self) -> None:
        due = self._last_activity + self._idle_timeout
        if self._loop.time() < due:
            self._timer = self._loop.call_at(due, self._look_at_clock)
        else:
            self._timer = None
            self._farewell(self._farewells.idle, "idle time-out")

    def _is_leaving(self) -> bool:
        return self._farewells.leave in self._last_command.upper()

    def _farewell(self, text: bytes, reason: str) -> None:
        if self._client is not None and self._quiet:
            self._client.write(text)
        self._end(reason)

    def _end(self, reason: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        self._client = None
        if not self.ended.done():
            self.ended.set_result(reason)


class _UpstreamSide(asyncio.Protocol):
    """What the upstream's transport calls."""

    __slots__ = ("_relay",)

    def __init__(self, relay: Relay) -> None:
        self._relay: Relay | None = relay

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`; `data` may be a view that ends with the call."""
        if self._relay is not None:
            self._relay.from_upstream(data)

    def eof_received(self) -> bool:
        """Part of `asyncio.Protocol`: nothing more will come, so the session is over."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.upstream_lost()

    def pause_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        if self._relay is not None:
            self._relay.pause_client()

    def resume_writing(self) -> None:
        """Part of `asyncio.Protocol`."""
        if self._relay is not None:
            self._relay.resume_client()
