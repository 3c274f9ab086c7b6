"""A certificate and its private key, kept sealed until TLS needs them.

Takes what one reading of the database found, gives `Credentials` whenever they are wanted, also
after the database has another certificate under that nickname. Thousands of them cost little: the
key stays as it was read.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from mailfront.errors import KeystoreError
from mailfront.keystore import formats, sealing
from mailfront.keystore.records import CertificateRecord, Credentials
from mailfront.keystore.rows import Row, private_key_of


@dataclass(frozen=True, slots=True, repr=False)
class SealedCredentials:
    """The certificate of a row that has a key; the row was verified."""

    record: CertificateRecord
    row: Row
    keys: sealing.DatabaseKeys

    def __repr__(self) -> str:
        return f"SealedCredentials({self.record.nickname!r})"

    def open(self) -> Credentials:
        """Return chain and key for TLS. Raises `KeystoreError` if the key does not open."""
        try:
            key = private_key_of(self.row, self.keys)
        except sealing.SealError as error:
            raise KeystoreError(
                f"the private key of {self.record.nickname!r} does not open"
            ) from error
        assert key is not None
        return credentials_of(self.record, key)


def credentials_of(record: CertificateRecord, key: bytes) -> Credentials:
    """Return a certificate with its private key (PKCS#8 DER), encrypted under a random
    passphrase."""
    passphrase = os.urandom(32).hex().encode()
    return Credentials(
        nickname=record.nickname,
        certificate=record.certificate,
        chain_pem=formats.chain_pem((record.certificate, *record.chain)),
        key_pem=formats.encrypted_key_pem(key, passphrase),
        passphrase=passphrase,
    )
