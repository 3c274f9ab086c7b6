"""LDAP servers in memory: what `directory.ldap.connection.connect` gives, without sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from mailfront.directory.ldap.connection import ConnectionFailedError, LdapConnection
from mailfront.directory.ldap.server import LdapServer
from mailfront.keystore.ber import Element, parse
from mailfront.protocol.ldap_messages import element

_BIND, _SEARCH, _EXTENDED = 0x60, 0x63, 0x77


def response(message_id: int, operation: bytes) -> bytes:
    return element(0x30, element(0x02, message_id.to_bytes(4)) + operation)


def result(message_id: int, tag: int, code: int, words: str = "") -> bytes:
    content = element(0x0A, bytes([code])) + element(4, b"") + element(4, words.encode())
    return response(message_id, element(tag, content))


def found(message_id: int, name: str, attributes: Mapping[str, Sequence[str | bytes]]) -> bytes:
    encoded = b"".join(
        element(
            0x30,
            element(4, each.encode())
            + element(
                0x31,
                b"".join(
                    element(4, value if isinstance(value, bytes) else value.encode())
                    for value in values
                ),
            ),
        )
        for each, values in attributes.items()
    )
    return response(message_id, element(0x64, element(4, name.encode()) + element(0x30, encoded)))


class MemoryTransport(asyncio.Transport):
    """Hands what a client writes to its server."""

    def __init__(self, server: MemoryServer, client: LdapConnection) -> None:
        super().__init__()
        self.server = server
        self.client = client
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.server.take(self, bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


class MemoryServer:
    """One server. Its answers to searches are all of `entries`, as many as are wanted.

    `refusal` is why connections fail, `silent` keeps it from answering, `code` is its answer to
    searches; `requests` are the operations it got.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Mapping[str, Sequence[str | bytes]]] = {}
        self.passwords: dict[str, str] = {"": ""}
        self.refusal = ""
        self.silent = False
        self.code = 0
        self.requests: list[Element] = []
        self.transports: list[MemoryTransport] = []

    @property
    def searches(self) -> int:
        return sum(request.tag == _SEARCH for request in self.requests)

    @property
    def open_connections(self) -> int:
        return sum(not transport.closed for transport in self.transports)

    def connect(self, server: LdapServer) -> LdapConnection:
        if self.refusal:
            raise ConnectionFailedError(self.refusal)
        client = LdapConnection(server)
        transport = MemoryTransport(self, client)
        self.transports.append(transport)
        client.connection_made(transport)
        return client

    def drop(self) -> None:
        """End all connections, as a server that is restarted does."""
        for transport in self.transports:
            transport.closed = True
            transport.client.connection_lost(None)
        self.transports.clear()

    def take(self, transport: MemoryTransport, data: bytes) -> None:
        message = parse(data)
        request = message.children[1]
        self.requests.append(request)
        if not self.silent:
            answer = self.answer(message.children[0].number(), request)
            asyncio.get_running_loop().call_soon(transport.client.data_received, answer)

    def answer(self, message_id: int, request: Element) -> bytes:
        if request.tag == _BIND:
            name, password = (request.children[index].octets.decode() for index in (1, 2))
            right = self.passwords.get(name) == password
            return result(message_id, 0x61, 0 if right else 49)
        if request.tag == _SEARCH:
            limit = request.children[3].number()
            entries = list(self.entries.items())[:limit]
            sent = b"".join(found(message_id, name, values) for name, values in entries)
            return sent + result(message_id, 0x65, self.code)
        if request.tag == _EXTENDED:
            return result(message_id, 0x78, 53, "no TLS here")
        return b""


class MemoryNetwork:
    """Servers by host name; its `connect` stands in for the real one."""

    def __init__(self, *hosts: str) -> None:
        self.servers = {host: MemoryServer() for host in hosts}

    async def connect(self, server: LdapServer, context: ssl.SSLContext) -> LdapConnection:
        await asyncio.sleep(0)
        return self.servers[server.host].connect(server)
