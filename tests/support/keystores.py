"""Keystores for tests: cheap to open, and certificates with chosen dates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore import requests
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import write_password
from mailfront.keystore.sealing import DerivationCost

PASSWORD = Secret("correct horse battery staple")
# The cost of a derivation matters to attackers, not to tests.
CHEAP = DerivationCost(n=2, r=1, p=1)


def new_token(directory: Path) -> InternalToken:
    """Return a new, empty internal token in `directory`."""
    return InternalToken.create(directory / "certdb" / "keystore.sqlite", PASSWORD, cost=CHEAP)


def root_with_keystore(path: Path) -> ServerRoot:
    """Return a server root that has an empty certificate database and its password line."""
    root = ServerRoot(path)
    root.config_directory.mkdir(parents=True)
    write_password(root.sslpassword_conf, INTERNAL_TOKEN, PASSWORD)
    InternalToken.create(root.certificate_database, PASSWORD, cost=CHEAP).close()
    return root


def self_signed(
    name: str = "mail.example.test",
    *,
    family: str = "ec",
    now: datetime | None = None,
    days: int = 90,
) -> tuple[requests.PrivateKey, x509.Certificate]:
    """Return a key and a certificate that it signed for itself, made at `now` for `days`."""
    key = requests.KeyKind(family).generate()
    return key, certificate_for(key, name, now=now, days=days)


def certificate_for(
    key: requests.PrivateKey,
    name: str = "mail.example.test",
    *,
    now: datetime | None = None,
    days: int = 90,
) -> x509.Certificate:
    """Return a certificate that `key` signed for itself, made at `now` for `days`."""
    now = datetime.now(UTC) if now is None else now
    subject = requests.build_subject(name=name, country="")
    return requests.self_signed_certificate(
        key,
        subject,
        requests.default_alternative_names(subject),
        now=now,
        expires=now + timedelta(days=days),
    )


def authority(name: str = "Example CA") -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Return the key and the certificate of a CA."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = requests.build_subject(name=name, country="")
    return key, _signed(key, subject, key, subject, is_authority=True)


def intermediate(
    authority_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    name: str,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Return the key (a new one unless given) and the certificate of a CA below another one."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = requests.build_subject(name=name, country="")
    return key, _signed(key, subject, authority_key, authority.subject, is_authority=True)


def issued_by(
    authority_key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    name: str,
    *,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """Return the key (a new one unless given) and the certificate of a server, signed by a CA."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = requests.build_subject(name=name, country="")
    return key, _signed(key, subject, authority_key, authority.subject, is_authority=False)


def _signed(
    key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    *,
    is_authority: bool,
) -> x509.Certificate:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )


def password_file(path: Path, password: Secret = PASSWORD) -> str:
    """Write a password to `path` as options such as `-W` want it, and return the path as text."""
    path.touch(mode=0o600)
    path.write_text(password.reveal() + "\n")
    return str(path)


def pkcs12_file(
    path: Path,
    name: str,
    key: requests.PrivateKey,
    chain: Sequence[x509.Certificate],
    password: Secret = PASSWORD,
) -> Path:
    """Write a PKCS#12 file to `path` whose key derivation costs nothing, and return the path."""
    form = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1)
    leaf, *issuers = chain
    path.write_bytes(
        serialize_key_and_certificates(
            name.encode(), key, leaf, issuers, form.build(password.reveal().encode())
        )
    )
    return path
