"""The row that holds the database's data key: reading, writing, and opening it with the password.

A database whose data key has form 1 was made before there was a list of its rows: opening it with
its password makes that list of the rows that are intact, once. Raises `KeystoreError`, and
`SealError` for a wrong password.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import schema, sealing
from mailfront.keystore.change import SELECT_ROWS
from mailfront.keystore.manifest import Manifest, write_manifest
from mailfront.keystore.rows import Row, verified_entry

_SELECT = "SELECT identity, salt, scrypt_n, scrypt_r, scrypt_p, sealed, form FROM data_key"
# Each costs a derivation, so that only as many are read as a change of the password leaves.
_SELECT_OTHERS = """SELECT identity, salt, scrypt_n, scrypt_r, scrypt_p, sealed, form
    FROM other_data_key ORDER BY id LIMIT 2"""
_REPLACE = """INSERT OR REPLACE INTO data_key
    (id, identity, salt, scrypt_n, scrypt_r, scrypt_p, sealed, form)
    VALUES (1, ?, ?, ?, ?, ?, ?, ?)"""
_INSERT_OTHER = """INSERT INTO other_data_key
    (identity, salt, scrypt_n, scrypt_r, scrypt_p, sealed, form)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""


def read(connection: sqlite3.Connection, path: Path) -> sealing.SealedDataKey:
    """Return the data key as it is stored. Raises `KeystoreError` if it is missing or damaged."""
    columns = connection.execute(_SELECT).fetchone()
    if columns is None:
        raise KeystoreError("the database's own key is missing", file=path)
    return _stored(columns, path)


def read_others(connection: sqlite3.Connection, path: Path) -> list[sealing.SealedDataKey]:
    """Return the same data key under further passwords: some only while the password changes."""
    return [_stored(columns, path) for columns in connection.execute(_SELECT_OTHERS).fetchall()]


def _stored(columns: tuple[object, ...], path: Path) -> sealing.SealedDataKey:
    identity, salt, n, r, p, sealed, form = columns
    if not (
        isinstance(n, int)
        and isinstance(r, int)
        and isinstance(p, int)
        and isinstance(form, int)
        and isinstance(identity, bytes)
        and isinstance(salt, bytes)
        and isinstance(sealed, bytes)
    ):
        raise KeystoreError("the database's own key is damaged", file=path)
    return sealing.SealedDataKey(identity, salt, sealing.DerivationCost(n, r, p), sealed, form)


def write(connection: sqlite3.Connection, stored: sealing.SealedDataKey) -> None:
    """Store the data key in place of the present one."""
    connection.execute(_REPLACE, _columns(stored))


def write_others(connection: sqlite3.Connection, stored: Sequence[sealing.SealedDataKey]) -> None:
    """Store the data key under further passwords in place of all that were there."""
    connection.execute("DELETE FROM other_data_key")
    connection.executemany(_INSERT_OTHER, map(_columns, stored))


def _columns(stored: sealing.SealedDataKey) -> tuple[bytes | int, ...]:
    cost = stored.cost
    return (stored.identity, stored.salt, cost.n, cost.r, cost.p, stored.sealed, stored.form)


def open_keys(connection: sqlite3.Connection, path: Path, password: Secret) -> sealing.DatabaseKeys:
    """Return the database's keys, at the cost of one derivation, or two while the password changes.

    Raises `SealError` on a wrong password, `KeystoreError` if the data key is missing or damaged.
    """
    stored, keys = opened_by(connection, path, password)
    if stored.form < sealing.PRESENT_FORM:
        _list_rows(connection, path, password, keys)
    return keys


def opened_by(
    connection: sqlite3.Connection, path: Path, password: Secret
) -> tuple[sealing.SealedDataKey, sealing.DatabaseKeys]:
    """Return what `password` opens, and the keys that it gives. Raises as `open_keys` does."""
    with schema.snapshot(connection):
        candidates = [read(connection, path), *read_others(connection, path)]
    for stored in candidates[:-1]:
        with suppress(sealing.SealError):
            return stored, sealing.open_data_key(stored, password)
    return candidates[-1], sealing.open_data_key(candidates[-1], password)


def wrong_password(path: Path) -> KeystoreError:
    """Return the error for a password that opens no data key."""
    return KeystoreError(
        "the password does not open the certificate database",
        remedy="the right one stands behind its token's name in config/sslpassword.conf",
        file=path,
    )


def _list_rows(
    connection: sqlite3.Connection, path: Path, password: Secret, keys: sealing.DatabaseKeys
) -> None:
    with schema.transaction(connection):
        stored = read(connection, path)
        if stored.form == sealing.PRESENT_FORM:
            return
        manifest = Manifest()
        for columns in connection.execute(SELECT_ROWS).fetchall():
            row = Row(*columns)
            with suppress(sealing.SealError):
                verified_entry(row, keys)
                manifest.put(row.nickname, row.tag)
        write_manifest(connection, keys, manifest)
        write(connection, sealing.rewrap_data_key(stored, password, password, stored.cost))
