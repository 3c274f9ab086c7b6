"""One user's session at an upstream: routed, connected, logged in, relayed.

What is the same for IMAP and POP3; the words of each protocol come as `Words`. The user's password
is replayed where it is known and no administrator is configured; else an administrator logs in on
the user's behalf, which is how logins without a password (certificates, tokens) get through.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mailfront.backend.upstream.balance import Balance
from mailfront.backend.upstream.connecting import Connector, UpstreamConnection
from mailfront.backend.upstream.relay import Farewells, Relay
from mailfront.errors import BackendError, PeerError, UpstreamLoginError
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.backend import AuthenticatedSession, Backend
from mailfront.interfaces.secret import Secret
from mailfront.protocol.proxy_header import build_header
from mailfront.protocol.upstream_login.login import (
    ClientFacts,
    LoggedIn,
    UpstreamCredentials,
    UpstreamLogin,
)

_log = logging.getLogger("mailfront.upstream")


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
        greeted: bool,
    ) -> UpstreamLogin:
        """The login at an upstream."""
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
    ) -> None:
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
            connection = await self._connector.connect(
                balance, lambda: build_header(session.peer, session.tls)
            )
            try:
                logged_in = await self._log_in(session, connection)
            except BaseException:
                connection.transport.abort()
                raise
            finally:
                # It is not needed any more, and the session may last for days.
                session.password = None
        except BackendError as failure:
            session.transport.write(self._words.unavailable(session))
            return str(failure)
        return await self._relay(session, balance, connection, logged_in)

    async def _log_in(
        self, session: AuthenticatedSession, connection: UpstreamConnection
    ) -> LoggedIn:
        try:
            credentials = self._credentials(session)
            client = ClientFacts(session.peer)
            login = self._words.login(session, credentials, client, greeted=connection.greeted)
            async with asyncio.timeout(self._connector.timeout):
                if login.first:
                    connection.transport.write(login.first)
                while True:
                    outcome = login.feed(await connection.conversation.received())
                    if isinstance(outcome, LoggedIn):
                        return outcome
                    if outcome:
                        connection.transport.write(outcome)
        except (PeerError, TimeoutError) as failure:
            temporary = getattr(failure, "temporary", True)
            _log.error(
                "upstream=%s user=%s login failed: %s",
                connection.upstream, session.identity.user, failure or "no answer in time",
            )  # fmt: skip
            raise BackendError("the upstream's login failed", temporary=temporary) from failure

    def _credentials(self, session: AuthenticatedSession) -> UpstreamCredentials:
        user = session.identity.user
        administrator = self._administrator()
        if administrator is not None:
            return UpstreamCredentials(administrator.login, administrator.password, user)
        if session.password is None:
            raise UpstreamLoginError(
                "a login without a password needs local.service.proxy.admin", temporary=False
            )
        return UpstreamCredentials(user, session.password)

    async def _relay(
        self,
        session: AuthenticatedSession,
        balance: Balance,
        connection: UpstreamConnection,
        logged_in: LoggedIn,
    ) -> str:
        relay = Relay(
            session.transport, connection.transport, self._words.farewells, session.idle_timeout
        )
        balance.began(connection.upstream)
        try:
            relay.start(logged_in.answer + logged_in.leftover, session.leftover)
            self._connector.remember(connection)
            return await relay.ended
        finally:
            balance.ended(connection.upstream)
