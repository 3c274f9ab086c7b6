"""A certificate for loopback, made at run time, as credentials that the TLS layer takes."""

from __future__ import annotations

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

from mailfront.keystore import formats
from mailfront.keystore.internal_token import Credentials

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def self_signed(
    nickname: str, name: str = "localhost", *, key: SigningKey | None = None
) -> Credentials:
    """Return a self-signed certificate for `name`, valid for a day; of an ECDSA P-256 key unless
    `key` is given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    passphrase = os.urandom(32).hex().encode()
    return Credentials(
        nickname=nickname,
        certificate=certificate,
        chain_pem=formats.certificate_pem(certificate),
        key_pem=formats.encrypted_key_pem(formats.private_key_der(key), passphrase),
        passphrase=passphrase,
    )
