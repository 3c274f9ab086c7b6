import asyncio
import ssl

import pytest

from mailfront.directory.ldap.connection import ConnectionFailedError, LdapConnection
from mailfront.directory.ldap.server import LdapServer, LdapTls
from mailfront.protocol.ldap_filter import EVERYTHING, to_text
from mailfront.protocol.ldap_filter_encoding import encode_filter
from tests.support.memory_ldap import MemoryServer, found, result

ONE = LdapServer("one", 389, LdapTls.STARTTLS)
ALL = encode_filter(to_text(EVERYTHING))


@pytest.fixture
def server() -> MemoryServer:
    server = MemoryServer()
    server.passwords["cn=a"] = "right"
    server.entries = {"uid=x": {"uid": ["x"]}, "uid=y": {"uid": ["y"]}}
    return server


async def names(connection: LdapConnection, limit: int = 10) -> list[str]:
    entries, _ = await connection.search("o=x", ALL, ("uid",), size_limit=limit, time_limit=10)
    return [entry.name for entry in entries]


async def test_operations_have_their_own_answers(server: MemoryServer) -> None:
    connection = server.connect(ONE)
    answers = await asyncio.gather(
        connection.bind("cn=a", b"right"), connection.bind("cn=a", b"wrong"), names(connection)
    )
    assert [answers[0].code, answers[1].code, answers[2]] == [0, 49, ["uid=x", "uid=y"]]
    assert connection.outstanding == 0


async def test_a_name_without_password_is_never_bound(server: MemoryServer) -> None:
    connection = server.connect(ONE)
    with pytest.raises(ValueError, match="password"):
        await connection.bind("cn=a", b"")
    assert server.requests == []


async def test_a_connection_that_ends_fails_what_waits(server: MemoryServer) -> None:
    server.silent = True
    connection = server.connect(ONE)
    waiting = asyncio.ensure_future(names(connection))
    await asyncio.sleep(0)
    server.drop()
    with pytest.raises(ConnectionFailedError, match="the server closed the connection"):
        await waiting
    assert not connection.is_open
    with pytest.raises(ConnectionFailedError, match="the server closed the connection"):
        await connection.bind("", b"")


async def test_who_gives_up_abandons_the_operation(server: MemoryServer) -> None:
    server.silent = True
    connection = server.connect(ONE)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await names(connection)
    assert [request.tag for request in server.requests] == [0x63, 0x50]
    assert connection.is_open


async def test_a_late_answer_belongs_to_nobody(server: MemoryServer) -> None:
    connection = server.connect(ONE)
    connection.data_received(found(77, "uid=x", {}) + result(77, 0x65, 0))
    assert await names(connection) == ["uid=x", "uid=y"]


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"HTTP/1.1 400 Bad\r\n", "not an LDAP message"),
        (result(0, 0x78, 52, "shutting down"), "ends the connection: shutting down"),
        (found(1, "a", {}) * 3, "more entries than asked for"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection(
    server: MemoryServer, octets: bytes, reason: str
) -> None:
    server.silent = True
    connection = server.connect(ONE)
    waiting = asyncio.ensure_future(names(connection, limit=2))
    await asyncio.sleep(0)
    connection.data_received(octets)
    with pytest.raises(ConnectionFailedError, match=reason):
        await waiting
    assert server.open_connections == 0


async def test_refused_starttls_is_told(server: MemoryServer) -> None:
    connection = server.connect(ONE)
    with pytest.raises(ConnectionFailedError, match=r"StartTLS is refused: .* no TLS here"):
        await connection.start_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def test_closing_says_goodbye_and_fails_what_waits(server: MemoryServer) -> None:
    connection = server.connect(ONE)
    server.silent = True
    waiting = asyncio.ensure_future(names(connection))
    await asyncio.sleep(0)
    connection.close()
    assert server.requests[-1].tag == 0x42
    with pytest.raises(ConnectionFailedError):
        await waiting
    connection.close()
