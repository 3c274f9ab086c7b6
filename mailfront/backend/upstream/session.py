"""One user's session at an upstream: routed, connected, logged in, relayed.

What is the same for IMAP and POP3; the words of each protocol come as `Words`. The user's password
is replayed where it is known and no administrator is configured; else an administrator logs in on
the user's behalf, which is how logins without a password (certificates, tokens) get through.
An access token is passed on where the upstream's URL says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mailfront.backend.upstream.balance import Balance
from mailfront.backend.upstream.connecting import Connector, UpstreamConnection, told
from mailfront.backend.upstream.learned import Learned
from mailfront.backend.upstream.relay import Farewells, Relay
from mailfront.configuration.upstream_list import Upstream
from mailfront.errors import BackendError, PeerGoneError, UpstreamLoginError
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.backend import AuthenticatedSession, Backend
from mailfront.interfaces.secret import Secret
from mailfront.protocol.proxy_header import build_header
from mailfront.protocol.upstream_login.login import (
    FIRST_TIME_TO_LIVE,
    ClientFacts,
    LoggedIn,
    UpstreamCredentials,
    UpstreamLogin,
)

_log = logging.getLogger("mailfront.upstream")

LOOP = "handed on by too many front ends: they hand the session round in a circle"


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who may log in at the upstreams on behalf of users."""

    login: str
    password: Secret


class Words(Protocol):
    """What a protocol says."""

    @property
    def farewells(self) -> Farewells:
        """What a client is told when its session ends from our side."""
        ...

    def login(
        self,
        session: AuthenticatedSession,
        credentials: UpstreamCredentials,
        client: ClientFacts,
        *,
        greeting: str | None,
    ) -> UpstreamLogin:
        """The login at an upstream; its greeting, if that was read already."""
        ...

    def unavailable(self, session: AuthenticatedSession) -> bytes:
        """The answer to a login when the mailbox cannot be reached at present."""
        ...


Route = Callable[[Identity], Balance | None]


class UpstreamBackend:
    """A `Backend` for users whose mailbox is at an upstream; those for whom `route` gives None are
    served by `embedded`."""

    def __init__(
        self,
        words: Words,
        route: Route,
        embedded: Backend,
        connector: Connector,
        administrator: Callable[[], Administrator | None],
        learned: Learned,
    ) -> None:
        self._learned = learned
        self._words = words
        self._route = route
        self._embedded = embedded
        self._connector = connector
        self._administrator = administrator

    async def serve(self, session: AuthenticatedSession) -> str:
        """Part of `Backend`."""
        try:
            balance = self._route(session.identity)
            if balance is None:
                return await self._embedded.serve(session)
            # What the client sends before the relay begins waits in the kernel.
            session.transport.pause_reading()
            try:
                handed_over = await self._hand_over(session, balance)
            finally:
                # They are not needed any more, and the session may last for days.
                session.password = session.token = None
        except BackendError as failure:
            session.transport.write(self._words.unavailable(session))
            return str(failure)
        relay = self._begin_relay(session, balance, *handed_over)
        # Nor is the answer to the login, and what was said before it.
        upstream = handed_over[0].upstream
        del handed_over
        try:
            return await relay.ended
        finally:
            balance.ended(upstream)

    async def _hand_over(
        self, session: AuthenticatedSession, balance: Balance
    ) -> tuple[UpstreamConnection, LoggedIn]:
        """One that takes the connection and then says nothing at all is as good as down: then a
        second one is tried. What one that has greeted does not answer is this login alone, which
        may be the mailbox's fault: no user may take a server from the others."""
        client = ClientFacts(session.peer, _time_to_live(session), session.session_id)
        silent: list[Upstream] = []
        while True:
            connection = await self._connector.connect(
                balance, lambda: build_header(session.peer, session.tls), silent
            )
            upstream = connection.upstream
            try:
                return connection, await self._log_in(session, connection, client)
            except BaseException as failure:
                connection.transport.abort()
                if not isinstance(failure, PeerGoneError | TimeoutError):
                    raise
                problem = f"login: {told(failure)}"
                self._tell(session, upstream, problem)
                if not connection.has_spoken:
                    balance.failed(upstream, problem, time.monotonic())
                if connection.has_spoken or silent:
                    raise BackendError("the upstream's login failed", temporary=True) from failure
                silent.append(upstream)

    async def _log_in(
        self, session: AuthenticatedSession, connection: UpstreamConnection, client: ClientFacts
    ) -> LoggedIn:
        upstream = connection.upstream
        try:
            credentials = self._credentials(session, upstream)
            login = self._words.login(session, credentials, client, greeting=connection.greeting)
            async with asyncio.timeout(self._connector.timeout):
                if login.first:
                    connection.transport.write(login.first)
                while True:
                    received = await connection.conversation.received()
                    connection.has_spoken = True
                    outcome = login.feed(received)
                    if isinstance(outcome, LoggedIn):
                        self._learned.note(upstream, outcome.capabilities)
                        return outcome
                    if outcome:
                        connection.transport.write(outcome)
        except UpstreamLoginError as failure:
            self._tell(session, upstream, f"login failed: {failure}")
            raise BackendError(
                "the upstream's login failed", temporary=failure.temporary
            ) from failure

    def _tell(self, session: AuthenticatedSession, upstream: Upstream, problem: str) -> None:
        _log.error("upstream=%s user=%s %s", upstream, session.identity.user, problem)

    def _credentials(
        self, session: AuthenticatedSession, upstream: Upstream
    ) -> UpstreamCredentials:
        user = session.identity.user
        if session.token is not None and upstream.token_mechanism:
            return UpstreamCredentials(
                user, session.token, token_mechanism=upstream.token_mechanism
            )
        administrator = self._administrator()
        if administrator is not None:
            return UpstreamCredentials(administrator.login, administrator.password, user)
        if session.password is None:
            raise UpstreamLoginError(
                "a login without a password needs local.service.proxy.admin", temporary=False
            )
        return UpstreamCredentials(user, session.password)

    def _begin_relay(
        self,
        session: AuthenticatedSession,
        balance: Balance,
        connection: UpstreamConnection,
        logged_in: LoggedIn,
    ) -> Relay:
        relay = Relay(
            session.transport, connection.transport, self._words.farewells, session.idle_timeout,
            (balance, connection.upstream),
        )  # fmt: skip
        balance.began(connection.upstream)
        try:
            relay.start(logged_in.answer + logged_in.leftover, session.leftover)
            self._connector.remember(connection)
        except BaseException:
            balance.ended(connection.upstream)
            raise
        return relay


def _time_to_live(session: AuthenticatedSession) -> int:
    """To how many further front ends the session may be handed on behind the next one. Raises
    `BackendError` for a session that was handed on too often (Dovecot's TTL)."""
    left = session.time_to_live
    if left is None:
        return FIRST_TIME_TO_LIVE
    if left <= 1:
        _log.error(
            "user=%s peer=%s session=%s %s; look at mailHost, upstream_map and upstreams of all",
            session.identity.user, session.peer, session.session_id, LOOP,
        )  # fmt: skip
        raise BackendError(LOOP, temporary=True)
    return min(left - 1, FIRST_TIME_TO_LIVE)
