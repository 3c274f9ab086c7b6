"""The internal token: what is stored is found, what was altered is never served."""

from __future__ import annotations

import random
import shutil
import sqlite3
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import certificate_pem
from mailfront.keystore.internal_token import Credentials, InternalToken, NewEntry
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import (
    CHEAP,
    PASSWORD,
    authority,
    issued_by,
    new_token,
    self_signed,
)

IMAP_KEY, IMAP = self_signed("imap.example.test")
RSA_KEY, RSA = self_signed("imap.example.test", family="rsa")
CA_KEY, CA = authority()
POP_KEY, POP = issued_by(CA_KEY, CA, "pop.example.test")


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as token:
        token.add_key_and_certificate("imap-cert", IMAP_KEY, [IMAP])
        token.add_key_and_certificate("pop-cert", POP_KEY, [POP, CA])
        token.add_authority("Example CA", CA, "CT")
        yield token


def loaded(credentials: Credentials, directory: Path) -> ssl.SSLContext:
    path = directory / "credentials.pem"
    path.write_bytes(credentials.chain_pem + credentials.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path, password=credentials.passphrase)
    return context


def alter(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, values).rowcount > 0


def test_certificates_are_listed_by_nickname_with_chain_and_trust(token: InternalToken) -> None:
    facts = [(entry.nickname, entry.trust.letters, entry.has_key) for entry in token.list()]
    assert facts == [("Example CA", "CT", False), ("imap-cert", "u", True), ("pop-cert", "u", True)]
    assert token.list()[2].chain == (CA,)
    assert token.nicknames() == ("Example CA", "imap-cert", "pop-cert")


def test_a_certificate_is_found_by_its_nickname(token: InternalToken) -> None:
    record = token.find("imap-cert")
    assert record is not None
    assert record.certificate == IMAP
    assert token.find("IMAP-CERT") is None


def test_an_unknown_nickname_offers_the_nearest(token: InternalToken) -> None:
    for call in (token.require, token.credentials, token.remove):
        with pytest.raises(KeystoreError, match="did you mean imap-cert"):
            call("imap-crt")


@pytest.mark.parametrize("family", ["ec", "rsa", "ed25519"])
def test_credentials_load_into_a_tls_context(
    token: InternalToken, tmp_path: Path, family: str
) -> None:
    key, certificate = self_signed(family=family)
    token.add_key_and_certificate("new", key, [certificate])
    loaded(token.credentials("new"), tmp_path)


def test_credentials_carry_the_leaf_first_and_then_its_issuers(token: InternalToken) -> None:
    credentials = token.credentials("pop-cert")
    assert credentials.chain_pem == certificate_pem(POP) + certificate_pem(CA)
    assert credentials.certificate == POP


def test_credentials_have_a_new_passphrase_each_time(token: InternalToken) -> None:
    first, second = token.credentials("imap-cert"), token.credentials("imap-cert")
    assert first.passphrase != second.passphrase
    assert b"ENCRYPTED" in first.key_pem


def test_a_certificate_without_key_has_no_credentials(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="no private key"):
        token.credentials("Example CA")


def test_everything_is_there_after_the_database_was_closed_and_opened(
    token: InternalToken,
) -> None:
    before = token.list()
    token.close()
    with InternalToken.open(token.path, PASSWORD) as again:
        assert again.list() == before


def test_a_wrong_password_is_told_in_one_sentence(token: InternalToken) -> None:
    with pytest.raises(KeystoreError) as refusal:
        InternalToken.open(token.path, Secret("a guess"))
    assert "the password does not open the certificate database" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "a guess" not in str(refusal.value)


def test_creating_over_an_existing_database_is_refused(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="already"):
        InternalToken.create(token.path, Secret("other"), cost=CHEAP)
    assert InternalToken.open(token.path, PASSWORD).list() == token.list()


def test_a_database_is_created_with_all_its_first_entries_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "keystore.sqlite"
    good = NewEntry("imap-cert", (IMAP,), IMAP_KEY, TrustFlags.USER)
    bad = NewEntry("pop-cert", (POP,), IMAP_KEY, TrustFlags.USER)
    with pytest.raises(KeystoreError):
        InternalToken.create(path, PASSWORD, entries=(good, bad), cost=CHEAP)
    assert list(tmp_path.iterdir()) == []
    with InternalToken.create(path, PASSWORD, entries=(good,), cost=CHEAP) as token:
        assert token.nicknames() == ("imap-cert",)


def test_a_nickname_is_given_once(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="already"):
        token.add_key_and_certificate("imap-cert", RSA_KEY, [RSA])
    assert token.require("imap-cert").certificate == IMAP


def test_key_and_certificate_must_belong_together(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="private key is not the one"):
        token.add_key_and_certificate("new", RSA_KEY, [IMAP])


@pytest.mark.parametrize("trust", ["", "u", "Cu", "x"])
def test_an_authority_is_trusted_for_servers_or_clients(token: InternalToken, trust: str) -> None:
    with pytest.raises(KeystoreError):
        token.add_authority("new", CA, trust)


def test_a_removed_certificate_is_gone_with_its_key(token: InternalToken) -> None:
    token.remove("imap-cert")
    assert token.find("imap-cert") is None
    with pytest.raises(KeystoreError):
        token.credentials("imap-cert")


@pytest.mark.parametrize(
    "change",
    [
        "trust = 'CTu'",
        "nickname = 'smtp-cert'",
        "sealed_key = (SELECT sealed_key FROM entry WHERE nickname = 'pop-cert')",
        "certificate = (SELECT certificate FROM entry WHERE nickname = 'pop-cert')",
        "chain = certificate",
        "sealed_key = NULL",
        "sealed_key = zeroblob(100)",
        "tag = (SELECT tag FROM entry WHERE nickname = 'pop-cert')",
    ],
)
def test_an_altered_row_is_named_and_never_served(token: InternalToken, change: str) -> None:
    alter(token.path, f"UPDATE entry SET {change} WHERE nickname = 'imap-cert'")
    nickname = "smtp-cert" if "nickname =" in change.split(" (")[0] else "imap-cert"
    for call in (token.find, token.credentials):
        with pytest.raises(KeystoreError, match=f"{nickname}.*altered"):
            call(nickname)
    with pytest.raises(KeystoreError, match=nickname):
        token.list()


def test_two_rows_swapped_are_both_refused(token: InternalToken) -> None:
    alter(token.path, "UPDATE entry SET nickname = 'x' WHERE nickname = 'imap-cert'")
    alter(token.path, "UPDATE entry SET nickname = 'imap-cert' WHERE nickname = 'pop-cert'")
    alter(token.path, "UPDATE entry SET nickname = 'pop-cert' WHERE nickname = 'x'")
    assert token.inventory().altered == ("imap-cert", "pop-cert")


def test_the_intact_rows_are_served_beside_an_altered_one(token: InternalToken) -> None:
    alter(token.path, "UPDATE entry SET trust = 'C' WHERE nickname = 'Example CA'")
    inventory = token.inventory()
    assert inventory.altered == ("Example CA",)
    assert [record.nickname for record in inventory.records] == ["imap-cert", "pop-cert"]
    assert token.credentials("imap-cert").certificate == IMAP


def test_a_row_of_another_database_is_refused(token: InternalToken, tmp_path: Path) -> None:
    with new_token(tmp_path / "other") as other:
        other.add_key_and_certificate("new", RSA_KEY, [RSA])
    with closing(sqlite3.connect(token.path)) as connection, connection:
        connection.execute("ATTACH ? AS other", (str(other.path),))
        connection.execute(
            "INSERT INTO entry (nickname, trust, public_key, certificate, chain, sealed_key, tag) "
            "SELECT nickname, trust, public_key, certificate, chain, sealed_key, tag "
            "FROM other.entry"
        )
    with pytest.raises(KeystoreError, match=r"new.*altered"):
        token.find("new")


def test_no_flipped_byte_of_the_file_is_ever_served(token: InternalToken, tmp_path: Path) -> None:
    """Whatever byte changes: an error, or exactly what was stored."""
    token.close()
    intact = token.path.read_bytes()
    stored = {"Example CA": CA, "imap-cert": IMAP, "pop-cert": POP}
    seed = random.Random(20260101)
    victim = tmp_path / "victim" / "keystore.sqlite"
    victim.parent.mkdir()
    for position in seed.sample(range(len(intact)), 1000):
        changed = bytearray(intact)
        changed[position] ^= seed.randrange(1, 256)
        for path in victim.parent.iterdir():
            path.unlink()
        victim.write_bytes(changed)
        victim.chmod(0o600)
        with suppress(KeystoreError), InternalToken.open(victim, PASSWORD) as opened:
            check_nothing_altered_is_served(opened, stored)


def check_nothing_altered_is_served(
    opened: InternalToken, stored: dict[str, x509.Certificate]
) -> None:
    for record in opened.inventory().records:
        assert stored[record.nickname] == record.certificate
        expected = "CT" if record.nickname == "Example CA" else "u"
        assert record.trust.letters == expected
    for nickname in ("imap-cert", "pop-cert"):
        with suppress(KeystoreError):
            assert opened.credentials(nickname).certificate == stored[nickname]


def test_a_missing_data_key_is_told(token: InternalToken) -> None:
    alter(token.path, "DELETE FROM data_key")
    with pytest.raises(KeystoreError, match="own key is missing"):
        InternalToken.open(token.path, PASSWORD)


def test_hostile_derivation_parameters_are_refused(token: InternalToken) -> None:
    alter(token.path, "UPDATE data_key SET scrypt_n = 1099511627776")
    with pytest.raises(KeystoreError):
        InternalToken.open(token.path, PASSWORD)


def test_two_openings_see_each_others_changes(token: InternalToken) -> None:
    with InternalToken.open(token.path, PASSWORD) as other:
        other.add_key_and_certificate("new", RSA_KEY, [RSA])
        assert token.require("new").certificate == RSA
        token.remove("new")
        assert other.find("new") is None


def test_several_writers_at_once_lose_nothing(token: InternalToken) -> None:
    errors: list[Exception] = []

    def write(writer: int) -> None:
        try:
            with InternalToken.open(token.path, PASSWORD) as own:
                for number in range(5):
                    own.add_key_and_certificate(f"{writer}-{number}", IMAP_KEY, [IMAP])
        except KeystoreError as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(token.list()) == 3 + 30


def test_one_object_serves_several_threads(token: InternalToken) -> None:
    failures: list[object] = []

    def read() -> None:
        failures.extend(
            nickname
            for nickname in ("imap-cert", "pop-cert") * 10
            if token.credentials(nickname).nickname != nickname
        )

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_copy_of_the_closed_file_opens_elsewhere(token: InternalToken, tmp_path: Path) -> None:
    token.close()
    copy = tmp_path / "elsewhere" / "keystore.sqlite"
    copy.parent.mkdir()
    shutil.copy(token.path, copy)
    with InternalToken.open(copy, PASSWORD) as opened:
        assert opened.credentials("imap-cert").certificate == IMAP


def test_neither_password_nor_key_is_in_the_file(token: InternalToken) -> None:
    token.close()
    content = token.path.read_bytes()
    assert PASSWORD.reveal().encode() not in content
    secret_number = POP_KEY.private_numbers().private_value.to_bytes(32)
    assert secret_number not in content
