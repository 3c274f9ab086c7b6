"""The internal token: certificates, chains, trust flags and sealed private keys in one SQLite file.

Takes the path of the database and its password, returns records of certificates and credentials
for TLS. A row is authenticated each time it is read: one whose bytes were changed behind our back
is reported by nickname and never served. Several processes may read and write at the same time;
one object may be used by several threads. Raises `KeystoreError`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import formats, schema, sealing
from mailfront.keystore.nicknames import unknown_nickname
from mailfront.keystore.records import CertificateRecord, Credentials, Inventory, NewEntry
from mailfront.keystore.rows import Row, sealed_row, verified_record
from mailfront.keystore.trust import TrustFlags, parse_trust

__all__ = ["CertificateRecord", "Credentials", "InternalToken", "Inventory", "NewEntry"]

# The columns stand in the order of the fields of `Row`.
_SELECT_ALL = """SELECT nickname, trust, public_key, certificate, chain, sealed_key, tag
    FROM entry WHERE certificate IS NOT NULL ORDER BY nickname"""
_SELECT_ONE = """SELECT nickname, trust, public_key, certificate, chain, sealed_key, tag
    FROM entry WHERE certificate IS NOT NULL AND nickname = ?"""
_SELECT_DATA_KEY = "SELECT identity, salt, scrypt_n, scrypt_r, scrypt_p, sealed FROM data_key"
_INSERT = """INSERT INTO entry
    (nickname, trust, public_key, certificate, chain, sealed_key, tag)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""


class InternalToken:
    """An opened database. Use `create` or `open`; close it, or use it in a `with` statement."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, keys: sealing.DatabaseKeys
    ) -> None:
        self._path = path
        self._connection = connection
        self._keys = keys
        self._lock = threading.RLock()

    @classmethod
    def create(
        cls,
        path: Path,
        password: Secret,
        *,
        entries: Sequence[NewEntry] = (),
        cost: sealing.DerivationCost = sealing.TODAYS_COST,
    ) -> Self:
        """Make a new database with `entries` in it, durably or not at all, and return it opened.

        Raises `KeystoreError` if there is one already, or an entry cannot be stored.
        """
        stored, keys = sealing.new_data_key(password, cost)

        def fill(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO data_key VALUES (1, ?, ?, ?, ?, ?, ?)",
                (stored.identity, stored.salt, cost.n, cost.r, cost.p, stored.sealed),
            )
            for entry in entries:
                _insert(connection, sealed_row(entry, keys))

        schema.create_file(path, fill)
        return cls(path, schema.open_file(path), keys)

    @classmethod
    def open(cls, path: Path, password: Secret) -> Self:
        """Return the database at `path` opened, at the cost of one key derivation.

        Raises `KeystoreError` if it is missing, damaged, or the password is wrong.
        """
        connection = schema.open_file(path)
        try:
            keys = sealing.open_data_key(_stored_data_key(connection, path), password)
        except sealing.SealError as error:
            connection.close()
            raise KeystoreError(
                "the password does not open the certificate database",
                remedy="the right one stands behind its token's name in config/sslpassword.conf",
                file=path,
            ) from error
        except BaseException:
            connection.close()
            raise
        return cls(path, connection, keys)

    @property
    def path(self) -> Path:
        """The database file."""
        return self._path

    def close(self) -> None:
        """Close the database. Nothing is pending: every change was durable when it returned."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def list(self) -> list[CertificateRecord]:
        """Return every certificate by nickname; no private key is unsealed.

        Raises `KeystoreError` if a row was altered; `inventory` returns the intact ones even then.
        """
        inventory = self.inventory()
        if inventory.altered:
            raise _altered(*inventory.altered, path=self._path)
        return list(inventory.records)

    def inventory(self) -> Inventory:
        """Return every intact certificate, and the nicknames of the rows that were altered."""
        with self._reading() as connection:
            rows = connection.execute(_SELECT_ALL).fetchall()
        records: list[CertificateRecord] = []
        altered: list[str] = []
        for columns in rows:
            row = Row(*columns)
            try:
                records.append(self._verified(row))
            except sealing.SealError:
                altered.append(row.nickname)
        return Inventory(tuple(records), tuple(altered))

    def find(self, nickname: str) -> CertificateRecord | None:
        """Return the certificate with that nickname, or None. Raises if its row was altered."""
        row = self._row(nickname)
        if row is None:
            return None
        try:
            return self._verified(row)
        except sealing.SealError as error:
            raise _altered(nickname, path=self._path) from error

    def require(self, nickname: str) -> CertificateRecord:
        """Like `find`, but an unknown nickname is an error that offers the nearest known ones."""
        record = self.find(nickname)
        if record is None:
            raise unknown_nickname(nickname, self.nicknames())
        return record

    def nicknames(self) -> tuple[str, ...]:
        """Return all nicknames, sorted, without looking at the rows they name."""
        with self._reading() as connection:
            rows = connection.execute("SELECT nickname FROM entry ORDER BY nickname").fetchall()
        return tuple(nickname for (nickname,) in rows)

    def credentials(self, nickname: str) -> Credentials:
        """Return the chain and the key of a certificate, for TLS.

        Raises `KeystoreError` for an unknown nickname, a certificate without key, an altered row.
        """
        row = self._row(nickname)
        if row is None:
            raise unknown_nickname(nickname, self.nicknames())
        try:
            record = self._verified(row)
            if row.sealed_key is None:
                raise KeystoreError(
                    f"the certificate {nickname!r} has no private key here",
                    remedy="a service can present only a certificate whose key is in the database",
                )
            private_key = self._keys.unseal(row.sealed_key, row.statement(self._keys.identity))
        except sealing.SealError as error:
            raise _altered(nickname, path=self._path) from error
        passphrase = os.urandom(32).hex().encode()
        return Credentials(
            nickname=nickname,
            certificate=record.certificate,
            chain_pem=formats.chain_pem((record.certificate, *record.chain)),
            key_pem=formats.encrypted_key_pem(private_key, passphrase),
            passphrase=passphrase,
        )

    def add_key_and_certificate(
        self,
        nickname: str,
        private_key: PrivateKeyTypes,
        chain: Sequence[x509.Certificate],
        trust: str = "u",
    ) -> CertificateRecord:
        """Store a certificate (the first of `chain`), its issuers, and its private key.

        Raises `KeystoreError` if the nickname is taken or malformed, or key and certificate differ.
        """
        flags = parse_trust(trust) | TrustFlags.USER
        return self._add(NewEntry(nickname, chain, private_key, flags))

    def add_authority(
        self, nickname: str, certificate: x509.Certificate, trust: str = "C"
    ) -> CertificateRecord:
        """Store somebody else's certificate as a CA with the given trust flags.

        Raises `KeystoreError` if the nickname is taken or malformed, or no CA's flag is given.
        """
        flags = parse_trust(trust)
        if not flags.is_authority or TrustFlags.USER in flags:
            raise KeystoreError(f"{trust!r} is no trust of a CA", remedy="give C, T, or both")
        return self._add(NewEntry(nickname, (certificate,), None, flags))

    def remove(self, nickname: str) -> None:
        """Delete a certificate and its key. Raises `KeystoreError` for an unknown nickname."""
        with self._writing() as connection:
            deleted = connection.execute("DELETE FROM entry WHERE nickname = ?", (nickname,))
            found = deleted.rowcount > 0
        if not found:
            raise unknown_nickname(nickname, self.nicknames())

    def _add(self, entry: NewEntry) -> CertificateRecord:
        row = sealed_row(entry, self._keys)
        with self._writing() as connection:
            _insert(connection, row)
        return self._verified(row)

    def _row(self, nickname: str) -> Row | None:
        with self._reading() as connection:
            columns = connection.execute(_SELECT_ONE, (nickname,)).fetchone()
        return None if columns is None else Row(*columns)

    def _verified(self, row: Row) -> CertificateRecord:
        return verified_record(row, self._keys)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, schema.plain_errors(self._path):
            yield self._connection

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as connection, schema.transaction(connection):
            yield connection


def _stored_data_key(connection: sqlite3.Connection, path: Path) -> sealing.SealedDataKey:
    with schema.plain_errors(path):
        columns = connection.execute(_SELECT_DATA_KEY).fetchone()
    if columns is None:
        raise KeystoreError("the database's own key is missing", file=path)
    identity, salt, n, r, p, sealed = columns
    if not (
        all(isinstance(number, int) for number in (n, r, p))
        and all(isinstance(blob, bytes) for blob in (identity, salt, sealed))
    ):
        raise KeystoreError("the database's own key is damaged", file=path)
    return sealing.SealedDataKey(identity, salt, sealing.DerivationCost(n, r, p), sealed)


def _insert(connection: sqlite3.Connection, row: Row) -> None:
    try:
        connection.execute(_INSERT, astuple(row))
    except sqlite3.IntegrityError as error:
        raise KeystoreError(
            f"there is a certificate with the nickname {row.nickname!r} already",
            remedy="choose another nickname; `msgcert list-certs` shows those in use",
        ) from error


def _altered(*nicknames: str, path: Path) -> KeystoreError:
    names = ", ".join(repr(nickname) for nickname in nicknames)
    return KeystoreError(
        f"the entry of {names} was altered outside mailfront and is not used",
        remedy="restore the database from a backup, or remove the entry and add it again",
        file=path,
    )
