"""Which of several equal upstreams a session goes to, without input or output.

Least connections among those that work; one that failed is left alone for a time that doubles with
each further failure. When all have failed, the one whose time is over first says how long to wait.
Times are seconds on the caller's clock. When a server dies, its sessions are told over a few
seconds, so that the others are not stormed by all its clients at once.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mailfront.configuration.upstream_list import Upstream

FIRST_BACK_OFF = 1.0
LONGEST_BACK_OFF = 60.0
# So many sessions that are lost together are no storm.
TOLD_AT_ONCE = 10


@dataclass(slots=True)
class _State:
    """What is known of one upstream."""

    upstream: Upstream
    sessions: int = 0
    failures: int = 0
    back_at: float = 0.0
    problem: str = ""
    losses: int = 0
    lost_at: float = float("-inf")


class Balance:
    """The upstreams of one service, or of one mail host; `spread` is how many seconds their
    clients are told over when one of them dies."""

    def __init__(self, upstreams: Sequence[Upstream], spread: float = 0.0) -> None:
        assert upstreams
        self._spread = spread
        self._states = {upstream: _State(upstream) for upstream in upstreams}

    @property
    def upstreams(self) -> Collection[Upstream]:
        """All of them."""
        return self._states.keys()

    def candidates(self, now: float) -> list[Upstream]:
        """The upstreams to try, best first; those in their back-off time are left out."""
        able = [state for state in self._states.values() if state.back_at <= now]
        # Among equals by lot: identical front ends would otherwise all choose the same.
        random.shuffle(able)
        able.sort(key=lambda state: (state.failures > 0, state.sessions))
        return [state.upstream for state in able]

    def began(self, upstream: Upstream) -> None:
        """A session is under way on it; it works."""
        self._states[upstream].sessions += 1
        self.answered(upstream)

    def ended(self, upstream: Upstream) -> None:
        """That session is over."""
        self._states[upstream].sessions -= 1

    def answered(self, upstream: Upstream) -> bool:
        """It can be used; return whether that is news."""
        state = self._states[upstream]
        news = bool(state.problem)
        state.failures, state.back_at, state.problem = 0, 0.0, ""
        return news

    def lost(self, upstream: Upstream, now: float) -> float:
        """A session on it was cut; return in how many seconds its client is to be told."""
        state = self._states[upstream]
        if now - state.lost_at > self._spread:
            state.losses = 0
        state.losses += 1
        state.lost_at = now
        if state.losses <= TOLD_AT_ONCE:
            return 0.0
        return random.uniform(0.0, self._spread)  # noqa: S311

    def failing(self) -> list[Upstream]:
        """Those that failed last time."""
        return [state.upstream for state in self._states.values() if state.problem]

    def failed(self, upstream: Upstream, problem: str, now: float) -> bool:
        """It could not be reached; return whether that is news.

        Several sessions that fail at the same moment count once.
        """
        state = self._states[upstream]
        news = not state.problem
        if state.back_at <= now:
            state.failures += 1
            back_off = min(FIRST_BACK_OFF * 2 ** (state.failures - 1), LONGEST_BACK_OFF)
            state.back_at = now + back_off * random.uniform(0.8, 1.2)  # noqa: S311
        state.problem = problem
        return news

    def problems(self) -> list[str]:
        """What is wrong with those that failed last time."""
        return [
            f"upstream {state.upstream}: {state.problem}"
            for state in self._states.values()
            if state.problem
        ]

    def sessions(self) -> dict[str, int]:
        """How many sessions each has, by its name."""
        return {str(state.upstream): state.sessions for state in self._states.values()}
