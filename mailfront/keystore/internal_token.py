"""The internal token: certificates, chains, trust flags and sealed private keys in one SQLite file.

Takes the path of the database and its password, returns records of certificates and credentials
for TLS. A row is authenticated each time it is read: one whose bytes were changed behind our back
is reported by nickname and never served. Several processes may read and write at the same time;
one object may be used by several threads. Raises `KeystoreError`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import change, data_key, formats, schema, sealing
from mailfront.keystore.change import Change, altered_error, pending_error, present_entry
from mailfront.keystore.link_table import read_links
from mailfront.keystore.linked_files import Link
from mailfront.keystore.manifest import Manifest, ManifestReader, read_manifest, write_manifest
from mailfront.keystore.nicknames import unknown_nickname
from mailfront.keystore.records import (
    CertificateRecord,
    Credentials,
    Inventory,
    NewEntry,
    PendingKey,
)
from mailfront.keystore.revocation_table import RevocationTable
from mailfront.keystore.rows import Row, private_key_of
from mailfront.keystore.sealed_credentials import SealedCredentials, credentials_of
from mailfront.keystore.trust import TrustFlags, parse_trust

__all__ = [
    "CertificateRecord",
    "Credentials",
    "InternalToken",
    "Inventory",
    "NewEntry",
    "PendingKey",
]


class InternalToken:
    """An opened database. Use `create` or `open`; close it, or use it in a `with` statement."""

    def __init__(
        self, path: Path, connection: sqlite3.Connection, keys: sealing.DatabaseKeys
    ) -> None:
        self._path = path
        self._connection = connection
        self._keys = keys
        self._manifests = ManifestReader(keys)
        self._lock = threading.RLock()

    @classmethod
    def create(
        cls,
        path: Path,
        password: Secret,
        *,
        entries: Sequence[NewEntry] = (),
        further: Callable[[Change], None] | None = None,
        cost: sealing.DerivationCost = sealing.TODAYS_COST,
    ) -> Self:
        """Make a new database with `entries` in it, durably or not at all, and return it opened.

        `further` takes steps of its own in the same transaction.

        Raises `KeystoreError` if there is one already, or an entry cannot be stored.
        """
        stored, keys = sealing.new_data_key(password, cost)

        def fill(connection: sqlite3.Connection) -> None:
            data_key.write(connection, stored)
            manifest = Manifest()
            step = Change(connection, keys, manifest, path)
            for entry in entries:
                step.add(entry)
            if further is not None:
                further(step)
            write_manifest(connection, keys, manifest)

        schema.create_file(path, fill)
        return cls(path, schema.open_file(path), keys)

    @classmethod
    def open(cls, path: Path, password: Secret) -> Self:
        """Return the database at `path` opened, at the cost of one key derivation.

        Raises `KeystoreError` if it is missing, damaged, or the password is wrong.
        """
        connection = schema.open_file(path)
        try:
            with schema.plain_errors(path):
                keys = data_key.open_keys(connection, path, password)
        except sealing.SealError as error:
            connection.close()
            raise data_key.wrong_password(path) from error
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

        Raises `KeystoreError` if a row was altered or removed outside mailfront; `inventory`
        returns the intact ones even then.
        """
        inventory = self.inventory()
        if inventory.altered:
            raise altered_error(*inventory.altered, path=self._path)
        if inventory.missing:
            names = ", ".join(map(repr, inventory.missing))
            raise KeystoreError(
                f"the entry of {names} was removed outside mailfront",
                remedy="restore the database from a backup, or remove the entry with msgcert too",
                file=self._path,
            )
        return list(inventory.records)

    def inventory(self) -> Inventory:
        """Return all that is intact, and the nicknames of what was altered or removed."""
        with self._reading() as (connection, manifest):
            found = connection.execute(f"{change.SELECT_ROWS} ORDER BY nickname").fetchall()
        rows = [Row(*columns) for columns in found]
        records: list[CertificateRecord] = []
        credentials: dict[str, SealedCredentials] = {}
        pending: list[PendingKey] = []
        altered: list[str] = []
        for row in rows:
            try:
                entry = present_entry(row, self._keys, manifest, self._path)
            except KeystoreError:
                altered.append(row.nickname)
                continue
            if isinstance(entry, PendingKey):
                pending.append(entry)
            else:
                records.append(entry)
                if entry.has_key:
                    credentials[row.nickname] = SealedCredentials(entry, row, self._keys)
        missing = manifest.missing(row.nickname for row in rows)
        return Inventory(tuple(records), tuple(altered), tuple(pending), missing, credentials)

    def client_authorities(self) -> Sequence[CertificateRecord]:
        """Return the intact certificates that are trusted as CAs for clients, by nickname."""
        return self._authorities(TrustFlags.CLIENTS)

    def server_authorities(self) -> Sequence[CertificateRecord]:
        """Return the intact certificates that are trusted as CAs for servers, by nickname."""
        return self._authorities(TrustFlags.SERVERS)

    def _authorities(self, trusted_for: TrustFlags) -> Sequence[CertificateRecord]:
        with self._reading() as (connection, manifest):
            found = connection.execute(
                f"{change.SELECT_ROWS} WHERE trust LIKE ? ORDER BY nickname",
                (f"%{trusted_for.letters}%",),
            ).fetchall()
        records = []
        for columns in found:
            with suppress(KeystoreError):
                records.append(self._present(Row(*columns), manifest))
        return [
            record
            for record in records
            if isinstance(record, CertificateRecord) and trusted_for in record.trust
        ]

    def find(self, nickname: str) -> CertificateRecord | None:
        """Return the certificate with that nickname, or None, also for a key without certificate.

        Raises `KeystoreError` if its row was altered.
        """
        entry = self.find_entry(nickname)
        return entry if isinstance(entry, CertificateRecord) else None

    def find_entry(self, nickname: str) -> CertificateRecord | PendingKey | None:
        """Return the certificate or the pending key with that nickname, or None."""
        with self._reading() as (connection, manifest):
            row = change.row_of(connection, nickname)
        return None if row is None else self._present(row, manifest)

    def require(self, nickname: str) -> CertificateRecord:
        """Like `find`, but an unknown nickname is an error that offers the nearest known ones."""
        entry = self.find_entry(nickname)
        if entry is None:
            raise unknown_nickname(nickname, self.nicknames())
        if isinstance(entry, PendingKey):
            raise pending_error(nickname)
        return entry

    def find_by_public_key(self, public_key: bytes) -> Sequence[CertificateRecord | PendingKey]:
        """Return what has that key (SubjectPublicKeyInfo as DER), pending keys first."""
        with self._reading() as (connection, manifest):
            found = connection.execute(
                f"{change.SELECT_ROWS} WHERE public_key = ? "
                "ORDER BY certificate IS NOT NULL, nickname",
                (public_key,),
            ).fetchall()
        return [self._present(Row(*columns), manifest) for columns in found]

    def nicknames(self) -> tuple[str, ...]:
        """Return all nicknames, sorted, without looking at the rows they name."""
        with self._reading() as (connection, _):
            return change.all_nicknames(connection)

    def links(self) -> Sequence[Link]:
        """Return which nicknames follow which files. Raises `KeystoreError` for an altered row."""
        with self._reading() as (connection, _):
            return read_links(connection, self._keys)

    @contextmanager
    def revocation_lists(self) -> Iterator[RevocationTable]:
        """The revocation lists of CAs as they are at one moment, to be read in the block."""
        with self._reading() as (connection, manifest):
            yield RevocationTable(connection, self._keys, manifest, self._path)

    def private_key(self, nickname: str) -> PrivateKeyTypes:
        """Return the private key of a certificate or of a pending request, unsealed.

        Raises `KeystoreError` for an unknown nickname, one without key, an altered row.
        """
        _, key = self._opened(nickname)
        return formats.load_private_key(key)

    def credentials(self, nickname: str) -> Credentials:
        """Return the chain and the key of a certificate, for TLS.

        Raises `KeystoreError` for an unknown nickname, a certificate without key, an altered row.
        """
        record, key = self._opened(nickname)
        if isinstance(record, PendingKey):
            raise pending_error(nickname)
        return credentials_of(record, key)

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
        with self.change() as step:
            return step.add(NewEntry(nickname, chain, private_key, parse_trust(trust)))

    def add_authority(
        self, nickname: str, certificate: x509.Certificate, trust: str = "C"
    ) -> CertificateRecord:
        """Store somebody else's certificate as a CA with the given trust flags.

        Raises `KeystoreError` if the nickname is taken or malformed, or no CA's flag is given.
        """
        flags = parse_trust(trust)
        if not flags.is_authority or TrustFlags.USER in flags:
            raise KeystoreError(f"{trust!r} is no trust of a CA", remedy="give C, T, or both")
        with self.change() as step:
            return step.add(NewEntry(nickname, (certificate,), None, flags))

    def add_pending_key(self, nickname: str, private_key: PrivateKeyTypes) -> PendingKey:
        """Store a key that waits for its certificate. Raises `KeystoreError` as the other adds."""
        with self.change() as step:
            return step.add_pending_key(nickname, private_key)

    def replace(
        self,
        nickname: str,
        chain: Sequence[x509.Certificate],
        private_key: PrivateKeyTypes | None = None,
    ) -> CertificateRecord:
        """Put another certificate in place of the present one, atomically; see `Change.replace`."""
        with self.change() as step:
            return step.replace(nickname, chain, private_key)

    def set_trust(self, nickname: str, trust: TrustFlags) -> CertificateRecord:
        """Set what a CA is trusted for. Raises `KeystoreError` for an unknown nickname."""
        with self.change() as step:
            return step.set_trust(nickname, trust)

    def remove(self, nickname: str) -> None:
        """Delete a certificate and its key. Raises `KeystoreError` for an unknown nickname."""
        with self.change() as step:
            step.remove(nickname)
            step.unlink(nickname)

    @contextmanager
    def change(self) -> Iterator[Change]:
        """Return the steps of one transaction: all durable at the end of the block, or none.

        Other writers wait meanwhile, so what takes long is done before.
        """
        with (
            self._lock,
            schema.plain_errors(self._path),
            schema.transaction(self._connection),
        ):
            manifest = self._checked(lambda: read_manifest(self._connection, self._keys))
            yield Change(self._connection, self._keys, manifest, self._path)
            write_manifest(self._connection, self._keys, manifest)

    def _opened(self, nickname: str) -> tuple[CertificateRecord | PendingKey, bytes]:
        with self._reading() as (connection, manifest):
            row = change.row_of(connection, nickname)
        if row is None:
            raise unknown_nickname(nickname, self.nicknames())
        entry = self._present(row, manifest)
        try:
            key = private_key_of(row, self._keys)
        except sealing.SealError as error:
            raise altered_error(nickname, path=self._path) from error
        if key is None:
            raise KeystoreError(
                f"the certificate {nickname!r} has no private key here",
                remedy="a service can present only a certificate whose key is in the database",
            )
        return entry, key

    def _present(self, row: Row, manifest: Manifest) -> CertificateRecord | PendingKey:
        return present_entry(row, self._keys, manifest, self._path)

    @contextmanager
    def _reading(self) -> Iterator[tuple[sqlite3.Connection, Manifest]]:
        """Return the connection, and the manifest of the same moment."""
        with (
            self._lock,
            schema.plain_errors(self._path),
            schema.snapshot(self._connection),
        ):
            yield self._connection, self._checked(lambda: self._manifests.read(self._connection))

    def _checked(self, read: Callable[[], Manifest]) -> Manifest:
        try:
            return read()
        except sealing.SealError as error:
            raise KeystoreError(
                "the database's list of its entries was altered outside mailfront",
                remedy="restore it from a backup",
                file=self._path,
            ) from error
