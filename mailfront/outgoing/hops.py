"""The next hops that mail waits for, in memory: which may be tried now, which rest, and how busy.

A next hop is a channel with a destination (a domain, or the channel's daemon). One that is down
rests for all of its messages together; then one attempt shows whether it is up again. Only next
hops that something waits for are here, some hundred octets each, however many their messages.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class Hop:
    """A next hop: the messages on their way to it and how many may be, how often it was down in a
    row, and until when (a Unix time) it rests. `generation` is another one whenever it goes down or
    comes up: what a job of an earlier one says is no news."""

    name: str
    # One, until the first route tells the channel's number.
    most_jobs: int = 1
    under_way: set[str] = field(default_factory=set)
    failures: int = 0
    generation: int = 0
    rests_until: float = 0.0
    is_ready: bool = False
    # When it is made ready by itself; 0 for no such time.
    wakes_at: float = 0.0

    @property
    def may_begin(self) -> bool:
        """Whether one more job may begin. While it is down one at a time shows enough."""
        return len(self.under_way) < (1 if self.failures else self.most_jobs)


class Hops:
    """Next hops by name; those that are ready take turns."""

    def __init__(self) -> None:
        self._hops: dict[str, Hop] = {}
        self._ready: deque[Hop] = deque()
        self._later: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._hops)

    def __getitem__(self, name: str) -> Hop:
        return self._hops.setdefault(name, Hop(name))

    def __contains__(self, name: str) -> bool:
        return name in self._hops

    @property
    def resting(self) -> list[Hop]:
        """Those that were down at the last attempt."""
        return [hop for hop in self._hops.values() if hop.failures]

    def make_ready(self, name: str, now: float) -> None:
        """Something waits for this next hop: it gets its turn, once it has rested."""
        hop = self[name]
        if hop.rests_until > now:
            self.wake_at(name, hop.rests_until)
        elif not hop.is_ready:
            hop.is_ready = True
            self._ready.append(hop)

    def wake_at(self, name: str, moment: float) -> None:
        """Make it ready at that time."""
        hop = self[name]
        moment = max(moment, hop.rests_until)
        if not hop.wakes_at or moment < hop.wakes_at:
            hop.wakes_at = moment
            heapq.heappush(self._later, (moment, name))

    def wake(self, now: float) -> None:
        """Make those ready whose time has come."""
        while self._later and self._later[0][0] <= now:
            moment, name = heapq.heappop(self._later)
            # Others are left over: an earlier time was set since.
            if (hop := self._hops.get(name)) is not None and hop.wakes_at == moment:
                hop.wakes_at = 0.0
                self.make_ready(name, now)

    def next_ready(self) -> Hop | None:
        """The next hop whose turn it is; it is not ready any more until somebody says so."""
        if not self._ready:
            return None
        hop = self._ready.popleft()
        hop.is_ready = False
        return hop

    def went_down(self, name: str, until: float, generation: int) -> None:
        """The way there failed for a job that began in `generation`: nothing is tried before
        `until`. Jobs that began together fail together, at whatever times: that is one failure."""
        hop = self[name]
        if generation == hop.generation:
            hop.failures += 1
            hop.generation += 1
            hop.rests_until = until

    def came_up(self, name: str) -> None:
        """A server there has answered."""
        hop = self[name]
        if hop.failures:
            hop.generation += 1
        hop.failures, hop.rests_until = 0, 0.0

    def forget(self, hop: Hop) -> None:
        """Nothing waits for it any more."""
        if not hop.under_way and not hop.is_ready and not hop.wakes_at:
            self._hops.pop(hop.name, None)
