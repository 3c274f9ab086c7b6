"""The revocation lists in the certificate database, one per CA.

A list that is removed or replaced by an older one would let revoked certificates in, so its row is
authenticated like a certificate's and named by the manifest. Takes the connection and keys of an
opened database; raises `KeystoreError` for a row that was altered, removed or put back.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from mailfront.errors import KeystoreError
from mailfront.keystore import formats, sealing
from mailfront.keystore.manifest import Manifest
from mailfront.keystore.revocation_lists import authority_key

# What no nickname begins with.
MANIFEST_PREFIX = "\0crl "
_SELECT = "SELECT issuer, authority, tag FROM revocation_list ORDER BY issuer"
_SELECT_LIST = "SELECT authority, list, tag FROM revocation_list WHERE issuer = ?"
_REPLACE = "INSERT OR REPLACE INTO revocation_list VALUES (?, ?, ?, ?)"
_DELETE = "DELETE FROM revocation_list WHERE issuer = ?"


@dataclass(frozen=True, slots=True)
class StoredList:
    """Where a list is: the CA's `authority_key`, the CA's certificate, and what differs when the
    list does."""

    issuer: bytes
    authority: bytes
    tag: bytes


class RevocationTable:
    """The table `revocation_list` of one opened database."""

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

    def stored(self) -> list[StoredList]:
        """Which lists there are, each the one that was written last."""
        found = [StoredList(*row) for row in self._connection.execute(_SELECT).fetchall()]
        for row in found:
            self._check_present(row.issuer, row.tag)
        present = {_listed(row.issuer) for row in found}
        if any(name not in present for name in self._manifest.beginning_with(MANIFEST_PREFIX)):
            raise self._altered("a revocation list was removed")
        return found

    def issuers(self) -> list[bytes]:
        """The CAs that have, or should have, a list; nothing is proved of the lists."""
        listed = self._manifest.beginning_with(MANIFEST_PREFIX)
        return [bytes.fromhex(name.removeprefix(MANIFEST_PREFIX)) for name in listed]

    def read(self, issuer: bytes) -> tuple[x509.Certificate, bytes] | None:
        """The CA's certificate and its list (DER), or None if there is none."""
        row = self._connection.execute(_SELECT_LIST, (issuer,)).fetchone()
        if row is None:
            return None
        authority, content, tag = row
        self._check_present(issuer, tag)
        try:
            statement = _statement(self._keys, issuer, authority, content)
            self._keys.check_tag(tag, statement, None)
        except (sealing.SealError, TypeError) as failure:
            raise self._altered("a revocation list was altered") from failure
        return formats.load_certificate(authority), content

    def put(self, authority: x509.Certificate, content: bytes) -> None:
        """Store the list (DER) of a CA in place of its former one."""
        issuer, der = authority_key(authority), formats.certificate_der(authority)
        tag = self._keys.tag(_statement(self._keys, issuer, der, content), None)
        self._connection.execute(_REPLACE, (issuer, der, content, tag))
        self._manifest.put(_listed(issuer), tag)

    def remove(self, issuer: bytes) -> bool:
        """Delete the list of a CA, an altered one too; return whether there was, or should have
        been, one."""
        deleted = self._connection.execute(_DELETE, (issuer,)).rowcount > 0
        known = self._manifest.names(_listed(issuer))
        self._manifest.drop(_listed(issuer))
        return deleted or known

    def _check_present(self, issuer: object, tag: object) -> None:
        if not (isinstance(issuer, bytes) and isinstance(tag, bytes)):
            raise self._altered("a revocation list was altered")
        try:
            self._manifest.check(_listed(issuer), tag)
        except sealing.SealError as failure:
            raise self._altered("a revocation list was altered") from failure

    def _altered(self, what: str) -> KeystoreError:
        return KeystoreError(
            f"{what} outside mailfront",
            remedy="add the lists of all CAs again (`msgcert add-crl`), or restore the database "
            "from a backup",
            file=self._path,
        )


def _listed(issuer: bytes) -> str:
    return MANIFEST_PREFIX + issuer.hex()


def _statement(
    keys: sealing.DatabaseKeys, issuer: bytes, authority: bytes, content: bytes
) -> bytes:
    digest = hashlib.sha256(content).digest()
    return sealing.binding(b"mailfront revocation list 1", keys.identity, issuer, authority, digest)
