"""The store that front ends share: questions with a time-out, and what happens while it is away.

Takes the settings and, for `rediss`, the TLS context for servers. A question is answered in time or
`SharedStoreUnavailableError` is raised. After a failure, or `MOST_LATE` answers in a row that came
too late, questions fail at once, while one task in the background tries to reach the store again,
at first at once, then at growing intervals: nobody waits for that. What is wrong is logged once,
and again when it is over.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from mailfront.errors import ConfigurationError, SharedStoreUnavailableError
from mailfront.interfaces.tasks import start_task
from mailfront.sharing.settings import SharingSettings

if TYPE_CHECKING:
    from redis.asyncio import Redis

CONNECT_TIMEOUT = 2.0
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
MOST_WAITING = 64
MOST_LATE = 3

_LONGEST_REASON = 200
_PROBE = "redis.call('SET', KEYS[1], '', 'EX', 10) return redis.call('GET', KEYS[1])"

Answer = TypeVar("Answer")
_log = logging.getLogger("mailfront.sharing")


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no answer; `late`: it was not there in time, and may only be slow."""

    reason: str
    late: bool


class SharedStore:
    """One Redis or Valkey server. `start` once the loop runs, `close` when the server stops.

    `problem` says why it is away, empty while it is not. Raises `ConfigurationError` if the
    client's package is not installed.
    """

    def __init__(self, settings: SharingSettings, trust: Callable[[], ssl.SSLContext]) -> None:
        try:
            from mailfront.sharing import redis_client
        except ImportError as failure:
            raise ConfigurationError(
                "local.sharedstore.url needs the Python package redis, which is not installed",
                remedy="pip install 'mailfront[redis]'",
            ) from failure
        self.problem = ""
        self._settings = settings
        self._library = redis_client
        self._trust = trust
        self._client: Redis | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting = 0
        self._late = 0
        self._pause = 0.0
        self._reached_at = 0.0

    def name(self, *parts: str) -> str:
        """Return the name of an entry of this site. What is in braces keeps the entries of a site
        on one node of a cluster."""
        return ":".join((f"{{mailfront-{self._settings.site.mark}}}", *parts))

    def start(self) -> None:
        """Begin to reach for the store, in the running event loop."""
        if self._connecting is None:
            self._connecting = start_task(self._connect(), name="shared store")

    async def close(self) -> None:
        """Let go of the connections."""
        if self._connecting is not None:
            self._connecting.cancel()
        client, self._client = self._client, None
        if client is not None:
            await self._let_go(client)

    async def examine(self) -> None:
        """Try the store once. Raises `SharedStoreUnavailableError`, which says what is wrong."""
        try:
            client = await self._reached()
        except (*self._library.FAILURES, TimeoutError) as failure:
            raise SharedStoreUnavailableError(_told(failure)) from failure
        await self._let_go(client)

    async def get(self, names: Sequence[str]) -> list[bytes | None]:
        """Return what is stored under each name. Raises `SharedStoreUnavailableError`."""

        async def question(client: Redis) -> list[bytes | None]:
            answer: list[bytes | None] = await client.mget(names)  # type: ignore[assignment]
            return answer

        return await self._ask(question)

    async def set_new(self, name: str, value: bytes, seconds: int) -> None:
        """Store `value` for so long, unless there is something already. Raises
        `SharedStoreUnavailableError`."""

        async def question(client: Redis) -> None:
            await client.set(name, value, ex=seconds, nx=True)

        await self._ask(question)

    async def run(
        self, script: str, names: Sequence[str], arguments: Sequence[str]
    ) -> list[bytes | None]:
        """Run a Lua script that returns a list. Raises `SharedStoreUnavailableError`."""

        async def question(client: Redis) -> list[bytes | None]:
            answer: list[bytes | None] = await client.eval(script, len(names), *names, *arguments)
            return answer

        return await self._ask(question)

    async def run_each(self, script: str, calls: Sequence[tuple[str, Sequence[str]]]) -> None:
        """Run a Lua script once for each name with its arguments, in one message. Raises
        `SharedStoreUnavailableError`."""

        async def question(client: Redis) -> None:
            pipeline = client.pipeline(transaction=False)
            for name, arguments in calls:
                pipeline.eval(script, 1, name, *arguments)
            await pipeline.execute()

        await self._ask(question)

    async def _ask(self, question: Callable[[Redis], Awaitable[Answer]]) -> Answer:
        client = self._client
        if client is None:
            raise SharedStoreUnavailableError(self.problem or "not connected yet")
        if self._waiting >= MOST_WAITING:
            raise SharedStoreUnavailableError("too many questions at once")
        self._waiting += 1
        try:
            # A task of its own, because a login does not always run in one.
            work = self._outcome(client, question)
            outcome = await start_task(work, name="shared store question")
        finally:
            self._waiting -= 1
        if isinstance(outcome, _Failure):
            self._late = self._late + 1 if outcome.late else MOST_LATE
            if self._late >= MOST_LATE:
                self._failed(client)
            raise SharedStoreUnavailableError(outcome.reason)
        self._late = 0
        return outcome

    async def _outcome(
        self, client: Redis, question: Callable[[Redis], Awaitable[Answer]]
    ) -> Answer | _Failure:
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await question(client)
        except (*self._library.FAILURES, TimeoutError) as failure:
            return _Failure(_told(failure), late=isinstance(failure, TimeoutError))

    def _failed(self, client: Redis) -> None:
        """Ask no more until the store has been reached again."""
        if client is self._client:
            self._client = None
            self._late = 0
            if time.monotonic() - self._reached_at > LONGEST_PAUSE:
                self._pause = 0.0
            start_task(self._let_go(client), name="shared store closing")
            self.start()

    async def _connect(self) -> None:
        while self._client is None:
            # Many front ends must not come back all at the same moment.
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - no secret
            self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
            try:
                self._client = await self._reached()
            except (*self._library.FAILURES, TimeoutError) as failure:
                self._report(_told(failure))
        self._reached_at = time.monotonic()
        if self.problem:
            _log.info("the shared store %s is back", self._settings.address)
        self.problem = ""
        self._connecting = None

    async def _reached(self) -> Redis:
        """Return a client whose connections are made, and that may write and run scripts."""
        client = self._library.make_client(self._settings, self._trust, CONNECT_TIMEOUT)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._probe(client)
        except BaseException:
            await self._let_go(client)
            raise
        return client

    async def _probe(self, client: Redis) -> None:
        name = self.name("probe")
        probes = (client.eval(_PROBE, 1, name) for _ in range(self._library.CONNECTIONS))
        for outcome in await asyncio.gather(*probes, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _let_go(self, client: Redis) -> None:
        with contextlib.suppress(*self._library.FAILURES):
            await client.aclose()

    def _report(self, problem: str) -> None:
        told = (
            f"the shared store {self._settings.address} is away ({problem}); "
            "this front end goes on by itself"
        )
        if not self.problem:
            _log.error(told)
        self.problem = told


def _told(failure: Exception) -> str:
    if isinstance(failure, TimeoutError) or not str(failure):
        return "no answer in time"
    return str(failure)[:_LONGEST_REASON].strip()
