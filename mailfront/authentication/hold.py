"""The hold on a user's logins while their mailbox moves to another server.

Takes the entry of a user who has proved who they are. If it says that logins are to wait
(`mailFrontDelayUntil`), the directory is asked again until it says so no more, for a bounded time:
a short move is then no failure to anybody, and the login goes where the mailbox is by then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from mailfront.authentication.password_login import LATER
from mailfront.directory.directory import Directory
from mailfront.directory.entry import AccountStatus, Entry
from mailfront.interfaces.authenticator import Refusal

INTERVAL = 1.0
"""Seconds between two looks into the directory."""

HELD = Refusal(LATER, "held back", temporary=True)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class LoginHold:
    """Lets logins of held users wait for at most `seconds`."""

    def __init__(
        self,
        directory: Directory,
        seconds: float,
        *,
        now: Callable[[], datetime] = _utc_now,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._directory = directory
        self._seconds = seconds
        self._now = now
        self._clock = clock
        self._sleep = sleep

    def holds(self, entry: Entry) -> bool:
        """Whether logins of this user are to wait at present."""
        return entry.held_until is not None and self._now() < entry.held_until

    async def released(self, entry: Entry) -> Entry | Refusal:
        """Return the entry as it is once no hold is on it, or `HELD`.

        Raises `DirectoryUnavailableError`.
        """
        deadline = self._clock() + self._seconds
        while self.holds(entry):
            left = deadline - self._clock()
            if left <= 0:
                return HELD
            await self._sleep(min(INTERVAL, left))
            latest = await self._directory.entry_for_address(entry.user)
            if latest is None or latest.status is AccountStatus.DELETED:
                return HELD
            entry = latest
        return entry
