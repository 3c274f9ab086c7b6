"""The data key's row, and databases from before there was a manifest."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import data_key, sealing
from mailfront.keystore.internal_token import InternalToken
from tests.support.keystores import CHEAP, PASSWORD, new_token, self_signed


def older_database(directory: Path) -> Path:
    """Return a database as the first format had it: no manifest, a data key of form 1."""
    with new_token(directory) as token:
        for nickname in ("imap-cert", "pop-cert"):
            key, certificate = self_signed()
            token.add_key_and_certificate(nickname, key, [certificate])
        path = token.path
    with closing(sqlite3.connect(path)) as connection, connection:
        stored = data_key.read(connection, path)
        secret = sealing._unwrap(stored, PASSWORD)
        wrapping = sealing.derive(PASSWORD, stored.salt, CHEAP)
        statement = sealing._data_key_statement(stored.identity, stored.salt, CHEAP, 1)
        sealed = sealing._seal(wrapping, secret, statement)
        connection.execute("UPDATE data_key SET sealed = ?", (sealed,))
        connection.execute("ALTER TABLE data_key DROP COLUMN form")
        connection.execute("DROP TABLE manifest")
        connection.execute("DROP TABLE other_data_key")
        connection.execute("DROP TABLE link")
        connection.execute("DROP TABLE revocation_list")
        connection.execute("PRAGMA user_version = 1")
    return path


def test_an_older_database_gets_its_manifest_when_it_is_opened(tmp_path: Path) -> None:
    path = older_database(tmp_path)
    for _ in range(2):
        with InternalToken.open(path, PASSWORD) as token:
            assert token.nicknames() == ("imap-cert", "pop-cert")
            assert len(token.list()) == 2
            token.credentials("imap-cert")


def test_an_altered_row_of_an_older_database_stays_refused(tmp_path: Path) -> None:
    path = older_database(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE entry SET trust = 'CTu' WHERE nickname = 'imap-cert'")
    with InternalToken.open(path, PASSWORD) as token:
        assert token.inventory().altered == ("imap-cert",)


def test_a_wrong_password_leaves_an_older_database_as_it_is(tmp_path: Path) -> None:
    path = older_database(tmp_path)
    with pytest.raises(KeystoreError, match="does not open"):
        InternalToken.open(path, Secret("a guess"))
    InternalToken.open(path, PASSWORD).close()


@pytest.mark.parametrize("form", [0, 1, 3])
def test_a_database_cannot_be_made_an_older_one(tmp_path: Path, form: int) -> None:
    with new_token(tmp_path) as token:
        path = token.path
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE data_key SET form = ?", (form,))
        connection.execute("DELETE FROM manifest")
    with pytest.raises(KeystoreError, match="does not open"):
        InternalToken.open(path, PASSWORD)


def test_the_data_key_can_be_put_under_another_password(tmp_path: Path) -> None:
    new = Secret("another")
    with new_token(tmp_path) as token:
        path = token.path
    with closing(sqlite3.connect(path)) as connection, connection:
        stored = data_key.read(connection, path)
        data_key.write(connection, sealing.rewrap_data_key(stored, PASSWORD, new, CHEAP))
    InternalToken.open(path, new).close()
    with pytest.raises(KeystoreError, match="does not open"):
        InternalToken.open(path, PASSWORD)


def test_further_passwords_open_the_database_too_and_others_do_not(tmp_path: Path) -> None:
    new = Secret("another")
    with new_token(tmp_path) as token:
        path = token.path
    with closing(sqlite3.connect(path)) as connection, connection:
        stored = data_key.read(connection, path)
        data_key.write_others(
            connection, [sealing.rewrap_data_key(stored, PASSWORD, new, CHEAP)] * 2
        )
        assert len(data_key.read_others(connection, path)) == 2
    for password in (PASSWORD, new):
        InternalToken.open(path, password).close()
    with pytest.raises(KeystoreError, match="does not open"):
        InternalToken.open(path, Secret("a guess"))
    with closing(sqlite3.connect(path)) as connection, connection:
        data_key.write_others(connection, ())
        assert data_key.read_others(connection, path) == []
