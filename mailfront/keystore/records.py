"""What the keystore hands out and takes in: certificates, credentials for TLS, new entries.

Values only; `internal_token` makes them and reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)

from mailfront.keystore import formats
from mailfront.keystore.nicknames import INTERNAL_TOKEN, QualifiedNickname
from mailfront.keystore.trust import TrustFlags

if TYPE_CHECKING:
    from mailfront.keystore.sealed_credentials import SealedCredentials


@dataclass(frozen=True)
class CertificateRecord:
    """A certificate as the token holds it: public facts only.

    `has_key` tells whether its private key is in the same token, and `accelerator` the label of
    the token that is lent that key to sign with it, if one is.
    """

    nickname: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    trust: TrustFlags
    has_key: bool
    token: str = INTERNAL_TOKEN
    accelerator: str = ""

    @property
    def qualified_nickname(self) -> str:
        """The nickname as options name it: with its token in front, unless that is internal."""
        return str(QualifiedNickname(self.token, self.nickname))

    @property
    def key_on_other_token(self) -> bool:
        """Whether its private key is known to be on another token than the certificate."""
        return TrustFlags.USER in self.trust and not self.has_key

    @cached_property
    def key_type(self) -> str:
        """The family of the key: `rsa`, `ec`, `ed25519`, …"""
        return formats.key_type(self.certificate.public_key())

    @cached_property
    def key_description(self) -> str:
        """The key's family and size for people, such as `EC P-256`."""
        return formats.key_description(self.certificate.public_key())

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 fingerprint, upper-case hexadecimal with colons."""
        return formats.sha256_fingerprint(self.certificate)


@dataclass(frozen=True)
class PendingKey:
    """A private key that waits for its certificate: a request was made with it."""

    nickname: str
    public_key: CertificatePublicKeyTypes
    token: str = INTERNAL_TOKEN

    @property
    def qualified_nickname(self) -> str:
        """The nickname as options name it: with its token in front, unless that is internal."""
        return str(QualifiedNickname(self.token, self.nickname))

    @cached_property
    def key_type(self) -> str:
        """The family of the key: `rsa`, `ec`, `ed25519`, …"""
        return formats.key_type(self.public_key)

    @cached_property
    def key_description(self) -> str:
        """The key's family and size for people, such as `EC P-256`."""
        return formats.key_description(self.public_key)


@dataclass(frozen=True)
class Credentials:
    """What `ssl.SSLContext.load_cert_chain` needs: chain, encrypted key, and its passphrase.

    The passphrase is random and belongs to this object alone; the key is PKCS#8 PEM. Where
    `module` is the library of a PKCS#11 module, the key stays on a token: the PEM says where, and
    the passphrase is the PIN. `lent` is to be held while a context uses the key.
    """

    nickname: str
    certificate: x509.Certificate
    chain_pem: bytes
    key_pem: bytes
    passphrase: bytes
    module: Path | None = None
    lent: object | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.nickname!r})"


@dataclass(frozen=True)
class NewEntry:
    """A certificate to be stored: the leaf first in `chain`, its private key if we hold it.

    `key_on_other_token` says that the key is on a PKCS#11 token, where it stays.
    """

    nickname: str
    chain: Sequence[x509.Certificate]
    private_key: PrivateKeyTypes | None
    trust: TrustFlags
    key_on_other_token: bool = False


@dataclass(frozen=True)
class Inventory:
    """All that the token holds.

    The intact certificates, the keys that wait for one, the nicknames of rows that were altered
    outside mailfront, and the nicknames of rows that were removed outside mailfront. `credentials`
    are those of the certificates with a key, as they were when this was read, by nickname.
    """

    records: tuple[CertificateRecord, ...]
    altered: tuple[str, ...]
    pending: tuple[PendingKey, ...] = ()
    missing: tuple[str, ...] = ()
    credentials: Mapping[str, SealedCredentials] = field(default_factory=dict)
