"""When a TLS handshake may begin, so that a flood of them leaves everybody else served.

A handshake costs a thousand times what a command costs. So each network has a budget of full
handshakes per minute (a token bucket; a resumed one gives its token back), and there are bounds on
how many are under way, in total and per network. What may not begin at once waits, first come,
first served within a network and in rotation between networks; a few begin in each turn of the
event loop, and sessions have theirs in between. Networks that have none under way come first. When
all places are taken by clients that say nothing more, the oldest of them make room; for a network
that has no place, those of networks that have several do so sooner. Who waits for a signature of
ours keeps its place, and is given the whole time for its answer when it is signed; the queue for a
token is thus no longer than the places are many. Only where a token does not keep up, so that
others would wait in vain, do the oldest in that queue make room before it has taken them up.

Nothing here grows with the number of attackers: those who wait hold a connection each, and the
networks remembered without one are bounded.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from mailfront.listener.limits import network_of
from mailfront.tls.failure import TIME_OUT, TOO_MANY_HANDSHAKES

# A handshake takes half a millisecond to a few, by the key: this many delay a session by less than
# people notice.
PER_TURN = 4
# Who comes behind so many of the same network is refused: their time would be over before the turn.
WAITING_PER_NETWORK = 100
# Within so many seconds a client answers, however far away; then its place may go to one who waits.
PATIENCE = 2.0
# Most answer within so many; then a place may go to a network that has none.
HASTE = 0.5
# After a HelloRetryRequest the signature is made in the second step; a client that sends its part
# in pieces is not given more time for each.
SIGNING_STEPS = 2
REMEMBERED_NETWORKS = 10_000
_MINUTE = 60.0
_LEAST_WAIT = 0.02


class Handshake(Protocol):
    """What waits for its turn: one connection."""

    @property
    def at_token(self) -> bool:
        """Whether a token signs for it at this moment."""
        ...

    def begin_handshake(self) -> None:
        """It is its turn."""
        ...

    def refuse_handshake(self, reason: str) -> None:
        """It will have none, or has had it."""
        ...


class _Network:
    """The handshakes of one client network, and its tokens as of a moment."""

    __slots__ = ("at", "in_rotation", "key", "running", "timer", "tokens", "waiting")

    def __init__(self, key: str, tokens: float, at: float) -> None:
        self.key = key
        self.tokens = tokens
        self.at = at
        self.running = 0
        self.waiting: dict[Handshake, None] = {}
        self.in_rotation = False
        self.timer: asyncio.TimerHandle | None = None


class HandshakeTurns:
    """The turns of the whole process. A bound of 0 means none; made and used inside the loop."""

    def __init__(
        self,
        *,
        total: int,
        per_address: int,
        per_minute: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`total` and `per_address` bound the handshakes under way; `per_minute` is the budget of
        full ones per address. IPv6 clients count by their /64."""
        self._total = total
        self._per_address = per_address
        self._per_minute = per_minute
        self._clock = clock
        # Since when each waits, for its client or for our signature, the oldest first.
        self._running: dict[Handshake, float] = {}
        # Those of them that wait for our signature.
        self._signing: set[Handshake] = set()
        self._steps: dict[Handshake, int] = {}
        self._begun_this_turn = 0
        self._turn_ends = False
        self._room_timer: asyncio.TimerHandle | None = None
        self._places: dict[Handshake, _Network] = {}
        self._active: dict[str, _Network] = {}
        # Networks whose tokens are not all back, the least recently used first.
        self._resting: dict[str, _Network] = {}
        # Networks with nothing under way when they lined up, and the others.
        self._newcomers: deque[_Network] = deque()
        self._rotation: deque[_Network] = deque()

    @property
    def waiting(self) -> int:
        """How many handshakes have not begun."""
        return len(self._places) - len(self._running)

    @property
    def remembered(self) -> int:
        """How many networks are in memory."""
        return len(self._active) + len(self._resting)

    def enter(self, handshake: Handshake, address: str) -> None:
        """Let a handshake begin now or later, or refuse it. Balanced by `leave`, whatever comes."""
        network = self._network(network_of(address))
        if len(network.waiting) >= WAITING_PER_NETWORK:
            handshake.refuse_handshake(TOO_MANY_HANDSHAKES)
            return
        self._places[handshake] = network
        if not (network.waiting or self._lined_up) and self._has_room() and self._may(network):
            self._begin(network, handshake)
        else:
            network.waiting[handshake] = None
            self._line_up(network)

    def signing(self, handshake: Handshake, *, begun: bool) -> None:
        """A handshake under way now waits for a signature of ours, or, unless `begun`, for its
        client again."""
        if handshake not in self._running or (handshake in self._signing) is begun:
            return
        steps = self._steps[handshake] = self._steps.get(handshake, 0) + begun
        if steps > SIGNING_STEPS:
            return
        del self._running[handshake]
        self._running[handshake] = self._clock()
        if begun:
            self._signing.add(handshake)
        else:
            self._signing.remove(handshake)

    def leave(self, handshake: Handshake, *, resumed: bool) -> None:
        """A handshake is over, or will not happen. `resumed`: it cost no full one."""
        network = self._places.pop(handshake, None)
        if network is None:
            return
        if handshake in network.waiting:
            del network.waiting[handshake]
        else:
            network.running -= 1
            del self._running[handshake]
            self._signing.discard(handshake)
            self._steps.pop(handshake, None)
            if resumed:
                network.tokens += 1
            self._line_up(network)
            if self._lined_up:
                self._end_turn_soon()
        if not (network.running or network.waiting):
            self._rest(network)

    # Tokens.

    def _refill(self, network: _Network) -> None:
        now = self._clock()
        earned = (now - network.at) * self._per_minute / _MINUTE
        network.tokens = min(float(self._per_minute), network.tokens + earned)
        network.at = now

    def _may(self, network: _Network) -> bool:
        if self._per_address and network.running >= self._per_address:
            return False
        if not self._per_minute:
            return True
        self._refill(network)
        return network.tokens >= 1

    # Who is next.

    @property
    def _lined_up(self) -> int:
        return len(self._newcomers) + len(self._rotation)

    def _has_room(self) -> bool:
        return self._begun_this_turn < PER_TURN and not (
            self._total and len(self._running) >= self._total
        )

    def _begin(self, network: _Network, handshake: Handshake) -> None:
        network.running += 1
        network.tokens -= 1
        self._running[handshake] = self._clock()
        self._begun_this_turn += 1
        self._end_turn_soon()
        handshake.begin_handshake()

    def _line_up(self, network: _Network) -> None:
        """Put a network that has something waiting where it will be found again."""
        if not network.waiting or network.in_rotation or network.timer is not None:
            return
        if self._may(network):
            network.in_rotation = True
            (self._rotation if network.running else self._newcomers).append(network)
            self._end_turn_soon()
        elif not (self._per_address and network.running >= self._per_address):
            seconds = (1 - network.tokens) * _MINUTE / self._per_minute
            network.timer = asyncio.get_running_loop().call_later(
                seconds, self._token_earned, network
            )
        # Else the end of one of its handshakes lines it up again.

    def _token_earned(self, network: _Network) -> None:
        network.timer = None
        self._line_up(network)

    def _end_turn_soon(self) -> None:
        if not self._turn_ends:
            self._turn_ends = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._turn_ends = False
        self._begun_this_turn = 0
        self._make_room()
        while self._lined_up and self._has_room():
            network = (self._newcomers or self._rotation).popleft()
            network.in_rotation = False
            if network.waiting and self._may(network):
                handshake = next(iter(network.waiting))
                del network.waiting[handshake]
                self._begin(network, handshake)
            self._line_up(network)
        if self._lined_up and self._total and len(self._running) >= self._total:
            self._room_later()

    def _make_room(self) -> None:
        """Let go of the oldest handshakes if others need their places."""
        if not self._total:
            return
        enough = max(0, self._total - min(self._lined_up, PER_TURN))
        while len(self._running) > enough and (oldest := self._oldest()) is not None:
            self._let_go(oldest)
        enough = max(0, self._total - min(len(self._newcomers), PER_TURN))
        while len(self._running) > enough and (dispensable := self._dispensable()) is not None:
            self._let_go(dispensable)

    def _oldest(self) -> Handshake | None:
        """The oldest of which nothing more is to be hoped."""
        now = self._clock()
        for handshake, since in self._running.items():
            if now - since < PATIENCE:
                break
            if not handshake.at_token:
                return handshake
        return None

    def _dispensable(self) -> Handshake | None:
        """The oldest that was given time to answer and whose network has another one."""
        now = self._clock()
        for handshake, since in self._running.items():
            if now - since < HASTE:
                break
            if handshake not in self._signing and self._places[handshake].running > 1:
                return handshake
        return None

    def _let_go(self, handshake: Handshake) -> None:
        handshake.refuse_handshake(TIME_OUT)
        self.leave(handshake, resumed=False)

    def _room_later(self) -> None:
        since = next(iter(self._running.values()))
        wait = HASTE if self._newcomers else PATIENCE
        seconds = max(_LEAST_WAIT, since + wait - self._clock())
        loop = asyncio.get_running_loop()
        if self._room_timer is not None:
            if self._room_timer.when() <= loop.time() + seconds:
                return
            self._room_timer.cancel()
        self._room_timer = loop.call_later(seconds, self._room_now)

    def _room_now(self) -> None:
        self._room_timer = None
        self._end_turn_soon()

    # Memory.

    def _network(self, key: str) -> _Network:
        network = self._active.get(key)
        if network is None:
            network = self._resting.pop(key, None) or _Network(
                key, float(self._per_minute), self._clock()
            )
            self._active[key] = network
        return network

    def _rest(self, network: _Network) -> None:
        if network.timer is not None:
            network.timer.cancel()
            network.timer = None
        del self._active[network.key]
        if not self._per_minute:
            return
        self._refill(network)
        self._resting[network.key] = network
        while self._resting:
            oldest = next(iter(self._resting.values()))
            rested = network.at - oldest.at >= _MINUTE
            if not rested and len(self._resting) <= REMEMBERED_NETWORKS:
                break
            del self._resting[oldest.key]
