"""The throttle of a site with several front ends: scores in the shared store beside our own.

Takes each attempt and its outcome as `authentication.throttle`; what this process counts is added
to the store as well, and an attempt is judged by the higher of both scores. The store decays scores
by its own clock. While it does not answer, what this process knows decides alone.

What the store holds are digests under the site's secret, and numbers; they expire when the score is
next to nothing. Judging takes one question with a time-out, the same for every name, and counting
waits for nobody: it is sent in the background, in order. So many attempts at the same moment are
bounded by each front end's own count, and across front ends by how long the store takes to answer.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from mailfront.authentication.throttle import (
    ADDRESS_LIMIT,
    HALF_LIFE,
    NOTHING_ELSEWHERE,
    USER_LIMIT,
    Attempt,
    Charge,
    Names,
    Scores,
    Throttle,
)
from mailfront.errors import SharedStoreUnavailableError
from mailfront.interfaces.tasks import start_task

PAIR_SECONDS = 30 * 86400
"""For so long after a login the pair of address and user is known."""

NEGLIGIBLE_SCORE = 0.05
MOST_CHARGES_WAITING = 4096
_CHARGES_AT_ONCE = 64

_DECAYED = """
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local half_life = tonumber(ARGV[1])
local function score_of(name)
  local found = redis.call('HMGET', name, 'score', 'since')
  local score, since = tonumber(found[1] or ''), tonumber(found[2] or '')
  if not score or not since then return nil end
  return score * 2 ^ (math.min(since - now, 0) / half_life)
end
"""

READ = (
    _DECAYED
    + """
local answer = {}
for place, name in ipairs(KEYS) do
  local score = score_of(name)
  answer[place] = score and string.format('%.6f', score) or ''
end
return answer
"""
)
"""The score under each name, as text; empty where there is none. Takes the half-life."""

ADD = (
    _DECAYED
    + """
local ceiling, negligible, least = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local score = (score_of(KEYS[1]) or 0) + tonumber(ARGV[2])
score = math.min(math.max(score, 0), ceiling)
local seconds = least
if score > negligible then
  seconds = math.max(least, math.ceil(half_life * math.log(score / negligible) / math.log(2)))
end
if seconds < 1 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'score', string.format('%.6f', score),
             'since', string.format('%.6f', now))
  redis.call('EXPIRE', KEYS[1], seconds)
end
return 1
"""
)
"""Adds to a score. Takes half-life, amount, ceiling, the score that is next to nothing, and for how
many seconds the name stays known even so."""


class ScoreStore(Protocol):
    """What is needed of the shared store."""

    def name(self, *parts: str) -> str:
        """Return the name of an entry of this site."""
        ...

    async def run(
        self, script: str, names: Sequence[str], arguments: Sequence[str]
    ) -> list[bytes | None]:
        """Run a Lua script. Raises `SharedStoreUnavailableError`."""
        ...

    async def run_each(self, script: str, calls: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Run it once for each name. Raises `SharedStoreUnavailableError`."""
        ...


class SharedThrottle:
    """Implements `LoginThrottle` over `store`. `secret` is the site's, for the digests of names."""

    def __init__(
        self,
        store: ScoreStore,
        secret: bytes,
        *,
        clock: Callable[[], float] = time.monotonic,
        half_life: float = HALF_LIFE,
        user_limit: float = USER_LIMIT,
        address_limit: float = ADDRESS_LIMIT,
    ) -> None:
        self._local = Throttle(
            clock=clock,
            user_limit=user_limit,
            address_limit=address_limit,
            half_life=half_life,
            secret=secret,
            on_charge=self._note,
        )
        self._store = store
        self._half_life = repr(half_life)
        self._charges: deque[Charge] = deque(maxlen=MOST_CHARGES_WAITING)
        self._sending = False

    async def judge(self, address: str, user: str | None) -> Attempt:
        """Return what to do with an attempt, without counting it; see `LoginThrottle`."""
        names = self._local.names(address, user)
        elsewhere = await self._elsewhere(names)
        # Only now, so that what other attempts have counted meanwhile is in it.
        return self._local.verdict(names, elsewhere)

    async def begin(self, attempt: Attempt) -> None:
        """Count an attempt that is going to be checked; see `LoginThrottle`."""
        await self._local.begin(attempt)

    async def succeeded(self, attempt: Attempt) -> None:
        """Take back what `begin` counted, and know the pair from now on."""
        await self._local.succeeded(attempt)

    async def failed(self, attempt: Attempt) -> None:
        """Count the failure for the address too."""
        await self._local.failed(attempt)

    async def abandoned(self, attempt: Attempt) -> None:
        """Take back what `begin` counted."""
        await self._local.abandoned(attempt)

    async def recognise(self, attempt: Attempt) -> None:
        """Know the pair of address and user from now on."""
        await self._local.recognise(attempt)

    async def _elsewhere(self, names: Names) -> Scores:
        asked = [names.address, names.user, names.pair] if names.user else [names.address]
        try:
            answer = await self._store.run(
                READ, [self._entry(each) for each in asked], [self._half_life]
            )
            scores = [float(each) if each else None for each in answer]
        except (SharedStoreUnavailableError, ValueError):
            return NOTHING_ELSEWHERE
        if len(scores) != len(asked):
            return NOTHING_ELSEWHERE
        address, user, pair = (*scores, None, None)[:3]
        return Scores(address or 0.0, user or 0.0, pair)

    def _note(self, charge: Charge) -> None:
        """Queue what was counted here; the oldest are lost if the store cannot follow."""
        self._charges.append(charge)
        if not self._sending:
            self._sending = True
            start_task(self._send(), name="login scores")

    async def _send(self) -> None:
        try:
            while self._charges:
                count = min(len(self._charges), _CHARGES_AT_ONCE)
                charges = [self._charges.popleft() for _ in range(count)]
                await self._store.run_each(ADD, [self._call(charge) for charge in charges])
        except SharedStoreUnavailableError:
            # They count here all the same.
            self._charges.clear()
        finally:
            self._sending = False

    def _call(self, charge: Charge) -> tuple[str, Sequence[str]]:
        known_for = PAIR_SECONDS if charge.of_pair else 0
        arguments = (
            self._half_life,
            repr(charge.amount),
            repr(charge.ceiling),
            repr(NEGLIGIBLE_SCORE),
            str(known_for),
        )
        return self._entry(charge.name), arguments

    def _entry(self, name: bytes) -> str:
        return self._store.name("login-score", name.hex())
