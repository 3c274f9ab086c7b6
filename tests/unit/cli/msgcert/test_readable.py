"""The readable form of a certificate: the original's layout, every kind of key, every extension."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mailfront.cli.msgcert.readable import readable_certificate
from mailfront.keystore.records import CertificateRecord
from mailfront.keystore.trust import parse_trust
from tests.support.keystores import authority, issued_by, self_signed

MADE = datetime(2026, 7, 28, 19, 58, 31, tzinfo=UTC)


def shown(family: str = "ec", trust: str = "u") -> list[str]:
    _, certificate = self_signed("siroe", family=family, now=MADE, days=92)
    record = CertificateRecord("siroe", certificate, (), parse_trust(trust), "u" in trust)
    return readable_certificate(record)


def test_the_frame_is_the_originals() -> None:
    lines = shown()
    assert lines[:4] == [
        "Certificate:",
        "    Data:",
        "        Version: 3 (0x2)",
        "        Serial Number:",
    ]
    for line in (
        '        Issuer: "CN=siroe"',
        "        Validity:",
        "            Not Before: Tue Jul 28 19:53:31 2026",
        "            Not After : Wed Oct 28 19:58:31 2026",
        '        Subject: "CN=siroe"',
        "        Subject Public Key Info:",
        "        Signed Extensions:",
        "    Signature:",
        "    Fingerprint (SHA-256):",
        "    Fingerprint (SHA1):",
        "    Certificate Trust Flags:",
        "        SSL Flags:",
    ):
        assert line in lines


@pytest.mark.parametrize(
    ("family", "lines"),
    [
        (
            "ec",
            [
                "            Public Key Algorithm: X9.62 elliptic curve public key",
                "                Curve: secp256r1 (P-256)",
                "    Signature Algorithm: X9.62 ECDSA signature with SHA256",
            ],
        ),
        (
            "rsa",
            [
                "            Public Key Algorithm: PKCS #1 RSA Encryption",
                "                Modulus:",
                "                Exponent: 65537 (0x10001)",
                "    Signature Algorithm: PKCS #1 SHA-256 With RSA Encryption",
            ],
        ),
        (
            "ed25519",
            [
                "            Public Key Algorithm: Ed25519",
                "    Signature Algorithm: Ed25519",
            ],
        ),
    ],
)
def test_every_kind_of_key_is_shown(family: str, lines: list[str]) -> None:
    present = shown(family)
    assert [line for line in lines if line not in present] == []


def test_extensions_are_shown_with_what_they_say() -> None:
    text = "\n".join(shown())
    for part in (
        "Name: Certificate Subject Alt Name\n            DNS:siroe",
        "Name: Certificate Basic Constraints\n            Critical: True\n"
        "            Data: Is not a CA.",
        "Usages: Digital Signature",
        "TLS Web Server Authentication Certificate",
        "Name: Certificate Subject Key ID",
    ):
        assert part in text


def test_an_issued_certificate_shows_its_authority_and_its_chain() -> None:
    key, ca = authority()
    _, leaf = issued_by(key, ca, "mail.example.test")
    record = CertificateRecord("mail", leaf, (ca,), parse_trust("u"), has_key=True)
    lines = readable_certificate(record)
    assert "            Name: Certificate Authority Key Identifier" in lines
    assert lines[lines.index("    Certificate Chain:") + 1] == '        Subject: "CN=Example CA"'
    authority_lines = readable_certificate(
        CertificateRecord("ca", ca, (), parse_trust("C"), has_key=False)
    )
    assert "            Data: Is a CA with no maximum path length." in authority_lines


@pytest.mark.parametrize(
    ("trust", "flags"),
    [
        ("u", ["User"]),
        ("C", ["Valid CA", "Trusted CA"]),
        ("T", ["Valid CA", "Trusted Client CA"]),
        ("CTu", ["Valid CA", "Trusted CA", "User", "Trusted Client CA"]),
    ],
)
def test_trust_flags_print_as_the_original_named_them(trust: str, flags: list[str]) -> None:
    lines = shown(trust=trust)
    begin, end = lines.index("        SSL Flags:"), lines.index("        Email Flags:")
    assert [line.strip() for line in lines[begin + 1 : end]] == flags


def test_hexadecimal_lines_hold_sixteen_octets() -> None:
    lines = shown("rsa")
    modulus = lines[lines.index("                Modulus:") + 1]
    assert modulus.strip().startswith("00:")
    assert modulus.count(":") == 16
    assert max(map(len, lines)) <= 8 + 95
