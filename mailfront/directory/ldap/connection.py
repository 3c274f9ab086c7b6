"""One connection to an LDAP server: many operations at a time, each with its own answer.

`connect` takes a server and a TLS context, returns a connection that is not bound yet. Operations
raise `ConnectionFailedError` once the connection has ended, and `TimeoutError` under their caller's
`asyncio.timeout`; an abandoned operation costs the server nothing more. Referrals are not followed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from mailfront.directory.ldap.server import LdapServer, LdapTls
from mailfront.errors import LdapProtocolError, MailfrontError
from mailfront.protocol.ldap_messages import (
    MAXIMUM_MESSAGE_ID,
    FoundEntry,
    Ignored,
    MessageReader,
    Response,
    Result,
    ResultCode,
    abandon_request,
    bind_request,
    search_request,
    starttls_request,
    unbind_request,
)

_UNSOLICITED = 0


class ConnectionFailedError(MailfrontError):
    """There is no connection to the server, or no longer; the text says why."""


@dataclass(slots=True)
class _Operation:
    """What is waited for: its end, and up to `room` entries before it."""

    end: asyncio.Future[Result]
    room: int = 0
    entries: list[FoundEntry] = field(default_factory=list)


class LdapConnection(asyncio.Protocol):
    """To be made by `connect`."""

    def __init__(self, server: LdapServer) -> None:
        self.server = server
        # An operation was not answered in time, and nothing has come since.
        self.doubted = False
        self._transport: asyncio.Transport | None = None
        self._reader = MessageReader()
        self._operations: dict[int, _Operation] = {}
        self._last_id = 0
        self._failure = ""

    @property
    def outstanding(self) -> int:
        """How many operations wait for their answer."""
        return len(self._operations)

    @property
    def is_open(self) -> bool:
        """Whether operations can still be sent."""
        return self._transport is not None and not self._transport.is_closing()

    # Part of `asyncio.Protocol`.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Part of `asyncio.Protocol`."""
        self.doubted = False
        try:
            for response in self._reader.feed(data):
                self._take(response)
        except LdapProtocolError as error:
            self._fail(str(error))

    def connection_lost(self, exc: Exception | None) -> None:
        """Part of `asyncio.Protocol`."""
        self._fail(_reason(exc) if exc is not None else "the server closed the connection")

    # Operations.

    async def bind(self, name: str, password: bytes) -> Result:
        """Bind with a name and password, or anonymously with neither; return the result."""
        if name and not password:
            # RFC 4513 section 5.1.2: this would be anonymous, and a success.
            raise ValueError("a bind with a name needs a password")
        message_id, operation = self._begin()
        return await self._finish(message_id, operation, bind_request(message_id, name, password))

    async def search(
        self,
        base: str,
        condition: bytes,
        attributes: Sequence[str],
        *,
        size_limit: int,
        time_limit: int,
        subtree: bool = True,
    ) -> tuple[list[FoundEntry], Result]:
        """Return at most `size_limit` entries, and the result."""
        message_id, operation = self._begin()
        operation.room = size_limit
        request = search_request(
            message_id, base, condition, attributes,
            size_limit=size_limit, time_limit=time_limit, subtree=subtree,
        )  # fmt: skip
        result = await self._finish(message_id, operation, request)
        return operation.entries, result

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Begin TLS (RFC 4511 section 4.14). Raises `ConnectionFailedError`."""
        message_id, operation = self._begin()
        result = await self._finish(message_id, operation, starttls_request(message_id))
        if result.code != ResultCode.SUCCESS:
            raise ConnectionFailedError(f"StartTLS is refused: {result}")
        if len(self._reader) or self._transport is None:
            # RFC 4511 section 4.14.1: nothing may come between the answer and the handshake.
            raise ConnectionFailedError("octets in clear behind the answer to StartTLS")
        transport = await asyncio.get_running_loop().start_tls(
            self._transport, self, context, server_hostname=self.server.host
        )
        if transport is None:
            raise ConnectionFailedError("the server closed the connection")
        self._transport = transport

    def close(self) -> None:
        """Say goodbye; what still waits for an answer fails."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(unbind_request(self._next_id()))
        self._fail("the connection was closed")

    def _next_id(self) -> int:
        self._last_id = self._last_id % MAXIMUM_MESSAGE_ID + 1
        return self._last_id

    def _begin(self) -> tuple[int, _Operation]:
        if not self.is_open:
            raise ConnectionFailedError(self._failure or "the connection is closing")
        message_id = self._next_id()
        operation = _Operation(asyncio.get_running_loop().create_future())
        self._operations[message_id] = operation
        return message_id, operation

    async def _finish(self, message_id: int, operation: _Operation, request: bytes) -> Result:
        assert self._transport is not None
        self._transport.write(request)
        try:
            return await operation.end
        except asyncio.CancelledError:
            if self.is_open:
                self._transport.write(abandon_request(self._next_id(), message_id))
            raise
        finally:
            self._operations.pop(message_id, None)

    def _take(self, response: Response) -> None:
        operation = self._operations.get(response.message_id)
        if isinstance(response, Result):
            if response.message_id == _UNSOLICITED:
                # The only one there is says that the server ends the connection (section 4.4.1).
                raise LdapProtocolError(f"the server ends the connection: {response.text}")
            if operation is not None and not operation.end.done():
                operation.end.set_result(response)
        elif operation is not None and isinstance(response, FoundEntry):
            if len(operation.entries) >= operation.room:
                raise LdapProtocolError("more entries than asked for")
            operation.entries.append(response)
        else:
            assert isinstance(response, Ignored | FoundEntry)

    def _fail(self, reason: str) -> None:
        self._failure = self._failure or reason
        if self._transport is not None:
            self._transport.abort() if self._operations else self._transport.close()
            self._transport = None
        for operation in self._operations.values():
            if not operation.end.done():
                operation.end.set_exception(ConnectionFailedError(reason))
        self._operations.clear()


async def connect(server: LdapServer, context: ssl.SSLContext) -> LdapConnection:
    """Return a connection, in TLS where the server asks for it. Raises `ConnectionFailedError`."""
    loop = asyncio.get_running_loop()
    implicit = server.tls is LdapTls.IMPLICIT
    connection: LdapConnection | None = None
    try:
        _, connection = await loop.create_connection(
            lambda: LdapConnection(server),
            server.host,
            server.port,
            ssl=context if implicit else None,
            server_hostname=server.host if implicit else None,
        )
        if server.tls is LdapTls.STARTTLS:
            await connection.start_tls(context)
    except ssl.SSLCertVerificationError as error:
        _abort(connection)
        raise ConnectionFailedError(
            f"its certificate is not accepted: {error.verify_message}"
        ) from error
    except socket.gaierror as error:
        raise ConnectionFailedError(f"its name has no address: {error.strerror}") from error
    except OSError as error:
        _abort(connection)
        raise ConnectionFailedError(_reason(error)) from error
    except BaseException:
        _abort(connection)
        raise
    return connection


def _abort(connection: LdapConnection | None) -> None:
    if connection is not None:
        connection.close()


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        words = (error.reason or "the server does not speak it").lower().replace("_", " ")
        return f"TLS failed: {words}"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
