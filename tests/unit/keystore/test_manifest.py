"""The manifest: which row of each nickname is the present one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from mailfront.keystore.manifest import Manifest, ManifestReader, read_manifest, write_manifest
from mailfront.keystore.sealing import SealError, new_data_key
from tests.support.keystores import CHEAP, PASSWORD

_, KEYS = new_data_key(PASSWORD, CHEAP)
_, OTHER_KEYS = new_data_key(PASSWORD, CHEAP)
TAGS = {"imap-cert": b"1" * 32, "Exämple CA": b"2" * 32}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE manifest (id INTEGER PRIMARY KEY, listed BLOB, tag BLOB)")
        write_manifest(connection, KEYS, Manifest(TAGS))
        yield connection


def test_what_was_written_is_read(connection: sqlite3.Connection) -> None:
    manifest = read_manifest(connection, KEYS)
    for nickname, tag in TAGS.items():
        manifest.check(nickname, tag)
        assert manifest.names(nickname)
    assert manifest.missing([]) == ("Exämple CA", "imap-cert")
    assert manifest.missing(TAGS) == ()


@pytest.mark.parametrize(
    ("nickname", "tag"), [("imap-cert", b"2" * 32), ("pop-cert", b"1" * 32), ("imap-cert", b"")]
)
def test_a_row_that_is_not_the_present_one_is_refused(nickname: str, tag: bytes) -> None:
    with pytest.raises(SealError):
        Manifest(TAGS).check(nickname, tag)


def test_a_newer_row_takes_the_place_of_the_former() -> None:
    manifest = Manifest(TAGS)
    manifest.put("imap-cert", b"3" * 32)
    manifest.drop("Exämple CA")
    manifest.check("imap-cert", b"3" * 32)
    with pytest.raises(SealError):
        manifest.check("imap-cert", b"1" * 32)
    assert not manifest.names("Exämple CA")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE manifest SET listed = zeroblob(10)",
        "UPDATE manifest SET listed = x''",
        "UPDATE manifest SET tag = zeroblob(32)",
        "UPDATE manifest SET tag = 5",
        "DELETE FROM manifest",
    ],
)
def test_an_altered_manifest_is_refused(connection: sqlite3.Connection, statement: str) -> None:
    reader = ManifestReader(KEYS)
    reader.read(connection)
    connection.execute(statement)
    with pytest.raises(SealError):
        reader.read(connection)


def test_the_manifest_of_another_database_is_refused(connection: sqlite3.Connection) -> None:
    with pytest.raises(SealError):
        read_manifest(connection, OTHER_KEYS)


def test_an_unchanged_manifest_is_not_parsed_again(connection: sqlite3.Connection) -> None:
    reader = ManifestReader(KEYS)
    first = reader.read(connection)
    assert reader.read(connection) is first
    write_manifest(connection, KEYS, Manifest({"new": b"4" * 32}))
    reader.read(connection).check("new", b"4" * 32)


def test_reading_to_change_leaves_what_others_read_alone(connection: sqlite3.Connection) -> None:
    reader = ManifestReader(KEYS)
    reader.read(connection)
    read_manifest(connection, KEYS).drop("imap-cert")
    assert reader.read(connection).names("imap-cert")
