"""Slowing down those who guess passwords: the original's "bad guys", per address and per user.

Takes each attempt before it is checked and its outcome after; gives a delay for the answer of a
failure, or says to refuse without checking. No input or output: the clock is a parameter.

- A failure adds 1 to the score of the address (IPv6: its /64) and of the user. Scores halve every
  `HALF_LIFE` seconds. From `USER_LIMIT` or `ADDRESS_LIMIT` on attempts are refused, until decay has
  brought the score below: about one attempt in 20 s per user is left to a patient guesser, and no
  score exceeds twice its limit, so nobody waits longer than one half-life.
- An attempt counts as a failure until it has succeeded, so many at once gain nothing. A success
  takes back its own point only: who owns an account cannot wash an address clean with it.
- Where a user has logged in from an address before, that pair has a score of its own and neither
  the address's nor the user's touches it. So guessers elsewhere cannot lock users out, nor can
  others behind the same NAT; and guessing for that user from that address is limited all the same.
- Names are kept as keyed digests (people type passwords as names), tables are bounded, and the
  entry that was untouched longest makes room.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

CAPACITY = 10_000
HALF_LIFE = 300.0
USER_LIMIT = 20.0
ADDRESS_LIMIT = 60.0
PARALLEL_LIMIT = 256
FIRST_DELAY = 0.5
MAXIMUM_DELAY = 8.0
_DIGEST_OCTETS = 16


class ScoreTable:
    """Scores that decay, for at most `capacity` keys; none exceeds `ceiling`."""

    def __init__(self, capacity: int, half_life: float, ceiling: float) -> None:
        self._capacity = capacity
        self._half_life = half_life
        self.ceiling = ceiling
        self._scores: OrderedDict[bytes, tuple[float, float]] = OrderedDict()

    def __contains__(self, key: bytes) -> bool:
        return key in self._scores

    def __len__(self) -> int:
        return len(self._scores)

    def score(self, key: bytes, now: float) -> float:
        """Return the score at the time `now`; 0 for an unknown key."""
        score, since = self._scores.get(key, (0.0, now))
        return float(score * 2.0 ** ((since - now) / self._half_life))

    def add(self, key: bytes, amount: float, now: float) -> None:
        """Add `amount` (also 0, which makes the key known) to the score."""
        score = min(max(self.score(key, now) + amount, 0.0), self.ceiling)
        self._scores[key] = (score, now)
        self._scores.move_to_end(key)
        if len(self._scores) > self._capacity:
            self._scores.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Names:
    """The digests under which an attempt is counted; without a user only the address's."""

    address: bytes
    user: bytes = b""
    pair: bytes = b""


@dataclass(frozen=True, slots=True)
class Scores:
    """What others have counted for the names of an attempt; `pair` None: nobody knows it."""

    address: float = 0.0
    user: float = 0.0
    pair: float | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """That `amount` was added to the score under `name`, which does not exceed `ceiling`."""

    name: bytes
    amount: float
    ceiling: float
    of_pair: bool = False


NOTHING_ELSEWHERE = Scores()


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt under way. `refused`: do not check it. `delay`: seconds to wait before the
    answer, should it fail."""

    refused: bool
    delay: float
    address: bytes
    user: bytes
    pair: bytes
    familiar: bool


class LoginThrottle(Protocol):
    """What the authenticator asks; an implementation may keep the scores in another process.

    `judge` and the `begin` that follows it at once must not let others in between, as far as that
    can be had: many attempts at a time would all find the score that the first one found.
    """

    async def judge(self, address: str, user: str | None) -> Attempt:
        """Return what to do with an attempt, without counting it. Without a `user` only the
        address has a score."""
        ...

    async def begin(self, attempt: Attempt) -> None:
        """Count an attempt that is going to be checked; `succeeded`, `failed` or
        `abandoned` must follow."""
        ...

    async def succeeded(self, attempt: Attempt) -> None:
        """Take back what `begin` counted, and know the pair from now on."""
        ...

    async def failed(self, attempt: Attempt) -> None:
        """Count the failure for the address too."""
        ...

    async def abandoned(self, attempt: Attempt) -> None:
        """Take back what `begin` counted: whether the password is right could not be told."""
        ...

    async def recognise(self, attempt: Attempt) -> None:
        """Know the pair of address and user from now on."""
        ...


class Throttle:
    """Scores of addresses, users and known pairs of both, in the memory of this process.

    No method ever suspends. `secret` is for the digests of names; `on_charge` is told of everything
    that is counted.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = CAPACITY,
        user_limit: float = USER_LIMIT,
        address_limit: float = ADDRESS_LIMIT,
        half_life: float = HALF_LIFE,
        secret: bytes | None = None,
        on_charge: Callable[[Charge], None] | None = None,
    ) -> None:
        self._clock = clock
        self._user_limit = user_limit
        self._address_limit = address_limit
        self._secret = secret or secrets.token_bytes(16)
        self._on_charge = on_charge
        self._addresses = ScoreTable(capacity, half_life, 2 * address_limit)
        self._users = ScoreTable(capacity, half_life, 2 * user_limit)
        self._pairs = ScoreTable(capacity, half_life, 2 * user_limit)
        self._running: dict[bytes, int] = {}

    async def judge(self, address: str, user: str | None) -> Attempt:
        """Return what to do with an attempt, without counting it. Without a `user` only the
        address has a score, and no account is ever locked by it."""
        return self.verdict(self.names(address, user), NOTHING_ELSEWHERE)

    def names(self, address: str, user: str | None) -> Names:
        """Return the digests for an attempt."""
        address_key = self._digest("a", address_block(address))
        if user is None:
            return Names(address_key)
        user_key = self._digest("u", user)
        pair = self._keyed(address_key + user_key)
        return Names(address_key, user_key, pair)

    def verdict(self, names: Names, elsewhere: Scores) -> Attempt:
        """Return what to do with an attempt, where others have counted what is `elsewhere`. What
        was counted here may be part of that, so of two scores the higher one counts."""
        now = self._clock()
        of_address = max(self._addresses.score(names.address, now), elsewhere.address)
        if not names.user:
            return self._attempt(names, of_address, refused=of_address >= self._address_limit)
        familiar = names.pair in self._pairs or elsewhere.pair is not None
        if familiar:
            score = max(self._pairs.score(names.pair, now), elsewhere.pair or 0.0)
            refused = score >= self._user_limit
        else:
            of_user = max(self._users.score(names.user, now), elsewhere.user)
            refused = of_address >= self._address_limit or of_user >= self._user_limit
            score = max(of_address, of_user)
        return self._attempt(names, score, refused=refused, familiar=familiar)

    async def begin(self, attempt: Attempt) -> None:
        """Count an attempt that is going to be checked; `succeeded`, `failed` or
        `abandoned` must follow."""
        self._charge(attempt, 1.0)
        self._running[attempt.address] = self._running.get(attempt.address, 0) + 1

    async def succeeded(self, attempt: Attempt) -> None:
        """Take back what `begin` counted, and know the pair from now on."""
        self._end(attempt)
        self._charge(attempt, -1.0)
        await self.recognise(attempt)

    async def failed(self, attempt: Attempt) -> None:
        """Count the failure for the address too."""
        self._end(attempt)
        self._add(self._addresses, attempt.address, 1.0)

    async def abandoned(self, attempt: Attempt) -> None:
        """Take back what `begin` counted: whether the password is right could not be told."""
        self._end(attempt)
        self._charge(attempt, -1.0)

    async def recognise(self, attempt: Attempt) -> None:
        """Know the pair of address and user from now on."""
        if attempt.pair:
            self._add(self._pairs, attempt.pair, 0.0)

    def _attempt(
        self, names: Names, score: float, *, refused: bool, familiar: bool = False
    ) -> Attempt:
        refused = refused or self._running.get(names.address, 0) >= PARALLEL_LIMIT
        delay = min(FIRST_DELAY * (2.0**score - 1), MAXIMUM_DELAY)
        return Attempt(refused, delay, names.address, names.user, names.pair, familiar)

    def _charge(self, attempt: Attempt, amount: float) -> None:
        if attempt.familiar:
            self._add(self._pairs, attempt.pair, amount)
        elif attempt.user:
            self._add(self._users, attempt.user, amount)

    def _add(self, table: ScoreTable, name: bytes, amount: float) -> None:
        table.add(name, amount, self._clock())
        if self._on_charge is not None:
            self._on_charge(Charge(name, amount, table.ceiling, of_pair=table is self._pairs))

    def _end(self, attempt: Attempt) -> None:
        left = self._running[attempt.address] - 1
        if left:
            self._running[attempt.address] = left
        else:
            del self._running[attempt.address]

    def _digest(self, kind: str, name: str) -> bytes:
        return self._keyed((kind + name).encode(errors="surrogatepass"))

    def _keyed(self, octets: bytes) -> bytes:
        """BLAKE2b (RFC 7693) with its key: a third of the time of HMAC."""
        return hashlib.blake2b(octets, key=self._secret, digest_size=_DIGEST_OCTETS).digest()


def address_block(address: str) -> str:
    """Return what counts as one address: an IPv4 address (also as IPv4-mapped IPv6), or the /64
    of an IPv6 address; anything else (a Unix socket's) is itself."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
