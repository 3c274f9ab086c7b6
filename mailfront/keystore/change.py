"""A change of the certificate database: any number of steps that become durable together.

`InternalToken.change` opens one and commits it. Each step reads what earlier steps wrote, keeps
nickname, certificate and private key together, and leaves no half: an error in any step undoes all
of them. Takes certificates and keys as `cryptography` objects; raises `KeystoreError`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import KeystoreError
from mailfront.keystore import formats, sealing
from mailfront.keystore.link_table import remove_link, write_link
from mailfront.keystore.linked_files import Link
from mailfront.keystore.manifest import Manifest
from mailfront.keystore.nicknames import check_nickname, unknown_nickname
from mailfront.keystore.records import CertificateRecord, NewEntry, PendingKey
from mailfront.keystore.revocation_table import RevocationTable
from mailfront.keystore.rows import (
    Row,
    private_key_of,
    sealed_pending_row,
    sealed_row,
    verified_entry,
)
from mailfront.keystore.trust import TrustFlags, parse_trust

# The columns stand in the order of the fields of `Row`.
SELECT_ROWS = "SELECT nickname, trust, public_key, certificate, chain, sealed_key, tag FROM entry"
_INSERT = """INSERT INTO entry
    (nickname, trust, public_key, certificate, chain, sealed_key, tag)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""


class Change:
    """The steps of one transaction. Not to be used after the block that opened it.

    Within that block, what was changed is read through this object, not through the token.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        keys: sealing.DatabaseKeys,
        manifest: Manifest,
        path: Path,
    ) -> None:
        self._connection = connection
        self._keys = keys
        self._manifest = manifest
        self._path = path

    def nicknames(self) -> tuple[str, ...]:
        """Return all nicknames in use, sorted, those of pending keys too."""
        return all_nicknames(self._connection)

    def find(self, nickname: str) -> CertificateRecord | PendingKey | None:
        """Return what has the nickname, or None. Raises if its row was altered."""
        row = self._row(nickname)
        return None if row is None else self._verified(row)

    def private_key(self, nickname: str) -> PrivateKeyTypes | None:
        """Return the private key behind a nickname, or None if it is not in the database."""
        return self._key_of(self._require(nickname))

    def add(self, entry: NewEntry) -> CertificateRecord:
        """Store a certificate under a new nickname; with key, its trust includes `u`."""
        row = sealed_row(_consistent(entry), self._keys)
        self._insert(row)
        return self._record(row)

    def add_pending_key(self, nickname: str, private_key: PrivateKeyTypes) -> PendingKey:
        """Store a key, under a new nickname, that waits for its certificate."""
        row = sealed_pending_row(nickname, private_key, self._keys)
        self._insert(row)
        entry = verified_entry(row, self._keys)
        assert isinstance(entry, PendingKey)
        return entry

    def put(self, entry: NewEntry) -> CertificateRecord:
        """Store a certificate in place of whatever has its nickname, if anything has."""
        row = sealed_row(_consistent(entry), self._keys)
        if self._row(entry.nickname) is not None:
            self.remove(entry.nickname)
        self._insert(row)
        return self._record(row)

    def replace(
        self,
        nickname: str,
        chain: Sequence[x509.Certificate],
        private_key: PrivateKeyTypes | None = None,
    ) -> CertificateRecord:
        """Put another certificate (the first of `chain`) and its issuers in place of the present.

        Without `private_key` the present key stays, so the certificate must be one for it; this is
        also how a pending key gets its certificate. The trust flags stay.
        """
        row = self._require(nickname)
        if private_key is None and chain:
            if formats.certificate_public_key_der(chain[0]) != row.public_key:
                raise KeystoreError(
                    f"the new certificate is not for the private key of {nickname!r}",
                    remedy="give the private key that it was made for, or the certificate that "
                    "was made for this one",
                )
            private_key = self._key_of(row)
        trust = parse_trust(row.trust)
        key_elsewhere = private_key is None and TrustFlags.USER in trust
        return self.put(NewEntry(nickname, chain, private_key, trust, key_elsewhere))

    def set_trust(self, nickname: str, trust: TrustFlags) -> CertificateRecord:
        """Trust a certificate as a CA for what `trust` says; `u` stays as the key has it."""
        return self.put(self._entry(self._require(nickname), trust))

    def rename(self, nickname: str, new_nickname: str) -> CertificateRecord | PendingKey:
        """Give what is under `nickname` another nickname, which must be free."""
        row = self._require(nickname)
        # Judged before anything is removed: a step that fails changes nothing.
        check_nickname(new_nickname)
        if self._row(new_nickname) is not None:
            raise _taken(new_nickname)
        if row.certificate is not None:
            entry = replace(self._entry(row, parse_trust(row.trust)), nickname=new_nickname)
            self.remove(nickname)
            return self.add(entry)
        private_key = self._key_of(row)
        assert private_key is not None
        self.remove(nickname)
        return self.add_pending_key(new_nickname, private_key)

    def remove(self, nickname: str) -> None:
        """Delete a certificate and its key, or a pending key; also one that was altered."""
        deleted = self._connection.execute("DELETE FROM entry WHERE nickname = ?", (nickname,))
        if deleted.rowcount == 0 and not self._manifest.names(nickname):
            raise unknown_nickname(nickname, self.nicknames())
        self._manifest.drop(nickname)

    def link(self, link: Link) -> None:
        """Let the certificate of a nickname follow files, in place of any it followed before."""
        self._require(link.nickname)
        write_link(self._connection, self._keys, link)

    def unlink(self, nickname: str) -> bool:
        """Let a nickname follow no files any more; return whether it did."""
        return remove_link(self._connection, nickname)

    @property
    def revocation_lists(self) -> RevocationTable:
        """The revocation lists, to be read and changed."""
        return RevocationTable(self._connection, self._keys, self._manifest, self._path)

    def _entry(self, row: Row, trust: TrustFlags) -> NewEntry:
        """Return the certificate of a row, with its key, as one to be stored."""
        present = self._verified(row)
        if isinstance(present, PendingKey):
            raise pending_error(row.nickname)
        chain = (present.certificate, *present.chain)
        key_elsewhere = present.key_on_other_token
        return NewEntry(row.nickname, chain, self._key_of(row), trust, key_elsewhere)

    def _insert(self, row: Row) -> None:
        try:
            self._connection.execute(_INSERT, astuple(row))
        except sqlite3.IntegrityError as error:
            raise _taken(row.nickname) from error
        self._manifest.put(row.nickname, row.tag)

    def _row(self, nickname: str) -> Row | None:
        return row_of(self._connection, nickname)

    def _require(self, nickname: str) -> Row:
        row = self._row(nickname)
        if row is None:
            raise unknown_nickname(nickname, self.nicknames())
        self._verified(row)
        return row

    def _verified(self, row: Row) -> CertificateRecord | PendingKey:
        return present_entry(row, self._keys, self._manifest, self._path)

    def _record(self, row: Row) -> CertificateRecord:
        entry = self._verified(row)
        assert isinstance(entry, CertificateRecord)
        return entry

    def _key_of(self, row: Row) -> PrivateKeyTypes | None:
        try:
            private_key = private_key_of(row, self._keys)
        except sealing.SealError as error:
            raise altered_error(row.nickname, path=self._path) from error
        return None if private_key is None else formats.load_private_key(private_key)


def row_of(connection: sqlite3.Connection, nickname: str) -> Row | None:
    """Return the row of a nickname as it is stored, unverified, or None."""
    found = connection.execute(f"{SELECT_ROWS} WHERE nickname = ?", (nickname,)).fetchone()
    return None if found is None else Row(*found)


def all_nicknames(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return all nicknames, sorted, without looking at the rows they name."""
    rows = connection.execute("SELECT nickname FROM entry ORDER BY nickname").fetchall()
    return tuple(nickname for (nickname,) in rows)


def present_entry(
    row: Row, keys: sealing.DatabaseKeys, manifest: Manifest, path: Path
) -> CertificateRecord | PendingKey:
    """Return what a row holds. Raises `KeystoreError` if it was altered, or is not the latest."""
    try:
        entry = verified_entry(row, keys)
        manifest.check(row.nickname, row.tag)
    except sealing.SealError as error:
        raise altered_error(row.nickname, path=path) from error
    return entry


def altered_error(*nicknames: str, path: Path) -> KeystoreError:
    """Return the error for rows that somebody else wrote."""
    names = ", ".join(repr(nickname) for nickname in nicknames)
    return KeystoreError(
        f"the entry of {names} was altered outside mailfront and is not used",
        remedy="restore the database from a backup, or remove the entry and add it again",
        file=path,
    )


def _taken(nickname: str) -> KeystoreError:
    return KeystoreError(
        f"there is a certificate with the nickname {nickname!r} already",
        remedy="choose another nickname; `msgcert list-certs` shows those in use",
    )


def pending_error(nickname: str) -> KeystoreError:
    """Return the error for a use of a key whose certificate has not come yet."""
    return KeystoreError(
        f"{nickname!r} is a key that waits for its certificate",
        remedy=f"install the CA's answer with `msgcert add-cert {nickname} FILE`",
    )


def _consistent(entry: NewEntry) -> NewEntry:
    has_key = entry.private_key is not None or entry.key_on_other_token
    present = TrustFlags.USER if has_key else TrustFlags.NONE
    return replace(entry, trust=(entry.trust & ~TrustFlags.USER) | present)
