"""The ticket keys that all front ends of a site have, and which of them counts when.

Takes keys by period, and a clock (seconds since 1970); gives the key to seal with and the one that
a ticket names, as `tls.session_tickets.KeyRing`. Time is divided into periods as long as a key
seals, counted from 1970, the same for all whose clocks and `local.ssl.ticketlifetime` agree.

- The key of a period seals in it, and opens in the one before and the one after it. It is made a
  whole period ahead, so every front end has it when the first one seals with it, and clocks may
  differ by what a period is long.
- A key that was made in its own period, because there was none, seals only `DISTRIBUTION` seconds
  later, when all others have had the time to fetch it.
- What is asked for follows from the clock alone, never from what the store says: an entry of an
  earlier period that is put back is not looked at, and does not open under another name.
- The store may lose a key and get another one for the same period. Then the new one seals, and the
  old one still opens.

No input or output.
"""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Callable

from mailfront.sharing.sealed_key import SharedKey
from mailfront.tls.session_tickets import TicketKey

DISTRIBUTION = 5.0
MOST_KEYS_OF_A_PERIOD = 4


class TicketRing:
    """The keys of the period before, this one and the next. May be used by several threads.

    `lifetime` gives the seconds that a period is long.
    """

    def __init__(
        self, lifetime: Callable[[], float], clock: Callable[[], float] = time.time
    ) -> None:
        self._lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        # The one in the store first.
        self._keys: dict[int, tuple[SharedKey, ...]] = {}
        self._known_for = lifetime()

    def period(self) -> int:
        """The number of the present period."""
        return int(self._clock() // self._lifetime())

    def window(self) -> tuple[int, int, int]:
        """The periods whose keys are of use now."""
        period = self.period()
        return period - 1, period, period + 1

    def seconds_of_use(self, period: int) -> float:
        """How long from now on the key of `period` may be asked for."""
        return max((period + 2) * self._lifetime() - self._clock(), 0.0)

    def known(self, period: int) -> SharedKey | None:
        """The key of `period` that was last in the store."""
        with self._lock:
            self._forget()
            keys = self._keys.get(period)
            return keys[0] if keys else None

    def take(self, period: int, shared: SharedKey) -> None:
        """Take over what the store has for `period`."""
        with self._lock:
            keys = self._keys.get(period, ())
            if keys and keys[0].key.name == shared.key.name:
                return
            others = [each for each in keys if each.key.name != shared.key.name]
            same = [each for each in keys if each.key.name == shared.key.name]
            first = same[0] if same else shared
            self._keys[period] = (first, *others)[:MOST_KEYS_OF_A_PERIOD]
            self._forget()

    def sealing_key(self) -> TicketKey | None:
        """Part of `KeyRing`."""
        with self._lock:
            self._forget()
            now = self._clock()
            period = self.period()
            for shared in self._keys.get(period, ()):
                if self._is_distributed(period, shared, now):
                    return shared.key
            return None

    def opening_key(self, name: bytes) -> TicketKey | None:
        """Part of `KeyRing`."""
        with self._lock:
            self._forget()
            for keys in self._keys.values():
                for shared in keys:
                    if hmac.compare_digest(shared.key.name, name):
                        return shared.key
            return None

    def _is_distributed(self, period: int, shared: SharedKey, now: float) -> bool:
        # A clock that was far ahead must not keep its key from sealing for ever.
        end = (period + 1) * self._lifetime()
        return now >= shared.made + DISTRIBUTION or shared.made > end

    def _forget(self) -> None:
        """Drop what is of no use any more: other periods, or periods of another length."""
        if self._lifetime() != self._known_for:
            self._keys, self._known_for = {}, self._lifetime()
        window = self.window()
        if any(period not in window for period in self._keys):
            self._keys = {period: keys for period, keys in self._keys.items() if period in window}
