"""Connections to the LDAP servers: searches over a few that stay, a bind over one of its own.

Takes the settings and a maker of TLS contexts; returns entries and verdicts, or raises
`DirectoryUnavailableError` within the time-outs. Among the servers that are up the first is
asked. One that fails is probed in the background and asked again once a probe has succeeded;
while none is up every call fails at once.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from mailfront.directory.ldap.connection import ConnectionFailedError, LdapConnection, connect
from mailfront.directory.ldap.server import LdapServer, ServerStates
from mailfront.directory.ldap.settings import LdapSettings
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.secret import Secret
from mailfront.interfaces.tasks import start_task
from mailfront.protocol.ldap_messages import FoundEntry, Result, ResultCode

BUSY = 4
"""With so many searches under way on each connection one more is opened."""

ATTEMPTS = 3
"""On so many connections a search is tried that end before its answer."""

MAXIMUM_BINDS = 16
"""So many users' passwords are checked at a time; further ones wait."""

_log = logging.getLogger("mailfront.directory")

_WRONG = frozenset(
    (
        ResultCode.INVALID_CREDENTIALS, ResultCode.NO_SUCH_OBJECT, ResultCode.INVALID_DN_SYNTAX,
        ResultCode.INAPPROPRIATE_AUTHENTICATION, ResultCode.CONSTRAINT_VIOLATION,
        ResultCode.INSUFFICIENT_ACCESS, ResultCode.UNWILLING_TO_PERFORM,
    )
)  # fmt: skip
_FOUND = frozenset((ResultCode.SUCCESS, ResultCode.SIZE_LIMIT_EXCEEDED))


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """The entries that a search found; `truncated` if the server has more than it sent."""

    entries: tuple[FoundEntry, ...]
    truncated: bool = False


class LdapPool:
    """To be used inside one event loop; `close` when the server stops."""

    def __init__(self, settings: LdapSettings, tls_context: Callable[[], ssl.SSLContext]) -> None:
        self._settings = settings
        self._tls_context = tls_context
        self._states = ServerStates(settings.servers)
        self._connections: list[LdapConnection] = []
        self._opening: dict[LdapServer, asyncio.Task[str]] = {}
        self._probes: dict[LdapServer, asyncio.Task[None]] = {}
        self._binds = asyncio.Semaphore(MAXIMUM_BINDS)
        self._closed = False

    def problems(self) -> list[str]:
        """Return what is wrong with each server that is not in use."""
        return self._states.problems()

    def close(self) -> None:
        """End all connections."""
        self._closed = True
        for task in (*self._opening.values(), *self._probes.values()):
            task.cancel()
        for connection in self._connections:
            connection.close()

    async def search(
        self, base: str, condition: bytes, attributes: tuple[str, ...], *, limit: int
    ) -> SearchAnswer:
        """Return at most `limit` entries in the subtree of `base`; none if there is no base.

        Raises `DirectoryUnavailableError`.
        """
        timeout = self._settings.search_timeout
        connection: LdapConnection | None = None
        try:
            async with asyncio.timeout(timeout):
                for _ in range(ATTEMPTS):
                    connection = await self._connection()
                    try:
                        found, result = await connection.search(
                            base, condition, attributes,
                            size_limit=limit, time_limit=max(int(timeout), 1),
                        )  # fmt: skip
                    except ConnectionFailedError as error:
                        _log.info("server=%s search interrupted: %s", connection.server, error)
                        continue
                    return _judged(found, result)
        except TimeoutError:
            if connection is not None:
                self._suspect(connection)
            raise DirectoryUnavailableError(f"no answer within {timeout:g} seconds") from None
        raise DirectoryUnavailableError("connections to the directory end before they answer")

    async def is_password_of(self, name: str, password: Secret) -> bool:
        """Return whether a bind as `name` succeeds. Raises `DirectoryUnavailableError`."""
        try:
            octets = password.reveal().encode("utf-8")
        except UnicodeEncodeError:
            return False
        if not octets or not name:
            # RFC 4513 section 5.1.2: such a bind is anonymous, and a success.
            return False
        async with self._binds:
            for server in self._usable():
                try:
                    result = await self._bound_as(server, name, octets)
                except ConnectionFailedError as error:
                    self._failed(server, str(error))
                    continue
                if result.code == ResultCode.SUCCESS:
                    return True
                if result.code in _WRONG:
                    return False
                raise DirectoryUnavailableError(f"{server}: bind as a user: {result}")
            raise self._unavailable()

    async def _bound_as(self, server: LdapServer, name: str, password: bytes) -> Result:
        try:
            async with asyncio.timeout(self._settings.connect_timeout):
                connection = await connect(server, self._tls_context())
                try:
                    return await connection.bind(name, password)
                finally:
                    connection.close()
        except TimeoutError:
            raise ConnectionFailedError(self._too_slow()) from None

    async def _connection(self) -> LdapConnection:
        """Return a connection to the best server that is up."""
        while True:
            usable = self._usable()
            if not usable:
                raise self._unavailable()
            server = usable[0]
            self._forget_ended()
            ours = [
                each for each in self._connections if each.server == server and not each.doubted
            ]
            if ours:
                best = min(ours, key=_outstanding)
                if best.outstanding >= BUSY and len(ours) < self._settings.pool_size:
                    self._open(server)
                return best
            # It is marked as failed if this fails: then the next one is tried.
            await asyncio.shield(self._open(server))

    def _forget_ended(self) -> None:
        for connection in self._connections:
            # What is between may have lost the connection, without either end having been told.
            if connection.doubted and not connection.outstanding:
                connection.close()
        self._connections = [each for each in self._connections if each.is_open]

    def _usable(self) -> list[LdapServer]:
        return [] if self._closed else self._states.usable()

    def _unavailable(self) -> DirectoryUnavailableError:
        return DirectoryUnavailableError("; ".join(self.problems()) or "the server is stopping")

    def _open(self, server: LdapServer) -> asyncio.Task[str]:
        """Open one more connection, of several callers at once only one."""
        task = self._opening.get(server)
        if task is None:
            task = self._opening[server] = start_task(
                self._try(server), name="directory connection"
            )
        return task

    async def _try(self, server: LdapServer) -> str:
        """Try to open a connection and note what came of it; return why it failed."""
        try:
            connection = await self._bound(server)
        except ConnectionFailedError as error:
            self._failed(server, str(error))
            return str(error)
        finally:
            self._opening.pop(server, None)
        if self._states.answered(server):
            _log.warning("directory server %s answers again", server)
        self._connections.append(connection)
        return ""

    async def _bound(self, server: LdapServer) -> LdapConnection:
        settings = self._settings
        connection: LdapConnection | None = None
        try:
            async with asyncio.timeout(settings.connect_timeout):
                connection = await connect(server, self._tls_context())
                # Anonymously too: only the answer shows that the server is there.
                password = settings.bind_password.reveal().encode("utf-8")
                result = await connection.bind(settings.bind_name, password)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, TimeoutError):
                raise ConnectionFailedError(self._too_slow()) from None
            raise
        if result.code != ResultCode.SUCCESS:
            connection.close()
            who = settings.bind_name or "anonymous"
            raise ConnectionFailedError(f"bind as {who} is refused: {result}")
        return connection

    def _too_slow(self) -> str:
        return f"no answer within {self._settings.connect_timeout:g} seconds"

    def _failed(self, server: LdapServer, reason: str) -> None:
        if self._closed:
            return
        if self._states.failed(server, reason):
            _log.warning("directory server %s is not used: %s", server, reason)
            for connection in self._connections:
                if connection.server == server:
                    connection.close()
        if server not in self._probes:
            self._probes[server] = start_task(self._probe(server), name="directory probe")

    async def _probe(self, server: LdapServer) -> None:
        """Try a server that failed again and again, until it answers."""
        try:
            while True:
                await asyncio.sleep(self._states.pause(server))
                if not await asyncio.shield(self._open(server)):
                    return
        finally:
            del self._probes[server]

    def _suspect(self, connection: LdapConnection) -> None:
        """A search was not answered in time: see whether the server still answers at all."""
        connection.doubted = True
        if not self._closed:
            self._open(connection.server)


def _outstanding(connection: LdapConnection) -> int:
    return connection.outstanding


def _judged(found: list[FoundEntry], result: Result) -> SearchAnswer:
    if result.code in _FOUND:
        return SearchAnswer(tuple(found), result.code == ResultCode.SIZE_LIMIT_EXCEEDED)
    if result.code == ResultCode.NO_SUCH_OBJECT:
        return SearchAnswer(())
    raise DirectoryUnavailableError(f"search: {result}")
