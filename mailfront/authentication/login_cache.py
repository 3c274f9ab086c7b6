"""Logins that succeeded lately, so that clients that log in again and again cost no argon2.

The original's `service.authcachesize` and `service.authcachettl`. Neither names nor passwords are
kept: the key is a keyed BLAKE2b of both under a random key of this process. A hit counts only while
the entry's password values, status and revision are those that were checked: where the directory
keeps the passwords to itself, its revision tells that one may have changed.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

from mailfront.directory.entry import AccountStatus, Entry
from mailfront.interfaces.secret import Secret

CAPACITY = 10_000
LIFETIME = 900.0
"""Seconds."""

_Checked = tuple[float, tuple[str, ...], AccountStatus, str]


class LoginCache:
    """At most `capacity` successes, each for `lifetime` seconds; the oldest make room."""

    def __init__(
        self,
        *,
        capacity: int = CAPACITY,
        lifetime: float = LIFETIME,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._capacity = capacity
        self._lifetime = lifetime
        self._clock = clock
        self._secret = secrets.token_bytes(32)
        self._successes: OrderedDict[bytes, _Checked] = OrderedDict()

    def key(self, user: str, password: Secret) -> bytes:
        """Return the key of one pair; it tells neither of the two."""
        name = user.encode(errors="surrogatepass")
        text = password.reveal().encode(errors="surrogatepass")
        octets = len(name).to_bytes(4) + name + text
        return hashlib.blake2b(octets, key=self._secret, digest_size=32).digest()

    def holds(self, key: bytes, entry: Entry) -> bool:
        """Return whether the pair was checked and nothing has changed since."""
        checked = self._successes.get(key)
        if checked is None:
            return False
        until, *state = checked
        if state == [entry.password_values, entry.status, entry.revision] and self._clock() < until:
            return True
        del self._successes[key]
        return False

    def store(self, key: bytes, entry: Entry) -> None:
        """Remember that the pair was checked against `entry` as it is."""
        if self._capacity < 1:
            return
        until = self._clock() + self._lifetime
        self._successes[key] = (until, entry.password_values, entry.status, entry.revision)
        self._successes.move_to_end(key)
        if len(self._successes) > self._capacity:
            self._successes.popitem(last=False)
