import logging
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace

import pytest

from mailfront.directory.entry import AccountStatus
from mailfront.directory.ldap import pool as pool_module
from mailfront.directory.ldap.directory import NAMESAKES, LdapDirectory
from mailfront.directory.ldap.login_filter import LoginFilter
from mailfront.directory.ldap.server import LdapServer, LdapTls
from mailfront.directory.ldap.settings import LdapSettings
from mailfront.errors import DirectoryUnavailableError
from mailfront.interfaces.secret import Secret
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import Equal
from tests.support.memory_ldap import MemoryNetwork, MemoryServer

SETTINGS = LdapSettings(
    servers=(LdapServer("one", 389, LdapTls.NONE),), base="o=x", bind_name="",
    bind_password=Secret(""), check_certificate=True, binds_as_user=True,
    login_filter=LoginFilter("(|(mail=%s)(uid=%U))", in_domain=True),
    domains=frozenset({"example.test", "xn--bcher-kva.example"}), pool_size=1, connect_timeout=5,
    search_timeout=5, cache_size=100, cache_lifetime=60, negative_lifetime=10,
)  # fmt: skip
ALICE: dict[str, Sequence[str | bytes]] = {
    "uid": ["alice"],
    "mail": ["Alice@Example.test"],
    "mailAlternateAddress": ["sales@bücher.example"],
    "inetUserStatus": ["inactive"],
    "userCertificate;binary": [b"0\x82"],
    "modifyTimestamp": ["20260101000000Z"],
}
BROKEN: dict[str, Sequence[str | bytes]] = {"uid": ["alice"], "mail": ["no address"]}
SIZE_LIMIT_EXCEEDED = 4
Make = Callable[[LdapSettings], LdapDirectory]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> MemoryServer:
    network = MemoryNetwork("one")
    monkeypatch.setattr(pool_module, "connect", network.connect)
    server = network.servers["one"]
    server.entries["uid=alice,o=x"] = ALICE
    server.passwords["uid=alice,o=x"] = "pw"
    return server


@pytest.fixture
async def make(server: MemoryServer) -> AsyncIterator[Make]:
    made: list[LdapDirectory] = []

    def make(settings: LdapSettings) -> LdapDirectory:
        made.append(LdapDirectory(settings, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)))
        return made[-1]

    yield make
    for directory in made:
        directory.close()


@pytest.fixture
def directory(make: Make) -> LdapDirectory:
    return make(SETTINGS)


@pytest.mark.parametrize("login", ["alice", "ALICE@example.test", "alice@Example.TEST"])
async def test_users_log_in_by_address_or_uid(directory: LdapDirectory, login: str) -> None:
    entry = await directory.entry_for_login(login, "example.test")
    assert entry is not None
    assert (entry.user, entry.dn) == ("alice@example.test", "uid=alice,o=x")
    assert entry.status is AccountStatus.INACTIVE
    assert (entry.certificates, entry.revision) == ((b"0\x82",), "20260101000000Z")


async def test_a_namesake_in_another_domain_is_somebody_else(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    assert await directory.entry_for_login("alice@other.test", "example.test") is None
    server.entries["uid=alice,o=y"] = {"uid": ["alice"], "mail": ["alice@other.test"]}
    entry = await directory.entry_for_login("alice@example.test", "")
    assert entry is not None
    assert entry.dn == "uid=alice,o=x"


@pytest.mark.parametrize("login", ["", "@", "a\0b", "a@b c", "x" * 5000])
async def test_what_cannot_be_a_name_is_not_asked_about(
    directory: LdapDirectory, server: MemoryServer, login: str
) -> None:
    assert await directory.entry_for_login(login, "") is None
    assert await directory.entry_for_address(login) is None
    assert server.requests == []


@pytest.mark.parametrize("address", ["alice@example.test", "sales@xn--bcher-kva.example"])
async def test_mail_finds_every_address(directory: LdapDirectory, address: str) -> None:
    entry = await directory.entry_for_address(address)
    assert entry is not None
    assert entry.user == "alice@example.test"


async def test_addresses_in_foreign_domains_are_not_asked_about(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    assert await directory.entry_for_address("alice@elsewhere.test") is None
    assert await directory.domains() == SETTINGS.domains
    assert server.requests == []


async def test_an_address_that_the_server_took_for_another_is_nobodys(
    directory: LdapDirectory,
) -> None:
    assert await directory.entry_for_address("bob@example.test") is None


async def test_results_are_kept_also_where_there_is_none(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    for _ in range(3):
        assert await directory.entry_for_login("alice", "example.test") is not None
        assert await directory.entry_for_address("alice@example.test") is not None
    assert server.searches == 2


async def test_a_malformed_entry_fails_its_own_user_for_a_while_and_nobody_else(
    directory: LdapDirectory, server: MemoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.entries["uid=broken,o=x"] = BROKEN
    assert await directory.entry_for_login("alice", "example.test") is not None
    assert "entry 'uid=broken,o=x' is not used" in caplog.text
    server.entries = {"uid=broken,o=x": BROKEN, "ou=People,o=x": {"ou": ["People"]}}
    with pytest.raises(DirectoryUnavailableError, match="cannot be read"):
        await directory.entry_for_address("carol@example.test")


async def test_an_address_of_two_entries_is_nobodys_for_a_while(
    directory: LdapDirectory, server: MemoryServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    server.entries["uid=double,o=x"] = ALICE
    with pytest.raises(DirectoryUnavailableError, match="2 entries"):
        await directory.entry_for_login("alice", "example.test")
    assert "uid=double,o=x" in caplog.text


async def test_an_address_wins_over_somebodys_uid(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    server.entries["uid=other,o=x"] = {"uid": ["alice"], "mail": ["bob@example.test"]}
    entry = await directory.entry_for_login("alice@example.test", "")
    assert entry is not None
    assert entry.user == "alice@example.test"


async def test_a_search_shows_more_than_one_and_fails_for_what_it_cannot_read(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    base = DistinguishedName.parse("o=x")
    assert [entry.user for entry in await directory.search(base, Equal("cn", "a"))] == [
        "alice@example.test"
    ]
    server.entries["uid=bob,o=x"] = {"uid": ["bob"], "mail": ["bob@example.test"]}
    assert len(await directory.search(None, Equal("cn", "b"))) == 2
    server.entries = {"ou=People,o=x": {"ou": ["People"]}, **server.entries}
    assert len(await directory.search(None, Equal("cn", "c"))) == 2
    assert len(await directory.search(None, Equal("cn", "d"), limit=1)) == 1
    server.entries["uid=broken,o=x"] = BROKEN
    with pytest.raises(DirectoryUnavailableError):
        await directory.search(None, Equal("cn", "e"))


def groups(count: int) -> dict[str, Mapping[str, Sequence[str | bytes]]]:
    return {f"cn=group{number},o=x": {"cn": ["group"]} for number in range(count)}


def user(name: str) -> dict[str, Sequence[str | bytes]]:
    return {"uid": [name], "mail": [f"{name}@example.test"]}


async def test_of_an_answer_cut_short_one_user_is_not_the_only_one(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    server.entries = {
        **groups(NAMESAKES - 1),
        **{f"uid={name},o=x": user(name) for name in ("alice", "bob", "carol")},
    }
    server.code = SIZE_LIMIT_EXCEEDED
    with pytest.raises(DirectoryUnavailableError, match="too many entries match"):
        await directory.search(None, Equal("cn", "a"))
    # Also from what is kept.
    with pytest.raises(DirectoryUnavailableError, match="too many entries match"):
        await directory.search(None, Equal("cn", "a"))
    assert server.searches == 1
    assert len(await directory.search(None, Equal("cn", "a"), limit=1)) == 1


async def test_an_answer_cut_short_without_a_user_is_not_nobody(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    server.entries = groups(NAMESAKES)
    server.code = SIZE_LIMIT_EXCEEDED
    for look_up in (
        directory.search(None, Equal("cn", "a")),
        directory.entry_for_login("alice", "example.test"),
        directory.entry_for_address("alice@example.test"),
    ):
        with pytest.raises(DirectoryUnavailableError, match="too many entries match"):
            await look_up


async def test_an_answer_cut_short_with_as_many_users_as_are_wanted_is_enough(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    server.entries = {
        **groups(NAMESAKES - 2),
        **{f"uid={name},o=x": user(name) for name in ("alice", "bob", "carol")},
    }
    server.code = SIZE_LIMIT_EXCEEDED
    found = await directory.search(None, Equal("cn", "a"))
    assert [entry.user for entry in found] == ["alice@example.test", "bob@example.test"]


async def test_nobody_is_the_only_one_of_a_name_whose_namesakes_were_cut_off(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    namesakes: dict[str, Mapping[str, Sequence[str | bytes]]] = {
        f"uid=alice,o={number}": {"uid": ["alice"], "mail": [f"alice@domain{number}.test"]}
        for number in range(NAMESAKES)
    }
    server.entries |= namesakes
    server.code = SIZE_LIMIT_EXCEEDED
    for look_up in (
        directory.entry_for_login("alice@example.test", ""),
        directory.entry_for_address("alice@example.test"),
    ):
        with pytest.raises(DirectoryUnavailableError, match="too many entries match alice@"):
            await look_up


async def test_the_server_judges_passwords_of_users_and_of_nobody(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    entry = await directory.entry_for_login("alice", "example.test")
    assert await directory.verify_password(entry, Secret("pw")) is True
    assert await directory.verify_password(entry, Secret("wrong")) is False
    assert await directory.verify_password(entry, Secret("")) is False
    before = len(server.requests)
    assert await directory.verify_password(None, Secret("pw")) is False
    assert len(server.requests) > before


async def test_where_user_password_is_read_the_caller_judges(
    make: Make, server: MemoryServer
) -> None:
    directory = make(replace(SETTINGS, binds_as_user=False))
    server.entries["uid=alice,o=x"] = {**ALICE, "userPassword": ["{SSHA}x"]}
    entry = await directory.entry_for_login("alice", "example.test")
    assert entry is not None
    assert entry.password_values == ("{SSHA}x",)
    assert await directory.verify_password(entry, Secret("pw")) is None


async def test_an_outage_is_told_and_is_no_answer(
    directory: LdapDirectory, server: MemoryServer
) -> None:
    assert directory.problem == ""
    server.refusal = "connection refused"
    with pytest.raises(DirectoryUnavailableError):
        await directory.entry_for_login("alice", "example.test")
    assert directory.problem == "directory servers: ldap://one:389: connection refused"
