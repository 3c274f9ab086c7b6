"""Certificates with chosen names, for the choice by name: self-signed, of one key unless given."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mailfront.keystore import requests
from mailfront.keystore.records import CertificateRecord
from mailfront.keystore.trust import TrustFlags

KEY = ec.generate_private_key(ec.SECP256R1())


def certificate(
    *names: str,
    key: requests.PrivateKey = KEY,
    days: float = 90,
    begins: datetime | None = None,
    purpose: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    """A certificate for `names`, self-signed."""
    begins = begins or datetime.now(UTC) - timedelta(minutes=5)
    subject = requests.build_subject(name="somebody", country="")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = builder.add_extension(alternative, critical=False)
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return builder.sign(key, hashes.SHA256())


def record(nickname: str, *names: str, made: x509.Certificate | None = None) -> CertificateRecord:
    made = made or certificate(*names)
    return CertificateRecord(nickname, made, (), TrustFlags.USER, has_key=True)
