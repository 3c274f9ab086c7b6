"""Sessions kept for the next message: for whom, how many, how long."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import cast

from mailfront.outgoing.connection_pool import MOST_IDLE, MOST_MESSAGES, ConnectionPool
from mailfront.outgoing.smtp_session import SmtpSession


@dataclass
class Line:
    """A connection: what was done to it."""

    is_usable: bool = True
    ends: list[str] = field(default_factory=list)

    def leave(self) -> None:
        self.ends.append("QUIT")

    def abort(self) -> None:
        self.ends.append("abort")


@dataclass
class Session:
    connection: Line = field(default_factory=Line)
    opened: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    messages: int = 1


def kept(pool: ConnectionPool, key: str, **more: object) -> Session:
    session = Session(**more)  # type: ignore[arg-type]
    pool.give(key, cast(SmtpSession, session))
    return session


async def test_a_session_serves_only_what_it_was_opened_for() -> None:
    pool = ConnectionPool()
    session = kept(pool, "a")
    assert pool.take("b") is None
    assert pool.take("a") is cast(SmtpSession, session)
    assert pool.take("a") is None


async def test_one_that_the_server_has_ended_is_not_taken() -> None:
    pool = ConnectionPool()
    session = kept(pool, "a")
    session.connection.is_usable = False
    assert pool.take("a") is None
    assert session.connection.ends == ["abort"]


async def test_idle_old_and_much_used_sessions_end() -> None:
    pool = ConnectionPool(idle_seconds=0.0)
    idle = kept(pool, "a")
    while not idle.connection.ends:
        await asyncio.sleep(0.001)
    assert pool.take("a") is None
    assert kept(pool, "a", messages=MOST_MESSAGES).connection.ends == ["QUIT"]
    assert kept(pool, "a", opened=-1e9).connection.ends == ["QUIT"]


async def test_their_number_is_bounded_and_a_stop_ends_them_all() -> None:
    pool = ConnectionPool()
    sessions = [kept(pool, str(each % 7)) for each in range(MOST_IDLE + 5)]
    assert sum(bool(each.connection.ends) for each in sessions) == 5
    pool.close()
    assert all(each.connection.ends == ["QUIT"] for each in sessions)
