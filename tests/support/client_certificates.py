"""Client certificates with chosen names, made at run time; the signature proves nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from mailfront.keystore.formats import certificate_der

_TYPES = {
    "E": NameOID.EMAIL_ADDRESS,
    "UID": NameOID.USER_ID,
    "CN": NameOID.COMMON_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "C": NameOID.COUNTRY_NAME,
    "L": NameOID.LOCALITY_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "title": NameOID.TITLE,
    "serialNumber": NameOID.SERIAL_NUMBER,
}
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KEY = ec.generate_private_key(ec.SECP256R1())
ANN = "E=ann@example.com,UID=ann,CN=Ann Lee,OU=Sales,O=Example,C=US"
ISSUER = "CN=Client CA,O=Example,C=US"

SMTP_UTF8_MAILBOX = "1.3.6.1.5.5.7.8.9"
USER_PRINCIPAL_NAME = "1.3.6.1.4.1.311.20.2.3"


def name_of(text: str) -> x509.Name:
    """The name whose parts are `text`, the most specific first, none of them with a comma."""
    parts = [part.split("=", 1) for part in text.split(",") if part]
    return x509.Name([x509.NameAttribute(_TYPES[kind], value) for kind, value in reversed(parts)])


def other_name(identifier: str, text: str) -> x509.OtherName:
    """A name of a further kind, whose value is a UTF8String."""
    octets = text.encode()
    return x509.OtherName(x509.ObjectIdentifier(identifier), bytes((0x0C, len(octets))) + octets)


def client_certificate(
    subject: str = ANN,
    *,
    issuer: str = ISSUER,
    alternative: Sequence[x509.GeneralName] = (),
    extensions: Sequence[x509.ExtensionType] = (),
    key: Key = KEY,
    signer: Key = KEY,
    begins: datetime | None = None,
    days: float = 30,
) -> x509.Certificate:
    """A certificate of `key` that names `issuer` as its issuer and is signed with `signer`."""
    begins = begins or datetime.now(UTC) - timedelta(hours=1)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(subject))
        .issuer_name(name_of(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )
    if alternative:
        builder = builder.add_extension(
            x509.SubjectAlternativeName(alternative), critical=not subject
        )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(signer, digest)


def client_der(subject: str = ANN, *, alternative: Sequence[x509.GeneralName] = ()) -> bytes:
    """The DER of a certificate with these names."""
    return certificate_der(client_certificate(subject, alternative=alternative))
