"""Changes: several steps become durable together, and old rows put back are refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.change import Change
from mailfront.keystore.formats import certificate_public_key_der, private_key_public_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import NewEntry, PendingKey
from mailfront.keystore.requests import KeyKind
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import (
    PASSWORD,
    authority,
    certificate_for,
    issued_by,
    new_token,
    self_signed,
)

KEY, CERTIFICATE = self_signed("imap.example.test")
OTHER_KEY, OTHER = self_signed("other.example.test")
CA_KEY, CA = authority()
LEAF_KEY, LEAF = issued_by(CA_KEY, CA, "pop.example.test")


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as token:
        token.add_key_and_certificate("imap-cert", KEY, [CERTIFICATE])
        token.add_authority("Example CA", CA)
        yield token


def statement(path: Path, text: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(text)


def reopened(token: InternalToken) -> InternalToken:
    return InternalToken.open(token.path, PASSWORD)


def test_all_steps_happen_or_none(token: InternalToken) -> None:
    before = token.list()
    with pytest.raises(KeystoreError, match="already"):
        remove_and_add_a_nickname_in_use(token)
    assert token.list() == before
    with reopened(token) as again:
        assert again.list() == before


def remove_and_add_a_nickname_in_use(token: InternalToken) -> None:
    with token.change() as step:
        step.remove("Example CA")
        step.add(NewEntry("new", (OTHER,), OTHER_KEY, TrustFlags.USER))
        step.add(NewEntry("imap-cert", (OTHER,), OTHER_KEY, TrustFlags.USER))


def test_many_entries_are_one_transaction(token: InternalToken) -> None:
    with token.change() as step:
        for number in range(150):
            step.add(NewEntry(f"CA {number}", (CA,), None, TrustFlags.SERVERS))
        assert len(step.nicknames()) == 152
    assert len(token.list()) == 152


def test_a_pending_key_is_listed_apart_and_has_no_certificate(token: InternalToken) -> None:
    key = KeyKind("rsa").generate()
    token.add_pending_key("new", key)
    inventory = token.inventory()
    assert [(pending.nickname, pending.key_description) for pending in inventory.pending] == [
        ("new", "RSA 2048")
    ]
    assert inventory.pending[0].key_type == "rsa"
    assert [record.nickname for record in inventory.records] == ["Example CA", "imap-cert"]
    assert token.find("new") is None
    for call in (token.require, token.credentials):
        with pytest.raises(KeystoreError, match=r"waits for its certificate.*add-cert new"):
            call("new")


def test_a_pending_key_gets_its_certificate(token: InternalToken) -> None:
    token.add_pending_key("pop-cert", LEAF_KEY)
    token.replace("pop-cert", [LEAF, CA])
    record = token.require("pop-cert")
    assert (record.certificate, record.chain, record.trust) == (LEAF, (CA,), TrustFlags.USER)
    assert token.credentials("pop-cert").certificate == LEAF
    assert token.inventory().pending == ()


def test_a_certificate_for_the_same_key_keeps_the_key(token: InternalToken) -> None:
    token.add_key_and_certificate("pop-cert", LEAF_KEY, [LEAF, CA])
    _, renewed = issued_by(CA_KEY, CA, "pop.example.test", key=LEAF_KEY)
    token.replace("pop-cert", [renewed])
    assert token.require("pop-cert").certificate == renewed
    assert token.require("pop-cert").chain == ()
    assert private_key_public_der(token.private_key("pop-cert")) == private_key_public_der(LEAF_KEY)
    assert token.credentials("pop-cert").certificate == renewed


def test_a_certificate_for_another_key_needs_that_key(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="not for the private key of 'imap-cert'"):
        token.replace("imap-cert", [OTHER])
    assert token.require("imap-cert").certificate == CERTIFICATE
    token.replace("imap-cert", [OTHER], OTHER_KEY)
    assert token.credentials("imap-cert").certificate == OTHER


def test_replacing_keeps_trust_flags(token: InternalToken) -> None:
    token.set_trust("imap-cert", TrustFlags.CLIENTS)
    assert token.require("imap-cert").trust.letters == "Tu"
    token.replace("imap-cert", [OTHER], OTHER_KEY)
    assert token.require("imap-cert").trust.letters == "Tu"


@pytest.mark.parametrize("flags", [TrustFlags.NONE, TrustFlags.SERVERS | TrustFlags.CLIENTS])
def test_trust_is_set_and_says_nothing_of_a_key_that_is_not_there(
    token: InternalToken, flags: TrustFlags
) -> None:
    token.set_trust("Example CA", flags | TrustFlags.USER)
    assert token.require("Example CA").trust == flags


def test_what_has_a_public_key_is_found_pending_first(token: InternalToken) -> None:
    token.add_pending_key("zzz", KEY)
    found = token.find_by_public_key(certificate_public_key_der(CERTIFICATE))
    assert [(entry.nickname, isinstance(entry, PendingKey)) for entry in found] == [
        ("zzz", True),
        ("imap-cert", False),
    ]
    assert token.find_by_public_key(b"nothing") == []


def test_a_nickname_can_be_changed(token: InternalToken) -> None:
    token.add_pending_key("waiting", LEAF_KEY)
    with token.change() as step:
        step.rename("imap-cert", "mail")
        step.rename("waiting", "imap-cert")
        assert isinstance(step.find("imap-cert"), PendingKey)
        assert step.private_key("Example CA") is None
    assert token.credentials("mail").certificate == CERTIFICATE
    with pytest.raises(KeystoreError, match="already"), token.change() as step:
        step.rename("mail", "Example CA")
    assert token.credentials("mail").certificate == CERTIFICATE


def test_an_entry_is_put_in_place_of_another(token: InternalToken) -> None:
    with token.change() as step:
        step.put(NewEntry("Example CA", (CA,), None, TrustFlags.CLIENTS))
        step.put(NewEntry("new", (OTHER,), OTHER_KEY, TrustFlags.NONE))
    assert token.require("Example CA").trust == TrustFlags.CLIENTS
    assert token.require("new").trust == TrustFlags.USER


def test_an_unknown_nickname_offers_the_nearest(token: InternalToken) -> None:
    calls: tuple[Callable[[Change], object], ...] = (
        lambda step: step.replace("imap-crt", [OTHER]),
        lambda step: step.set_trust("imap-crt", TrustFlags.NONE),
        lambda step: step.rename("imap-crt", "new"),
        lambda step: step.remove("imap-crt"),
        lambda step: step.private_key("imap-crt"),
    )
    for call in calls:
        with pytest.raises(KeystoreError, match="did you mean imap-cert"), token.change() as step:
            call(step)


def test_an_older_row_put_back_is_refused(token: InternalToken) -> None:
    """Trust once given to a CA and taken away does not come back with the row of then."""
    token.set_trust("Example CA", TrustFlags.SERVERS | TrustFlags.CLIENTS)
    statement(token.path, "CREATE TABLE kept AS SELECT * FROM entry")
    token.set_trust("Example CA", TrustFlags.SERVERS)
    statement(token.path, "DELETE FROM entry WHERE nickname = 'Example CA'")
    statement(
        token.path,
        "INSERT INTO entry SELECT * FROM kept WHERE nickname = 'Example CA'",
    )
    assert token.inventory().altered == ("Example CA",)
    with pytest.raises(KeystoreError, match=r"Example CA.*altered"):
        token.find("Example CA")
    with pytest.raises(KeystoreError, match=r"Example CA.*altered"), token.change() as step:
        step.find("Example CA")
    assert token.credentials("imap-cert").certificate == CERTIFICATE


def test_a_removed_certificate_put_back_is_refused(token: InternalToken) -> None:
    statement(token.path, "CREATE TABLE kept AS SELECT * FROM entry")
    token.remove("imap-cert")
    statement(token.path, "INSERT INTO entry SELECT * FROM kept WHERE nickname = 'imap-cert'")
    with pytest.raises(KeystoreError, match=r"imap-cert.*altered"):
        token.credentials("imap-cert")


def test_a_row_removed_outside_is_missed_until_it_is_removed_here_too(
    token: InternalToken,
) -> None:
    statement(token.path, "DELETE FROM entry WHERE nickname = 'Example CA'")
    assert token.inventory().missing == ("Example CA",)
    with pytest.raises(KeystoreError, match=r"'Example CA' was removed outside"):
        token.list()
    assert token.credentials("imap-cert").certificate == CERTIFICATE
    token.add_key_and_certificate("new", OTHER_KEY, [OTHER])
    assert token.inventory().missing == ("Example CA",)
    token.remove("Example CA")
    assert [record.nickname for record in token.list()] == ["imap-cert", "new"]


def test_a_row_that_was_altered_can_be_removed_and_added_again(token: InternalToken) -> None:
    statement(token.path, "UPDATE entry SET trust = 'CT' WHERE nickname = 'Example CA'")
    token.remove("Example CA")
    token.add_authority("Example CA", CA)
    assert token.require("Example CA").trust.letters == "C"


@pytest.mark.parametrize("change", ["DELETE FROM manifest", "UPDATE manifest SET listed = x''"])
def test_without_its_manifest_the_database_is_neither_read_nor_changed(
    token: InternalToken, change: str
) -> None:
    statement(token.path, change)
    for call in (
        token.inventory,
        lambda: token.find("imap-cert"),
        lambda: token.credentials("imap-cert"),
        lambda: token.remove("imap-cert"),
    ):
        with pytest.raises(KeystoreError, match="list of its entries was altered"):
            call()


def test_reading_while_another_replaces_sees_the_old_or_the_new(token: InternalToken) -> None:
    with reopened(token) as other, token.change() as step:
        step.replace("imap-cert", [OTHER], OTHER_KEY)
        assert other.require("imap-cert").certificate == CERTIFICATE
    assert token.require("imap-cert").certificate == OTHER


def test_a_step_that_fails_changes_nothing_by_itself(token: InternalToken) -> None:
    """Whoever catches the error within the block and goes on loses nothing."""
    before = token.list()
    steps: tuple[Callable[[Change], object], ...] = (
        lambda step: step.rename("imap-cert", "Example CA"),
        lambda step: step.rename("imap-cert", "a,b"),
        lambda step: step.replace("imap-cert", []),
        lambda step: step.replace("imap-cert", [OTHER], KEY),
        lambda step: step.put(NewEntry("imap-cert", (OTHER,), KEY, TrustFlags.USER)),
        lambda step: step.add(NewEntry("imap-cert", (OTHER,), OTHER_KEY, TrustFlags.USER)),
    )
    with token.change() as step:
        for fail in steps:
            with pytest.raises(KeystoreError):
                fail(step)
    assert token.list() == before


def test_a_certificate_whose_key_is_on_another_token_says_so_through_every_change(
    token: InternalToken,
) -> None:
    key, certificate = self_signed()
    entry = NewEntry("on-token", (certificate,), None, TrustFlags.NONE, key_on_other_token=True)
    with token.change() as step:
        record = step.add(entry)
        assert record.key_on_other_token
        assert not record.has_key
        assert record.trust.letters == "u"
        renewed = step.replace("on-token", (certificate_for(key),))
        assert renewed.key_on_other_token
        step.rename("on-token", "other")
    assert token.require("other").key_on_other_token


def test_a_ca_has_its_key_nowhere(token: InternalToken) -> None:
    assert not token.add_authority("CA", authority()[1]).key_on_other_token
