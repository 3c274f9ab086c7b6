"""Sessions that are kept for the next message to the same server, for a few seconds.

A session serves only mail for which the very same was demanded of the server, by the same channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

from mailfront.outgoing.smtp_session import SmtpSession

# Limits of other servers are about a hundred messages; a few seconds hold no place of theirs.
MOST_MESSAGES = 50
IDLE_SECONDS = 5.0
OLDEST_SECONDS = 300.0
MOST_IDLE = 100


@dataclass(slots=True)
class _Idle:
    session: SmtpSession
    timer: asyncio.TimerHandle


@dataclass(slots=True)
class ConnectionPool:
    """Idle sessions by what they may be used for."""

    idle_seconds: float = IDLE_SECONDS
    _idle: dict[Hashable, list[_Idle]] = field(default_factory=dict)
    _count: int = 0

    def take(self, key: Hashable) -> SmtpSession | None:
        """Return a session that still waits for a command, or None."""
        while kept := self._idle.get(key):
            each = kept[-1]
            self._forget(key, each)
            if each.session.connection.is_usable:
                return each.session
            each.session.connection.abort()
        return None

    def give(self, key: Hashable, session: SmtpSession) -> None:
        """Keep a session whose transaction is over, or end it."""
        loop = asyncio.get_running_loop()
        is_old = loop.time() - session.opened > OLDEST_SECONDS
        if is_old or session.messages >= MOST_MESSAGES or self._count >= MOST_IDLE:
            session.connection.leave()
            return
        timer = loop.call_later(self.idle_seconds, self._expired, key, session)
        self._idle.setdefault(key, []).append(_Idle(session, timer))
        self._count += 1

    def close(self) -> None:
        """End all sessions that wait."""
        for key, kept in list(self._idle.items()):
            for each in list(kept):
                self._forget(key, each)
                each.session.connection.leave()

    def _expired(self, key: Hashable, session: SmtpSession) -> None:
        for each in list(self._idle.get(key, ())):
            if each.session is session:
                self._forget(key, each)
                session.connection.leave()

    def _forget(self, key: Hashable, each: _Idle) -> None:
        each.timer.cancel()
        kept = self._idle[key]
        kept.remove(each)
        self._count -= 1
        if not kept:
            del self._idle[key]
