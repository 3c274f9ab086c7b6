from pathlib import Path

import pytest

from mailfront.directory.embedded import EmbeddedDirectory
from mailfront.directory.lookup import RecipientDirectory
from mailfront.interfaces.message_sink import Destination

USERS = """dn: a
mail: alice@example.test
mailAlternateAddress: info@bücher.example

dn: b
mail: bob+lists@example.test

dn: c
mail: gone@example.test
inetUserStatus: deleted

dn: d
mail: away@example.test
mailUserStatus: hold
"""
LOCAL, UNKNOWN, FOREIGN = Destination.LOCAL, Destination.UNKNOWN_USER, Destination.FOREIGN


@pytest.fixture
def directory(tmp_path: Path) -> EmbeddedDirectory:
    path = tmp_path / "users.ldif"
    path.touch(0o600)
    path.write_text(USERS)
    return EmbeddedDirectory(path)


@pytest.mark.parametrize(
    ("address", "destination", "user"),
    [
        ("ALICE@example.TEST", LOCAL, "alice@example.test"),
        ('"alice"@example.test', LOCAL, "alice@example.test"),
        ("info@XN--BCHER-KVA.example", LOCAL, "alice@example.test"),
        ("alice+shop@example.test", LOCAL, "alice@example.test"),
        ("alice+a+b@example.test", LOCAL, "alice@example.test"),
        ("bob+lists@example.test", LOCAL, "bob+lists@example.test"),
        ("bob@example.test", UNKNOWN, ""),
        ("alice+@example.test", LOCAL, "alice@example.test"),
        ("+alice@example.test", UNKNOWN, ""),
        ("gone@example.test", UNKNOWN, ""),
        ("away@example.test", LOCAL, "away@example.test"),
        ('"al ice"@example.test', UNKNOWN, ""),
        ("x@empty.test", UNKNOWN, ""),
        ("alice@elsewhere.test", FOREIGN, ""),
        ("postmaster@elsewhere.test", FOREIGN, ""),
        ("alice@[127.0.0.1]", FOREIGN, ""),
        ("alice", FOREIGN, ""),
        ("", FOREIGN, ""),
        ("a\0@\0", FOREIGN, ""),
    ],
)
async def test_an_address_leads_to_its_mailbox_to_nobody_or_elsewhere(
    directory: EmbeddedDirectory, address: str, destination: Destination, user: str
) -> None:
    recipients = RecipientDirectory(directory, default_domain="empty.test")
    assert await recipients.resolve(address) == (destination, user)


@pytest.mark.parametrize(
    "address", ["postmaster", "PostMaster", "Postmaster@example.test", "postmaster@empty.test"]
)
async def test_the_postmaster_is_the_first_administrator_there_is(
    directory: EmbeddedDirectory, address: str
) -> None:
    recipients = RecipientDirectory(
        directory, default_domain="example.test", administrators=["gone", "nobody", "alice"]
    )
    if address.endswith("empty.test"):
        recipients = RecipientDirectory(
            directory, default_domain="empty.test", administrators=["alice@example.test"]
        )
    assert await recipients.resolve(address) == (LOCAL, "alice@example.test")


async def test_a_user_named_postmaster_gets_their_own_mail(tmp_path: Path) -> None:
    path = tmp_path / "users.ldif"
    path.touch(0o600)
    path.write_text(USERS + "\ndn: p\nmail: postmaster@example.test\n")
    recipients = RecipientDirectory(
        EmbeddedDirectory(path), default_domain="example.test", administrators=["alice"]
    )
    for address in ("postmaster", "postmaster@example.test"):
        assert await recipients.resolve(address) == (LOCAL, "postmaster@example.test")
