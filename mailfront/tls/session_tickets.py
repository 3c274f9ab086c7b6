"""The keys that seal a service's session tickets (RFC 5077 section 4, RFC 8446 section 4.6.1).

Takes how long a key seals; gives the key to seal with, and the one that a ticket names. A key
seals for one lifetime, opens for another one, and is then forgotten: what was recorded cannot be
opened with it any more. The keys are of this process alone, and never on a disk; where a ring of
keys that several front ends share is given, its keys come first.
"""

from __future__ import annotations

import hmac
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

DEFAULT_LIFETIME_HOURS = 12
_SECONDS = 3600
_NAME_OCTETS = 16
_KEY_OCTETS = 32


@dataclass(frozen=True, slots=True, weakref_slot=True)
class TicketKey:
    """A key: its name, which is in every ticket it sealed, and its two secrets (HMAC-SHA256 and
    AES-256). `born` is a time of the clock that `TicketKeys` was given."""

    born: float
    name: bytes = field(default_factory=lambda: os.urandom(_NAME_OCTETS))
    authentication: bytes = field(default_factory=lambda: os.urandom(_KEY_OCTETS), repr=False)
    encryption: bytes = field(default_factory=lambda: os.urandom(_KEY_OCTETS), repr=False)


class KeyRing(Protocol):
    """Keys that come from elsewhere; asked by several threads."""

    def sealing_key(self) -> TicketKey | None:
        """The key for a new ticket, None while there is none."""
        ...

    def opening_key(self, name: bytes) -> TicketKey | None:
        """The key that a ticket names, None if it is not of this ring, or too old."""
        ...


class TicketKeys:
    """The key that seals, and the one before it. May be used by several threads. While `shared`
    has a key to seal with, none of this process's own is made."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lifetime = float(DEFAULT_LIFETIME_HOURS * _SECONDS)
        self._lock = threading.Lock()
        self._keys: tuple[TicketKey, ...] = ()
        self.shared: KeyRing | None = None

    @property
    def lifetime(self) -> float:
        """For how many seconds a key seals."""
        return self._lifetime

    def set_lifetime(self, hours: int) -> None:
        """Let keys seal for so long from now on, those in use included."""
        self._lifetime = float(hours * _SECONDS)
        self.forget_overdue()

    def forget_overdue(self) -> None:
        """Forget every key that neither seals nor opens any more."""
        with self._lock:
            now = self._clock()
            self._keys = tuple(key for key in self._keys if now - key.born < 2 * self._lifetime)

    def sealing_key(self) -> TicketKey:
        """The key for a new ticket; a new one when the last has served its time."""
        if self.shared is not None and (shared := self.shared.sealing_key()) is not None:
            return shared
        with self._lock:
            now = self._clock()
            if not self._keys or now - self._keys[0].born >= self._lifetime:
                self._keys = (TicketKey(now), *self._keys[:1])
            return self._keys[0]

    def in_use(self) -> tuple[TicketKey, ...]:
        """Our own keys that open tickets, the one that seals first."""
        self.sealing_key()
        self.forget_overdue()
        return self._keys

    def opening_key(self, name: bytes) -> TicketKey | None:
        """The key that a ticket names, unless it is too old or was never ours."""
        self.forget_overdue()
        for key in self._keys:
            if hmac.compare_digest(key.name, name):
                return key
        return self.shared.opening_key(name) if self.shared is not None else None

    def is_sealing(self, key: TicketKey) -> bool:
        """Whether `key` seals new tickets; a session opened by another one deserves a new one."""
        return self.sealing_key() is key
