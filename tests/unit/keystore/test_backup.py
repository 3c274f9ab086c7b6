"""A backup: everything comes back, elsewhere too; nothing opens it but its password."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, WrongPasswordError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import requests
from mailfront.keystore.backup import (
    Backup,
    read_backup,
    read_token,
    restore_anew,
    restore_into,
    write_backup,
)
from mailfront.keystore.formats import private_key_public_der
from mailfront.keystore.internal_token import InternalToken, NewEntry
from mailfront.keystore.linked_files import Link
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password, write_password
from mailfront.keystore.trust import TrustFlags
from tests.support.client_authority import ClientAuthority
from tests.support.keystores import CHEAP, PASSWORD, authority, issued_by, new_token, self_signed

BACKUP_PASSWORD = Secret("for the backup")
CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")
PENDING_KEY = requests.KeyKind().generate()
LINK = Link("imap-cert", Path("/live/fullchain.pem"), Path("/live/privkey.pem"))
STAFF = ClientAuthority()
FIRST, SECOND = STAFF.revocation_list([5]), STAFF.revocation_list([5, 7], number=2)
SMALL = write_backup(
    Backup((NewEntry("imap-cert", (LEAF,), KEY, TrustFlags.USER),), (), ()), BACKUP_PASSWORD, CHEAP
)


@pytest.fixture(autouse=True)
def cheap_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(InternalToken.create.__kwdefaults__ or {}, "cost", CHEAP)


def filled(directory: Path) -> InternalToken:
    token = new_token(directory)
    token.add_key_and_certificate("imap-cert", KEY, [LEAF, CA])
    token.add_authority("Example CA", CA, "CT")
    token.add_pending_key("waiting", PENDING_KEY)
    with token.change() as step:
        step.link(LINK)
        step.revocation_lists.put(STAFF.certificate, SECOND)
    return token


def lists_of(token: InternalToken) -> list[tuple[x509.Certificate, bytes] | None]:
    with token.revocation_lists() as table:
        return [table.read(stored.issuer) for stored in table.stored()]


def check_all_is_there(token: InternalToken) -> None:
    facts = {record.nickname: (record.trust.letters, record.chain) for record in token.list()}
    assert facts == {"imap-cert": ("u", (CA,)), "Example CA": ("CT", ())}
    public = private_key_public_der(token.private_key("imap-cert"))
    assert public == private_key_public_der(KEY)
    assert [key.nickname for key in token.inventory().pending] == ["waiting"]
    assert private_key_public_der(token.private_key("waiting")) == (
        private_key_public_der(PENDING_KEY)
    )
    assert list(token.links()) == [LINK]
    assert lists_of(token) == [(STAFF.certificate, SECOND)]


def written(token: InternalToken) -> bytes:
    return write_backup(read_token(token), BACKUP_PASSWORD, CHEAP)


def test_everything_comes_back_on_another_machine(tmp_path: Path) -> None:
    with filled(tmp_path / "here") as token:
        content = written(token)
    there = ServerRoot(tmp_path / "there")
    there.config_directory.mkdir(parents=True)
    backup = read_backup(content, BACKUP_PASSWORD)
    restore_anew(there.certificate_database, there.sslpassword_conf, None, backup)
    password = read_password(there.sslpassword_conf, INTERNAL_TOKEN)
    assert password != PASSWORD
    with InternalToken.open(there.certificate_database, password) as token:
        check_all_is_there(token)


def test_the_password_that_is_noted_or_given_becomes_the_new_databases(tmp_path: Path) -> None:
    backup = read_backup(SMALL, BACKUP_PASSWORD)
    for given_one, expected in ((None, "noted"), (Secret("given"), "given")):
        root = ServerRoot(tmp_path / expected)
        root.config_directory.mkdir(parents=True)
        write_password(root.sslpassword_conf, INTERNAL_TOKEN, Secret("noted"))
        restore_anew(root.certificate_database, root.sslpassword_conf, given_one, backup)
        InternalToken.open(root.certificate_database, Secret(expected)).close()
        assert read_password(root.sslpassword_conf, INTERNAL_TOKEN) == Secret(expected)


def test_an_existing_database_is_not_restored_anew(tmp_path: Path) -> None:
    with filled(tmp_path) as token, pytest.raises(KeystoreError, match="--force"):
        restore_anew(token.path, tmp_path / "pw", None, read_backup(SMALL, BACKUP_PASSWORD))


def test_restoring_replaces_all_that_is_there_and_keeps_the_password(tmp_path: Path) -> None:
    with filled(tmp_path / "here") as token:
        content = written(token)
    with new_token(tmp_path / "there") as other:
        key, certificate = self_signed()
        for nickname in ("imap-cert", "other"):
            other.add_key_and_certificate(nickname, key, [certificate])
        with other.change() as step:
            step.link(Link("other", Path("/elsewhere.pem")))
        restore_into(other, read_backup(content, BACKUP_PASSWORD))
        check_all_is_there(other)
    InternalToken.open(other.path, PASSWORD).close()


def test_a_restore_that_fails_changes_nothing(tmp_path: Path) -> None:
    bad = Backup(
        (
            NewEntry("a", (LEAF,), KEY, TrustFlags.USER),
            NewEntry("a", (LEAF,), KEY, TrustFlags.USER),
        ),
        (),
        (),
    )
    with filled(tmp_path) as token:
        with pytest.raises(KeystoreError):
            restore_into(token, bad)
        check_all_is_there(token)


def test_an_altered_database_is_not_backed_up_as_if_it_were_whole(tmp_path: Path) -> None:
    with filled(tmp_path) as token:
        with token.change() as step:
            step._connection.execute("UPDATE entry SET trust = 'CTu' WHERE nickname = 'imap-cert'")
        with pytest.raises(KeystoreError, match=r"imap-cert.*altered"):
            read_token(token)


def test_a_wrong_password_opens_nothing() -> None:
    with pytest.raises(WrongPasswordError, match="does not open the backup") as refusal:
        read_backup(SMALL, Secret("a guess"))
    assert "guess" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"", b"hello", SMALL[:40], b"x" + SMALL])
def test_other_files_are_no_backup(content: bytes) -> None:
    with pytest.raises(KeystoreError, match="not a backup"):
        read_backup(content, BACKUP_PASSWORD)


def test_a_later_format_is_told() -> None:
    place = SMALL.index(b"\n") + 1
    later = SMALL[:place] + b"\0\2" + SMALL[place + 2 :]
    with pytest.raises(KeystoreError, match="format 2"):
        read_backup(later, BACKUP_PASSWORD)


def test_a_monstrous_derivation_is_refused_unrun() -> None:
    place = SMALL.index(b"\n") + 3
    monstrous = SMALL[:place] + (1 << 60).to_bytes(8) + SMALL[place + 8 :]
    with pytest.raises(KeystoreError, match="out of bounds"):
        read_backup(monstrous, BACKUP_PASSWORD)


# Behind line and version; a changed cost is refused too, but some costs take long to be refused.
COST_PLACES = range(SMALL.index(b"\n") + 3, SMALL.index(b"\n") + 19)


@given(st.integers(0, len(SMALL) - 1).filter(lambda place: place not in COST_PLACES), st.data())
def test_no_altered_backup_is_restored(place: int, data: st.DataObject) -> None:
    changed = bytearray(SMALL)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(KeystoreError):
        read_backup(bytes(changed), BACKUP_PASSWORD)


def test_neither_names_nor_keys_can_be_read_in_the_file() -> None:
    assert b"imap" not in SMALL
    assert KEY.private_numbers().private_value.to_bytes(32) not in SMALL


def test_a_restored_backup_takes_no_revocation_back(tmp_path: Path) -> None:
    with new_token(tmp_path) as token:
        with token.change() as step:
            step.revocation_lists.put(STAFF.certificate, FIRST)
        old = read_token(token)
        with token.change() as step:
            step.revocation_lists.put(STAFF.certificate, SECOND)
        restore_into(token, old)
        assert lists_of(token) == [(STAFF.certificate, SECOND)]
        restore_into(token, Backup((), (), ()))
        assert lists_of(token) == [(STAFF.certificate, SECOND)]


def test_a_certificate_whose_key_is_on_a_token_comes_back_as_such(tmp_path: Path) -> None:
    entry = NewEntry("on-token", (LEAF,), None, TrustFlags.NONE, key_on_other_token=True)
    with new_token(tmp_path / "one") as token, token.change() as step:
        step.add(entry)
    with InternalToken.open(token.path, PASSWORD) as token:
        backup = read_backup(written(token), BACKUP_PASSWORD)
    with new_token(tmp_path / "other") as other:
        restore_into(other, backup)
        assert other.require("on-token").key_on_other_token
