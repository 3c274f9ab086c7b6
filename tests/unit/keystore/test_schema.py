"""The SQLite file: made whole or not at all, private, and one of ours."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore import schema


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "certdb" / "keystore.sqlite"
    schema.create_file(path, lambda connection: None)
    return path


def test_a_new_database_is_private_and_alone_in_its_directory(database: Path) -> None:
    assert database.stat().st_mode & 0o777 == 0o600
    assert database.parent.stat().st_mode & 0o777 == 0o700
    assert list(database.parent.iterdir()) == [database]
    assert database.stat().st_nlink == 1


def test_the_write_ahead_log_is_private_too(database: Path) -> None:
    with closing(schema.open_file(database)) as connection:
        with schema.transaction(connection):
            connection.execute("DELETE FROM entry")
        modes = {path.stat().st_mode & 0o777 for path in database.parent.iterdir()}
        assert len(list(database.parent.iterdir())) == 3
    assert modes == {0o600}


def test_the_file_says_which_format_it_has(database: Path) -> None:
    with closing(schema.open_file(database)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.SCHEMA_VERSION,)
        assert connection.execute("PRAGMA application_id").fetchone() == (schema.APPLICATION_ID,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)


def test_an_existing_database_is_never_overwritten(database: Path) -> None:
    before = database.read_bytes()
    with pytest.raises(KeystoreError, match="already"):
        schema.create_file(database, lambda connection: None)
    assert database.read_bytes() == before
    assert list(database.parent.iterdir()) == [database]


def test_a_failed_creation_leaves_nothing(tmp_path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        raise KeystoreError("not today")

    with pytest.raises(KeystoreError, match="not today"):
        schema.create_file(tmp_path / "keystore.sqlite", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_change_leaves_the_old_state(database: Path) -> None:
    with closing(schema.open_file(database)) as connection:
        with pytest.raises(KeystoreError):
            change_and_fail(connection)
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.SCHEMA_VERSION,)
        assert not connection.in_transaction


def change_and_fail(connection: sqlite3.Connection) -> None:
    with schema.transaction(connection):
        connection.execute("PRAGMA user_version = 77")
        raise KeystoreError("not today")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_database_open_to_others_is_refused_with_the_remedy(database: Path, mode: int) -> None:
    database.chmod(mode)
    with pytest.raises(KeystoreError, match="chmod 600"):
        schema.open_file(database)


def test_a_directory_that_others_may_write_is_refused(database: Path) -> None:
    database.parent.chmod(0o770)
    with pytest.raises(KeystoreError, match="chmod 700"):
        schema.open_file(database)


def test_a_missing_database_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="generate-certDB"):
        schema.open_file(tmp_path / "keystore.sqlite")


def test_a_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keystore.sqlite").mkdir()
    with pytest.raises(KeystoreError, match="regular file"):
        schema.open_file(tmp_path / "keystore.sqlite")


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keystore.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    path.chmod(0o600)
    with pytest.raises(KeystoreError, match="not a certificate database"):
        schema.open_file(path)


@pytest.mark.parametrize("content", [b"", b"garbage" * 1000])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keystore.sqlite"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeystoreError):
        schema.open_file(path)


def test_a_newer_format_is_refused(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION + 1}")
    with pytest.raises(KeystoreError, match="newer mailfront"):
        schema.open_file(database)


def test_a_path_with_odd_characters_works(tmp_path: Path) -> None:
    path = tmp_path / "a b?c#d%20é" / "keystore.sqlite"
    schema.create_file(path, lambda connection: None)
    schema.open_file(path).close()
    assert path.is_file()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_we_may_not_write_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(KeystoreError, match="Permission denied"):
        schema.create_file(tmp_path / "keystore.sqlite", lambda connection: None)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (sqlite3.OperationalError("database is locked"), "try again"),
        (sqlite3.OperationalError("database or disk is full"), "nothing was changed"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "owner"),
        (sqlite3.DatabaseError("database disk image is malformed"), "backup"),
        (UnicodeDecodeError("utf-8", b"\xbe", 0, 1, "invalid"), "backup"),
        (PermissionError(13, "Permission denied"), "Permission denied"),
    ],
)
def test_errors_below_are_told_in_plain_words(tmp_path: Path, error: Exception, words: str) -> None:
    with pytest.raises(KeystoreError, match=words), schema.plain_errors(tmp_path):
        raise error
