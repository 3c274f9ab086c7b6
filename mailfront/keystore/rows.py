"""One row of the certificate database: from an entry to a sealed, authenticated row and back.

Takes entries and the database's keys, returns rows; takes rows, returns records, or raises
`SealError` if anything in the row was altered.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from mailfront.errors import KeystoreError
from mailfront.keystore import formats, sealing
from mailfront.keystore.nicknames import check_nickname
from mailfront.keystore.records import CertificateRecord, NewEntry, PendingKey
from mailfront.keystore.trust import TrustFlags, parse_trust


@dataclass(frozen=True)
class Row:
    """One row of the table `entry` as it is stored; the columns in the order of the fields.

    A row without certificate is a key that waits for one; without sealed key, it is somebody
    else's certificate.
    """

    nickname: str
    trust: str
    public_key: bytes
    certificate: bytes | None
    chain: bytes
    sealed_key: bytes | None
    tag: bytes

    def is_well_typed(self) -> bool:
        """Whether every column has its type: whoever edits the file need not keep to the schema."""
        texts = (self.nickname, self.trust)
        blobs = (self.public_key, self.chain, self.tag)
        optional = (self.certificate, self.sealed_key)
        return (
            all(isinstance(text, str) for text in texts)
            and all(isinstance(blob, bytes) for blob in blobs)
            # Empty is neither: the statement could not tell it from absent.
            and all(blob is None or (isinstance(blob, bytes) and blob) for blob in optional)
        )

    def statement(self, identity: bytes) -> bytes:
        """Return all that the row says but its private key, bound to this database."""
        return sealing.binding(
            b"mailfront entry 1",
            identity,
            self.nickname.encode(),
            self.trust.encode(),
            self.public_key,
            self.certificate or b"",
            self.chain,
        )


def sealed_row(entry: NewEntry, keys: sealing.DatabaseKeys) -> Row:
    """Return the row that stores `entry`.

    Raises `KeystoreError` for a malformed nickname, or a key that is not the certificate's.
    """
    check_nickname(entry.nickname)
    if not entry.chain:
        raise KeystoreError(f"no certificate was given for {entry.nickname!r}")
    if len(entry.chain) > formats.MAXIMUM_CHAIN:
        raise KeystoreError(f"a chain of more than {formats.MAXIMUM_CHAIN} certificates")
    for certificate in entry.chain:
        formats.require_readable(certificate)
    leaf, *issuers = entry.chain
    public_key = formats.certificate_public_key_der(leaf)
    key = entry.private_key
    if key is not None and formats.private_key_public_der(key) != public_key:
        raise KeystoreError(
            f"the private key is not the one of the certificate {entry.nickname!r}",
            remedy="give the certificate together with the key that it was made for",
        )
    unsealed = Row(
        nickname=entry.nickname,
        trust=entry.trust.letters,
        public_key=public_key,
        certificate=formats.certificate_der(leaf),
        chain=formats.join_certificates(issuers),
        sealed_key=None,
        tag=b"",
    )
    return _sealed(unsealed, key, keys)


def sealed_pending_row(nickname: str, key: PrivateKeyTypes, keys: sealing.DatabaseKeys) -> Row:
    """Return the row that keeps `key` until its certificate comes.

    Raises `KeystoreError` for a malformed nickname.
    """
    check_nickname(nickname)
    unsealed = Row(
        nickname=nickname,
        trust=TrustFlags.USER.letters,
        public_key=formats.private_key_public_der(key),
        certificate=None,
        chain=b"",
        sealed_key=None,
        tag=b"",
    )
    return _sealed(unsealed, key, keys)


def _sealed(unsealed: Row, key: PrivateKeyTypes | None, keys: sealing.DatabaseKeys) -> Row:
    statement = unsealed.statement(keys.identity)
    sealed_key = None if key is None else keys.seal(formats.private_key_der(key), statement)
    return replace(unsealed, sealed_key=sealed_key, tag=keys.tag(statement, sealed_key))


def verified_entry(row: Row, keys: sealing.DatabaseKeys) -> CertificateRecord | PendingKey:
    """Return what a row holds. Raises `SealError` if anything in it was altered."""
    if not row.is_well_typed():
        raise sealing.SealError("a column has another type than it was written with")
    keys.check_tag(row.tag, row.statement(keys.identity), row.sealed_key)
    if row.certificate is None:
        return PendingKey(row.nickname, formats.load_public_key(row.public_key))
    return CertificateRecord(
        nickname=row.nickname,
        certificate=formats.load_certificate(row.certificate),
        chain=formats.split_certificates(row.chain),
        trust=parse_trust(row.trust),
        has_key=row.sealed_key is not None,
    )


def verified_record(row: Row, keys: sealing.DatabaseKeys) -> CertificateRecord:
    """Return the certificate of a row that has one. Raises `SealError` as `verified_entry`."""
    entry = verified_entry(row, keys)
    if isinstance(entry, PendingKey):
        raise sealing.SealError("the row has no certificate")
    return entry


def private_key_of(row: Row, keys: sealing.DatabaseKeys) -> bytes | None:
    """Return the row's private key as PKCS#8 DER, or None if it has none. Raises `SealError`."""
    if row.sealed_key is None:
        return None
    return keys.unseal(row.sealed_key, row.statement(keys.identity))
