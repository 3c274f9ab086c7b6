import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest

from mailfront.directory.ldap import pool as module
from mailfront.directory.ldap import server as server_module
from mailfront.directory.ldap.login_filter import LoginFilter
from mailfront.directory.ldap.pool import BUSY, LdapPool
from mailfront.directory.ldap.server import LdapServer, LdapTls
from mailfront.directory.ldap.settings import LdapSettings
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.secret import Secret
from tests.support.memory_ldap import MemoryNetwork, MemoryServer

SETTINGS = LdapSettings(
    servers=tuple(LdapServer(host, 389, LdapTls.NONE) for host in ("one", "two")),
    base="o=x", bind_name="cn=reader", bind_password=Secret("rs"), check_certificate=True,
    binds_as_user=True, login_filter=LoginFilter("(uid=%U)", in_domain=True),
    domains=frozenset({"example.test"}), pool_size=3, connect_timeout=0.2, search_timeout=0.3,
    cache_size=100, cache_lifetime=60, negative_lifetime=10,
)  # fmt: skip


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> MemoryNetwork:
    network = MemoryNetwork("one", "two")
    for server in network.servers.values():
        server.passwords |= {"cn=reader": "rs", "uid=x": "pw"}
        server.entries["uid=x"] = {"uid": ["x"]}
    monkeypatch.setattr(module, "connect", network.connect)
    monkeypatch.setattr(server_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(server_module, "LONGEST_PAUSE", 0.02)
    return network


@pytest.fixture
def one(network: MemoryNetwork) -> MemoryServer:
    return network.servers["one"]


@pytest.fixture
def two(network: MemoryNetwork) -> MemoryServer:
    return network.servers["two"]


def context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.fixture
async def pool(network: MemoryNetwork) -> AsyncIterator[LdapPool]:
    pool = LdapPool(SETTINGS, context)
    yield pool
    pool.close()


class Clock:
    """The event loop's time, which stands still until a test moves it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self.now = loop.time()
        monkeypatch.setattr(loop, "time", lambda: self.now)


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


async def names(pool: LdapPool) -> list[str]:
    answer = await pool.search("o=x", b"\x87\x03uid", ("uid",), limit=5)
    return [entry.name for entry in answer.entries]


async def test_searches_share_a_connection_to_the_first_server(
    pool: LdapPool, one: MemoryServer, two: MemoryServer
) -> None:
    for _ in range(5):
        assert await names(pool) == ["uid=x"]
    assert (len(one.transports), len(two.transports)) == (1, 0)


async def test_many_searches_at_once_open_more_connections_up_to_the_bound(
    pool: LdapPool, one: MemoryServer
) -> None:
    await names(pool)
    one.silent = True
    waiting = []
    for _ in range(20 * BUSY):
        waiting.append(asyncio.ensure_future(names(pool)))
        one.silent = False
        await asyncio.sleep(0)
        one.silent = True
    assert len(one.transports) <= SETTINGS.pool_size
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_a_server_that_is_away_is_replaced_by_the_next_and_used_again_when_it_is_back(
    pool: LdapPool, one: MemoryServer, two: MemoryServer
) -> None:
    one.refusal = "connection refused"
    assert await names(pool) == ["uid=x"]
    assert (one.searches, two.searches) == (0, 1)
    assert pool.problems() == ["ldap://one:389: connection refused"]
    one.refusal = ""
    while pool.problems():
        await asyncio.sleep(0.01)
    assert await names(pool) == ["uid=x"]
    assert one.searches == 1


async def test_a_connection_that_ends_is_made_anew_without_a_word(
    pool: LdapPool, one: MemoryServer
) -> None:
    await names(pool)
    one.drop()
    assert await names(pool) == ["uid=x"]
    assert pool.problems() == []


async def test_with_no_server_up_every_call_fails_at_once(
    pool: LdapPool, one: MemoryServer, two: MemoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "FIRST_PAUSE", 60.0)
    monkeypatch.setattr(server_module, "LONGEST_PAUSE", 60.0)
    one.refusal = two.refusal = "connection refused"
    with pytest.raises(DirectoryUnavailableError, match="ldap://two:389: connection refused"):
        await names(pool)
    one.refusal = two.refusal = ""
    for _ in range(3):
        with pytest.raises(DirectoryUnavailableError):
            await names(pool)
        with pytest.raises(DirectoryUnavailableError):
            await pool.is_password_of("uid=x", Secret("pw"))


async def test_a_server_that_does_not_answer_is_left_within_the_time_out(
    pool: LdapPool, one: MemoryServer, two: MemoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    await names(pool)
    one.silent = True
    search = asyncio.ensure_future(names(pool))
    await until(lambda: one.searches == 2)
    clock.now += SETTINGS.search_timeout
    with pytest.raises(DirectoryUnavailableError, match="no answer within"):
        await search
    # Whether the server still answers at all is asked over another connection.
    await until(lambda: len(one.transports) == 2)
    clock.now += SETTINGS.connect_timeout
    await until(lambda: bool(pool.problems()))
    assert await names(pool) == ["uid=x"]
    assert two.searches == 1
    assert one.open_connections == 0


async def test_a_slow_search_does_not_cost_the_server_its_place(
    pool: LdapPool, one: MemoryServer, two: MemoryServer
) -> None:
    await names(pool)
    one.silent = True
    with pytest.raises(DirectoryUnavailableError):
        await names(pool)
    one.silent = False
    await asyncio.sleep(0.05)
    assert pool.problems() == []
    assert two.searches == 0


async def test_a_connection_that_leads_nowhere_any_more_is_not_used_again(
    pool: LdapPool, one: MemoryServer
) -> None:
    await names(pool)
    one.transports[0].server = MemoryServer()
    one.transports[0].server.silent = True
    with pytest.raises(DirectoryUnavailableError):
        await names(pool)
    for _ in range(3):
        assert await names(pool) == ["uid=x"]
    assert one.open_connections == 1


async def test_a_refused_bind_of_ours_is_no_answer_about_users(
    pool: LdapPool, one: MemoryServer, two: MemoryServer
) -> None:
    one.passwords["cn=reader"] = two.passwords["cn=reader"] = "changed"
    with pytest.raises(DirectoryUnavailableError, match=r"cn=reader is refused: invalid cred"):
        await names(pool)


async def test_a_bind_as_a_user_judges_the_password_over_a_connection_of_its_own(
    pool: LdapPool, one: MemoryServer
) -> None:
    assert await pool.is_password_of("uid=x", Secret("pw"))
    assert not await pool.is_password_of("uid=x", Secret("wrong"))
    assert not await pool.is_password_of("uid=nobody", Secret("pw"))
    assert len(one.transports) == 3
    assert one.open_connections == 0


@pytest.mark.parametrize(("name", "password"), [("uid=x", ""), ("", "pw"), ("uid=x", "\ud800")])
async def test_what_could_be_an_anonymous_bind_is_never_sent(
    pool: LdapPool, one: MemoryServer, name: str, password: str
) -> None:
    one.passwords[name] = password
    assert not await pool.is_password_of(name, Secret(password))
    assert one.requests == []


async def test_a_bind_goes_to_the_next_server_when_the_first_does_not_answer(
    pool: LdapPool, one: MemoryServer, two: MemoryServer
) -> None:
    one.silent = True
    assert await pool.is_password_of("uid=x", Secret("pw"))
    assert [problem.partition(":389: ")[2] for problem in pool.problems()] == [
        "no answer within 0.2 seconds"
    ]


async def test_a_result_that_says_nothing_of_the_password_is_no_verdict(
    pool: LdapPool, one: MemoryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WRONG", frozenset())
    with pytest.raises(DirectoryUnavailableError, match="bind as a user"):
        await pool.is_password_of("uid=x", Secret("wrong"))


@pytest.mark.parametrize(("code", "entries"), [(4, ["uid=x"]), (32, [])])
async def test_a_limit_and_a_missing_base_are_answers(
    pool: LdapPool, one: MemoryServer, code: int, entries: list[str]
) -> None:
    one.code = code
    answer = await pool.search("o=x", b"\x87\x03uid", ("uid",), limit=5)
    assert [entry.name for entry in answer.entries] == entries
    assert answer.truncated is (code == 4)


async def test_other_results_are_none(pool: LdapPool, one: MemoryServer) -> None:
    one.code = 50
    with pytest.raises(DirectoryUnavailableError, match="insufficient access"):
        await names(pool)


async def test_a_closed_pool_answers_nobody_and_holds_nothing(
    pool: LdapPool, one: MemoryServer, two: MemoryServer
) -> None:
    await names(pool)
    two.refusal = "away"
    pool.close()
    assert one.open_connections == 0
    with pytest.raises(DirectoryUnavailableError):
        await names(pool)


async def test_one_connection_is_enough_where_no_more_are_allowed(network: MemoryNetwork) -> None:
    pool = LdapPool(replace(SETTINGS, pool_size=1), context)
    await asyncio.gather(*(names(pool) for _ in range(50)))
    assert len(network.servers["one"].transports) == 1
    pool.close()
