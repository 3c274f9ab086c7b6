"""A CA for clients: root, intermediate, certificates with any one fault, revocation lists."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


def new_key(kind: str = "ec") -> Key:
    """A key of the kind `ec`, `rsa` or `ed25519`."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def _digest(key: Key) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True)
class ClientIdentity:
    """A client's key, certificate, and what it sends behind that."""

    key: Key
    certificate: x509.Certificate
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def leaf(self) -> bytes:
        return der(self.certificate)

    @property
    def presented(self) -> tuple[bytes, ...]:
        return tuple(der(one) for one in self.issuers)

    def write(self, directory: Path, name: str = "client") -> Path:
        """Write one PEM file of key and chain; return its path."""
        path = directory / f"{name}.pem"
        path.write_bytes(
            self.key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + b"".join(
                one.public_bytes(serialization.Encoding.PEM)
                for one in (self.certificate, *self.issuers)
            )
        )
        return path

    def load_into(self, context: ssl.SSLContext, directory: Path) -> None:
        context.load_cert_chain(self.write(directory))


class ClientAuthority:
    """A CA and its certificate; `below` makes an intermediate of it."""

    def __init__(
        self,
        name: str = "Staff CA",
        *,
        key: Key | None = None,
        parent: ClientAuthority | None = None,
        path_length: int | None = None,
        permitted: Sequence[str] = (),
        lists: bool = True,
        begins: datetime = NOW - 10 * DAY,
        ends: datetime = NOW + 300 * DAY,
    ) -> None:
        self.certificate: x509.Certificate
        self.key = key or new_key()
        self.parent = parent
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(parent.certificate.subject if parent else subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
            .add_extension(_key_usage(signs=True, lists=lists), critical=True)
        )
        if permitted:
            names = [x509.RFC822Name(one) for one in permitted]
            builder = builder.add_extension(x509.NameConstraints(names, None), critical=True)
        signer = parent.key if parent else self.key
        self.certificate = builder.sign(signer, _digest(signer))

    def issue(
        self,
        name: str = "alice",
        *,
        key: Key | None = None,
        begins: datetime = NOW - DAY,
        ends: datetime = NOW + 90 * DAY,
        usage: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.CLIENT_AUTH,),
        email: str = "",
        list_at: str = "",
        with_issuers: bool = True,
    ) -> ClientIdentity:
        """A client's certificate; with those of the CAs between it and the root."""
        key = key or new_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs=False), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.RFC822Name(email or f"{name}@example.test")]),
                critical=False,
            )
        )
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        if list_at:
            point = x509.DistributionPoint(
                [x509.UniformResourceIdentifier(list_at)], None, None, None
            )
            builder = builder.add_extension(x509.CRLDistributionPoints([point]), critical=False)
        certificate = builder.sign(self.key, _digest(self.key))
        return ClientIdentity(key, certificate, self._intermediates() if with_issuers else ())

    def _intermediates(self) -> tuple[x509.Certificate, ...]:
        if self.parent is None:
            return ()
        return self.certificate, *self.parent._intermediates()

    def revocation_list(
        self,
        revoked: Iterable[int] = (),
        *,
        number: int | None = 1,
        begins: datetime = NOW - timedelta(hours=1),
        ends: datetime = NOW + 7 * DAY,
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
        key: Key | None = None,
    ) -> bytes:
        """A list in DER of the serial numbers that are revoked."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(begins)
            .next_update(ends)
        )
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(begins)
            builder = builder.add_revoked_certificate(entry.build())
        signer = key or self.key
        return builder.sign(signer, _digest(signer)).public_bytes(serialization.Encoding.DER)


def _key_usage(*, signs: bool, lists: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs and lists,
        encipher_only=False,
        decipher_only=False,
    )
