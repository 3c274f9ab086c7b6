from pathlib import Path

import pytest

from mailfront.directory import entry_search
from mailfront.directory.users_file import Users, parse_users
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import And, Equal, Filter, Present

USERS = """dn: uid=alice,ou=People,dc=example,dc=test
objectClass: inetMailUser
uid: alice
cn: Alice B
mail: alice@example.test
mailAlternateAddress: sales@b\u00fccher.example
employeeNumber: 7
certSubjectDN: CN=Alice B, O=Example
mailFrontKeyFingerprint: ab12

dn: uid=bob,ou=People,dc=example,dc=test
objectClass: inetMailUser
uid: bob
cn: Bob
mail: bob@example.test
employeeNumber: 8
userCertificate;binary:: MIIB

dn: uid=alice,ou=People,dc=other,dc=test
objectClass: inetMailUser
uid: alice
cn: alice  b
mail: alice@other.test
"""
ALICE, BOB, OTHER = "alice@example.test", "bob@example.test", "alice@other.test"


@pytest.fixture(params=["inline", "in a thread"])
def users(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Users:
    monkeypatch.setattr(entry_search, "FEW_ENTRIES", 0 if request.param == "in a thread" else 100)
    return parse_users(USERS.encode(), Path("users.ldif"))


async def find(
    users: Users, condition: Filter, base: str | None = None, limit: int = 10
) -> set[str]:
    name = None if base is None else DistinguishedName.parse(base)
    return {entry.user for entry in await users.search.find(name, condition, limit)}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (Equal("mail", "Alice@Example.test"), {ALICE}),
        (Equal("mail", "not an address"), set()),
        (Equal("mailAlternateAddress", "sales@b\u00fccher.example"), {ALICE}),
        (Equal("uid", "ALICE"), {ALICE, OTHER}),
        (Equal("uid", "carol"), set()),
        (Equal("cn", "alice b"), {ALICE, OTHER}),
        (Equal("employeeNumber", "8"), {BOB}),
        (Equal("mailFrontKeyFingerprint", "AB12"), {ALICE}),
        (Equal("certSubjectDN", DistinguishedName.parse("cn=alice b,o=EXAMPLE")), {ALICE}),
        (Equal("userCertificate;binary", b"0\x82\x01"), {BOB}),
        (And((Equal("uid", "alice"), Equal("employeeNumber", "7"))), {ALICE}),
        (And((Present("employeeNumber"), Equal("cn", "Bob"))), {BOB}),
        (Present("employeeNumber"), {ALICE, BOB}),
        (And(()), {ALICE, BOB, OTHER}),
        (Equal("userPassword", "x"), set()),
    ],
)
async def test_a_filter_finds_its_users_first_time_and_again(
    users: Users, condition: Filter, expected: set[str]
) -> None:
    for _ in range(2):
        assert await find(users, condition) == expected


async def test_a_base_keeps_out_what_is_elsewhere(users: Users) -> None:
    assert await find(users, Equal("uid", "alice"), "DC=Other, DC=test") == {OTHER}
    assert await find(users, Equal("uid", "alice"), "dc=nowhere") == set()


async def test_no_more_than_wanted_are_returned(users: Users) -> None:
    assert len(await find(users, And(()), limit=2)) == 2


async def test_the_indexes_are_bounded(users: Users, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entry_search, "MAXIMUM_INDEXES", 1)
    assert await find(users, Equal("cn", "bob")) == {BOB}
    assert await find(users, Equal("employeeNumber", "7")) == {ALICE}
    assert await find(users, Equal("cn", "alice b")) == {ALICE, OTHER}


async def test_with_many_domains_a_uid_is_found_too(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entry_search, "MANY_DOMAINS", 0)
    assert await find(users, Equal("uid", "alice")) == {ALICE, OTHER}
