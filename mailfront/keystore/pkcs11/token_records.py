"""What is on a PKCS#11 token, as values: keys, certificates, and which belongs to which.

Pure: `objects` reads a token and fills these in. An object's nickname is its label, as far as one
can name it in an option; without label it is the object's CKA_ID in hexadecimal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pkcs11
from cryptography import x509

from mailfront.errors import KeystoreError
from mailfront.keystore import formats
from mailfront.keystore.chain import build_chain
from mailfront.keystore.nicknames import check_nickname, nickname_from
from mailfront.keystore.pkcs11.public_keys import ServablePublicKey
from mailfront.keystore.records import CertificateRecord, PendingKey
from mailfront.keystore.trust import TrustFlags


@dataclass(frozen=True, slots=True)
class KeyProtection:
    """What the token says of a private key's protection; None where it does not tell.

    `local` keys were made on the token; the others came from outside at some time.
    """

    sensitive: bool | None = None
    always_sensitive: bool | None = None
    extractable: bool | None = None
    never_extractable: bool | None = None
    local: bool | None = None
    always_authenticate: bool | None = None

    def __str__(self) -> str:
        """The facts in the words and the order of pkcs11-tool."""
        facts = (
            ("sensitive", self.sensitive),
            ("always sensitive", self.always_sensitive),
            ("extractable", self.extractable),
            ("never extractable", self.never_extractable),
            ("local", self.local),
            ("PIN for every signature", self.always_authenticate),
        )
        return ", ".join(text for text, holds in facts if holds) or "not told"


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A private key on a token. `found` is good as long as the session that found it.

    `public_key` is None where nothing on the token tells it: an EC key whose public half was not
    stored. `family` is `rsa`, `ec`, or the name of what no TLS server here can use.
    """

    token: str
    nickname: str
    identifier: bytes
    family: str
    public_key: ServablePublicKey | None
    protection: KeyProtection
    found: pkcs11.PrivateKey = field(repr=False, compare=False)

    @property
    def public_der(self) -> bytes:
        """The SubjectPublicKeyInfo, empty where it is unknown."""
        return b"" if self.public_key is None else formats.public_key_der(self.public_key)

    @property
    def description(self) -> str:
        """Family and size for people."""
        if self.public_key is None:
            return self.family.upper()
        return formats.key_description(self.public_key)

    @property
    def pending(self) -> PendingKey | None:
        """The key as one that waits for its certificate, if its public half is known."""
        if self.public_key is None:
            return None
        return PendingKey(self.nickname, self.public_key, self.token)


@dataclass(frozen=True, slots=True)
class TokenCertificate:
    """A certificate on a token, and its private key if that is on the same token."""

    token: str
    nickname: str
    identifier: bytes
    certificate: x509.Certificate
    key: TokenKey | None
    found: pkcs11.Object = field(repr=False, compare=False)

    @property
    def public_der(self) -> bytes:
        """The SubjectPublicKeyInfo, empty for a key of a kind that cannot be used."""
        try:
            return formats.certificate_public_key_der(self.certificate)
        except KeystoreError:
            return b""

    def record(self, known: Iterable[x509.Certificate] = ()) -> CertificateRecord:
        """Return the certificate as listings and services see it, its issuers out of `known`."""
        return CertificateRecord(
            nickname=self.nickname,
            certificate=self.certificate,
            chain=build_chain(self.certificate, known=known).intermediates,
            trust=TrustFlags.NONE if self.key is None else TrustFlags.USER,
            has_key=self.key is not None,
            token=self.token,
        )


@dataclass(frozen=True, slots=True)
class TokenContents:
    """All certificates and private keys of a token, and why something on it cannot be used."""

    token: str
    certificates: tuple[TokenCertificate, ...]
    keys: tuple[TokenKey, ...]
    unusable: tuple[str, ...] = ()

    @property
    def waiting(self) -> tuple[TokenKey, ...]:
        """The keys that could serve and have no certificate on this token."""
        certified = {one.public_der for one in self.certificates}
        return tuple(
            key
            for key in self.keys
            if key.public_key is not None and key.public_der not in certified
        )

    @property
    def issuers(self) -> tuple[x509.Certificate, ...]:
        """The certificates among which a chain's issuers are looked for."""
        return tuple(one.certificate for one in self.certificates)

    def records(self, known: Sequence[x509.Certificate] = ()) -> list[CertificateRecord]:
        """Return the certificates by nickname, with chains out of the token's and those `known`."""
        by_subject: dict[bytes, list[x509.Certificate]] = {}
        for issuer in dict.fromkeys((*self.issuers, *known)):
            by_subject.setdefault(issuer.subject.public_bytes(), []).append(issuer)
        records = (
            one.record(_possible_issuers(one.certificate, by_subject)) for one in self.certificates
        )
        return sorted(records, key=lambda one: one.nickname)


def _possible_issuers(
    certificate: x509.Certificate, by_subject: Mapping[bytes, Sequence[x509.Certificate]]
) -> list[x509.Certificate]:
    """Return those that a certificate's chain can be made of: a token may hold thousands."""
    found: dict[bytes, Sequence[x509.Certificate]] = {}
    names = {certificate.issuer.public_bytes()} - {certificate.subject.public_bytes()}
    for _ in range(formats.MAXIMUM_CHAIN):
        found.update({name: by_subject.get(name, ()) for name in names})
        issuers = {one.issuer.public_bytes() for name in names for one in found[name]}
        names = issuers - set(found)
    return [one for issuers_of_name in found.values() for one in issuers_of_name]


def nickname_of(label: str, identifier: bytes) -> str:
    """Return the nickname of an object with that label and CKA_ID; it may be empty."""
    try:
        check_nickname(label)
    except KeystoreError:
        return nickname_from(label) or identifier.hex()
    return label


def with_keys(
    certificates: Iterable[TokenCertificate], keys: Iterable[TokenKey]
) -> Iterator[TokenCertificate]:
    """Yield the certificates, each with the private key of its public key, if there is one.

    Of several copies of one key, that with the certificate's identifier is preferred.
    """
    by_public: dict[bytes, list[TokenKey]] = {}
    for key in keys:
        if key.public_key is not None:
            by_public.setdefault(key.public_der, []).append(key)
    for one in certificates:
        copies = by_public.get(one.public_der, [])
        same = (key for key in copies if key.identifier == one.identifier)
        yield replace(one, key=next(same, copies[0] if copies else None))
