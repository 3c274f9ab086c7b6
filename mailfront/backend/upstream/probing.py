"""Looking at upstreams without a user: is one that was down back, and what do they announce?

Takes the routes of each service; a probe is a connection as for a session (TLS and its certificate
included), the greeting and CAPABILITY or CAPA, and no login. One that is up is asked when it is new
and then seldom: logins show more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass

from mailfront.backend.upstream.balance import Balance
from mailfront.backend.upstream.connecting import Connector, UpstreamConnection, told
from mailfront.backend.upstream.learned import Learned
from mailfront.backend.upstream.routing import Routes
from mailfront.configuration.upstream_list import Upstream
from mailfront.errors import PeerError
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.tasks import start_task
from mailfront.protocol.proxy_header import build_header
from mailfront.protocol.starttls_client import Dialogue, StarttlsProtocol

_log = logging.getLogger("mailfront.upstream")

ASKED_AGAIN_AFTER = 900.0
MOST_AT_ONCE = 16
# Makes a PROXY header that announces a connection of our own.
_NOBODY = Peer("unknown", 0, "unknown", 0)


@dataclass(frozen=True, slots=True)
class _Words:
    """How a protocol's probe is spoken: capabilities are told with `divider` between them."""

    dialogue: StarttlsProtocol
    farewell: bytes
    divider: str


_WORDS = {
    "imap": _Words(StarttlsProtocol.IMAP, b"bye LOGOUT\r\n", " "),
    "pop": _Words(StarttlsProtocol.POP3, b"QUIT\r\n", "\r\n"),
}


class Probing:
    """`services` are routes and what is learned of them; one that is down is tried every
    `interval` seconds (0: only by logins)."""

    def __init__(
        self,
        services: list[tuple[Routes, Learned]],
        connector: Connector,
        interval: float,
    ) -> None:
        self._services = services
        self._connector = connector
        self._interval = interval
        self._tried_at: dict[Upstream, float] = {}
        self._running: set[Upstream] = set()

    def look(self) -> None:
        """Begin the probes that are due; to be called every second or so."""
        now = time.monotonic()
        failing: set[Upstream] = set()
        for routes, learned in self._services:
            for balance in routes.balances():
                for upstream in balance.failing():
                    failing.add(upstream)
                    last = self._tried_at.setdefault(upstream, now)
                    if self._interval and now - last >= self._interval:
                        self._begin(upstream, balance, learned)
            for balance in routes.configured():
                for upstream in balance.upstreams:
                    due = learned.is_due(upstream, now, ASKED_AGAIN_AFTER)
                    if due and upstream not in failing:
                        self._begin(upstream, balance, learned)
        for upstream in self._tried_at.keys() - failing:
            del self._tried_at[upstream]

    async def ask(self, upstream: Upstream) -> bytes:
        """Return what it announces. Raises `OSError` (a time-out is one) and `PeerError`."""
        words = _WORDS[upstream.protocol]
        connection = await self._connector.open(upstream, build_header(_NOBODY, None))
        try:
            async with asyncio.timeout(self._connector.timeout):
                capabilities = await _converse(connection, words.dialogue)
            connection.transport.write(words.farewell)
            return words.divider.join(capabilities).encode("ascii", "replace")
        finally:
            connection.transport.close()

    def _begin(self, upstream: Upstream, balance: Balance, learned: Learned) -> None:
        if upstream not in self._running and len(self._running) < MOST_AT_ONCE:
            self._running.add(upstream)
            start_task(self._probe(upstream, balance, learned), name="upstream probe")

    async def _probe(self, upstream: Upstream, balance: Balance, learned: Learned) -> None:
        learned.asked(upstream, time.monotonic())
        try:
            announced = await self.ask(upstream)
        except (OSError, PeerError) as failure:
            problem = told(failure)
            if balance.failed(upstream, problem, time.monotonic()):
                _log.error("upstream=%s protocol=%s %s", upstream, upstream.protocol, problem)
        else:
            learned.note(upstream, announced)
            if balance.answered(upstream):
                _log.info("upstream=%s protocol=%s answers again", upstream, upstream.protocol)
        finally:
            self._running.discard(upstream)
            if upstream in self._tried_at:
                self._tried_at[upstream] = time.monotonic()


async def _converse(connection: UpstreamConnection, protocol: StarttlsProtocol) -> tuple[str, ...]:
    dialogue = Dialogue(protocol, upgrade=False, greeted=connection.greeted)
    if dialogue.first:
        connection.transport.write(dialogue.first)
    while not dialogue.is_ready:
        if answer := dialogue.feed(await connection.conversation.received()):
            connection.transport.write(answer)
    return dialogue.capabilities
