"""POP before SMTP: from which addresses users logged in to read mail a short while ago.

Implements `interfaces.recent_logins`. Takes logins, answers whether one still counts. An address is
known exactly, in IPv6 too: others of its network have logged in nowhere. What a login gives is no
more than the right to send as that user, for `seconds` since the last one.

Entries are keyed digests of address and sender, in memory alone and at most `capacity`; where front
ends share a store, there as well, for as long. While it is away each front end knows its own.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Sequence
from typing import Protocol

from mailfront.errors import SharedStoreUnavailableError
from mailfront.interfaces.tasks import start_task

CAPACITY = 20_000
MOST_SENDERS = 64
MOST_WAITING = 4096
_AT_ONCE = 64
_LONGEST_USER = 320

STORE = "redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2]) return 1"
"""Stores who logged in, for so many seconds since the last login."""


class LoginStore(Protocol):
    """What is needed of the shared store."""

    def name(self, *parts: str) -> str:
        """Return the name of an entry of this site."""
        ...

    async def get(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under each name. Raises `SharedStoreUnavailableError`."""
        ...

    async def run_each(self, script: str, calls: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Run a script once for each name. Raises `SharedStoreUnavailableError`."""
        ...


class LoginTable:
    """Implements `RecentLogins`. `never` are addresses that stand for many clients (of trusted
    proxies); `secret` is the site's where there is a `store`."""

    def __init__(
        self,
        seconds: int,
        *,
        never: Container[str] = (),
        store: LoginStore | None = None,
        secret: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
        capacity: int = CAPACITY,
    ) -> None:
        self._seconds = seconds
        self._never = never
        self._store = store
        self._secret = (secret or secrets.token_bytes(32))[:64]
        self._clock = clock
        self._capacity = capacity
        self._logins: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._waiting: deque[tuple[bytes, str]] = deque(maxlen=MOST_WAITING)
        self._sending = False

    def __len__(self) -> int:
        return len(self._logins)

    def note(self, address: str, user: str, addresses: frozenset[str]) -> None:
        """Part of `RecentLogins`."""
        place = self._place(address)
        if not place:
            return
        until = self._clock() + self._seconds
        for sender in ("", *sorted(addresses)[:MOST_SENDERS]):
            name = self._name(place, sender)
            self._logins[name] = (until, user)
            self._logins.move_to_end(name)
            self._waiting.append((name, user))
        while len(self._logins) > self._capacity:
            self._logins.popitem(last=False)
        if self._store is None:
            self._waiting.clear()
        elif not self._sending:
            self._sending = True
            start_task(self._send(self._store), name="recent logins")

    async def knows(self, address: str) -> bool:
        """Part of `RecentLogins`."""
        return await self.user_of(address, "") is not None

    async def user_of(self, address: str, sender: str) -> str | None:
        """Part of `RecentLogins`."""
        place = self._place(address)
        if not place:
            return None
        name = self._name(place, sender)
        until, user = self._logins.get(name, (0.0, ""))
        if user and until > self._clock():
            return user
        self._logins.pop(name, None)
        return await self._stored(self._store, name) if self._store is not None else None

    async def _stored(self, store: LoginStore, name: bytes) -> str | None:
        try:
            [found] = await store.get([self._entry(store, name)])
            return found.decode()[:_LONGEST_USER] if found else None
        except (SharedStoreUnavailableError, ValueError):
            return None

    async def _send(self, store: LoginStore) -> None:
        try:
            while self._waiting:
                count = min(len(self._waiting), _AT_ONCE)
                logins = [self._waiting.popleft() for _ in range(count)]
                await store.run_each(
                    STORE,
                    [
                        (self._entry(store, name), (user, str(self._seconds)))
                        for name, user in logins
                    ],
                )
        except SharedStoreUnavailableError:
            # They count here all the same.
            self._waiting.clear()
        finally:
            self._sending = False

    def _place(self, address: str) -> str:
        """The address in one spelling; empty if it says nothing about who is there."""
        try:
            place = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return ""
        if isinstance(place, ipaddress.IPv6Address) and place.ipv4_mapped is not None:
            place = place.ipv4_mapped
        return "" if str(place) in self._never else str(place)

    def _name(self, place: str, sender: str) -> bytes:
        text = f"{place} {sender}".encode()
        return hashlib.blake2b(text, digest_size=16, key=self._secret).digest()

    def _entry(self, store: LoginStore, name: bytes) -> str:
        return store.name("recent-login", name.hex())
