import ssl
from dataclasses import replace

import pytest

from mailfront.directory.ldap import examination
from mailfront.directory.ldap.examination import examine
from mailfront.directory.ldap.login_filter import LoginFilter
from mailfront.directory.ldap.server import LdapServer, LdapTls
from mailfront.directory.ldap.settings import LdapSettings
from mailfront.interfaces.secret import Secret
from tests.support.memory_ldap import MemoryNetwork, MemoryServer

SETTINGS = LdapSettings(
    servers=tuple(LdapServer(host, 389, LdapTls.NONE) for host in ("one", "two")),
    base="o=x", bind_name="cn=reader", bind_password=Secret("rs"), check_certificate=True,
    binds_as_user=True, login_filter=LoginFilter("(uid=%U)", in_domain=True),
    domains=frozenset(), pool_size=1, connect_timeout=0.2, search_timeout=1, cache_size=0,
    cache_lifetime=0, negative_lifetime=0,
)  # fmt: skip


@pytest.fixture
def one(monkeypatch: pytest.MonkeyPatch) -> MemoryServer:
    network = MemoryNetwork("one", "two")
    for server in network.servers.values():
        server.passwords["cn=reader"] = "rs"
        server.entries["o=x"] = {"objectClass": ["organization"]}
    monkeypatch.setattr(examination, "connect", network.connect)
    return network.servers["one"]


async def problems(settings: LdapSettings = SETTINGS) -> list[str]:
    return await examine(settings, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


async def test_servers_that_can_be_used_have_no_problem(one: MemoryServer) -> None:
    assert await problems() == []
    assert one.open_connections == 0


async def test_a_server_that_is_away_is_named(one: MemoryServer) -> None:
    one.refusal = "connection refused"
    assert await problems() == ["LDAP server ldap://one:389: connection refused"]


async def test_a_server_that_does_not_answer_is_named(one: MemoryServer) -> None:
    one.silent = True
    assert await problems() == ["LDAP server ldap://one:389: no answer within 0.2 seconds"]


async def test_a_refused_bind_is_told_with_the_name_and_never_the_password(
    one: MemoryServer,
) -> None:
    one.passwords["cn=reader"] = "changed"
    assert await problems() == [
        "LDAP server ldap://one:389: bind as cn=reader is refused: invalid credentials (49)"
    ]


async def test_a_base_that_is_not_there_is_told(one: MemoryServer) -> None:
    one.entries, one.code = {}, 32
    [problem] = await problems()
    assert "there is no base o=x, or it may not be read: no such object (32)" in problem
    assert await problems(replace(SETTINGS, base="")) == []
