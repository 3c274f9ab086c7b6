"""The row that holds the database's data key: reading, writing, and opening it with the password.

A database whose data key has form 1 was made before there was a list of its rows: opening it with
its password makes that list of the rows that are intact, once. Raises `KeystoreError`, and
`SealError` for a wrong password.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import schema, sealing
from mailfront.keystore.change import SELECT_ROWS
from mailfront.keystore.manifest import Manifest, write_manifest
from mailfront.keystore.rows import Row, verified_entry

_SELECT = "SELECT identity, salt, scrypt_n, scrypt_r, scrypt_p, sealed, form FROM data_key"
_REPLACE = """INSERT OR REPLACE INTO data_key
    (id, identity, salt, scrypt_n, scrypt_r, scrypt_p, sealed, form)
    VALUES (1, ?, ?, ?, ?, ?, ?, ?)"""


def read(connection: sqlite3.Connection, path: Path) -> sealing.SealedDataKey:
    """Return the data key as it is stored. Raises `KeystoreError` if it is missing or damaged."""
    columns = connection.execute(_SELECT).fetchone()
    if columns is None:
        raise KeystoreError("the database's own key is missing", file=path)
    identity, salt, n, r, p, sealed, form = columns
    if not (
        all(isinstance(number, int) for number in (n, r, p, form))
        and all(isinstance(blob, bytes) for blob in (identity, salt, sealed))
    ):
        raise KeystoreError("the database's own key is damaged", file=path)
    return sealing.SealedDataKey(identity, salt, sealing.DerivationCost(n, r, p), sealed, form)


def write(connection: sqlite3.Connection, stored: sealing.SealedDataKey) -> None:
    """Store the data key in place of the present one."""
    cost = stored.cost
    connection.execute(
        _REPLACE,
        (stored.identity, stored.salt, cost.n, cost.r, cost.p, stored.sealed, stored.form),
    )


def open_keys(connection: sqlite3.Connection, path: Path, password: Secret) -> sealing.DatabaseKeys:
    """Return the database's keys, at the cost of one derivation.

    Raises `SealError` on a wrong password, `KeystoreError` if the data key is missing or damaged.
    """
    stored = read(connection, path)
    keys = sealing.open_data_key(stored, password)
    if stored.form < sealing.PRESENT_FORM:
        _list_rows(connection, path, password, keys)
    return keys


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
