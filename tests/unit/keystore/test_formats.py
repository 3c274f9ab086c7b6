"""Certificates and keys as bytes."""

from __future__ import annotations

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import x25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.keystore import formats, requests
from tests.support.keystores import authority, issued_by, self_signed

KEY, CERTIFICATE = self_signed()


@pytest.mark.parametrize("family", ["ec", "rsa", "ed25519"])
def test_the_encrypted_key_opens_with_its_passphrase_only(family: str) -> None:
    key = requests.KeyKind(family).generate()
    der = formats.private_key_der(key)
    pem = formats.encrypted_key_pem(der, b"0123456789abcdef" * 4)
    opened = load_pem_private_key(pem, b"0123456789abcdef" * 4)
    assert formats.private_key_der(opened) == der
    # A wrong passphrase leaves good padding once in some 256 times; what comes out is no key then.
    with pytest.raises(ValueError, match=r"password|deserialize"):
        load_pem_private_key(pem, b"another")


def test_every_encryption_of_a_key_differs() -> None:
    der = formats.private_key_der(KEY)
    assert formats.encrypted_key_pem(der, b"p") != formats.encrypted_key_pem(der, b"p")


@pytest.mark.parametrize("length", [0, 1, 15, 16, 100, 127, 128, 255, 256, 5000])
def test_the_encrypted_key_is_well_formed_at_every_length(length: int) -> None:
    pem = formats.encrypted_key_pem(b"\x00" * length, b"p" * 64)
    lines = pem.splitlines()
    assert lines[0] == b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
    assert lines[-1] == b"-----END ENCRYPTED PRIVATE KEY-----"
    assert pem.endswith(b"\n")
    assert max(map(len, lines[1:-1])) <= 64


def test_joined_certificates_split_into_the_same() -> None:
    ca_key, ca = authority()
    _, leaf = issued_by(ca_key, ca, "mail.example.test")
    joined = formats.join_certificates((leaf, ca))
    assert formats.split_certificates(joined) == (leaf, ca)
    assert formats.split_certificates(b"") == ()


@given(st.integers(min_value=1, max_value=1000))
def test_a_truncated_chain_is_refused(cut: int) -> None:
    joined = formats.join_certificates((CERTIFICATE, CERTIFICATE))
    with pytest.raises(KeystoreError):
        formats.split_certificates(joined[: -min(cut, len(joined) // 2 - 1)])


@given(st.binary(min_size=1, max_size=100))
def test_bytes_that_are_no_certificates_are_refused(octets: bytes) -> None:
    with pytest.raises(KeystoreError):
        formats.split_certificates(octets)
    with pytest.raises(KeystoreError):
        formats.load_certificate(octets)


def test_a_certificate_of_an_unknown_version_is_refused() -> None:
    third, sixth = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05"
    der = formats.certificate_der(CERTIFICATE).replace(third, sixth, 1)
    with pytest.raises(KeystoreError, match=r"not an X\.509 certificate"):
        formats.load_certificate(der)


def test_an_endless_chain_is_refused() -> None:
    joined = formats.certificate_der(CERTIFICATE) * (formats.MAXIMUM_CHAIN + 1)
    with pytest.raises(KeystoreError, match="chain of more than"):
        formats.split_certificates(joined)


def test_an_oversized_certificate_is_refused_unread() -> None:
    with pytest.raises(KeystoreError, match="too large"):
        formats.load_certificate(bytes(formats.MAXIMUM_CERTIFICATE + 1))


def test_fingerprints_are_upper_case_with_colons() -> None:
    digest = hashlib.sha256(formats.certificate_der(CERTIFICATE)).hexdigest().upper()
    fingerprint = formats.sha256_fingerprint(CERTIFICATE)
    assert fingerprint.replace(":", "") == digest
    assert fingerprint.count(":") == 31
    assert formats.sha1_fingerprint(CERTIFICATE).count(":") == 19


@pytest.mark.parametrize(
    ("kind", "family", "description"),
    [
        (requests.KeyKind("rsa"), "rsa", "RSA 2048"),
        (requests.KeyKind("ec"), "ec", "EC P-256"),
        (requests.KeyKind("ec", curve="P-384"), "ec", "EC P-384"),
        (requests.KeyKind("ed25519"), "ed25519", "Ed25519"),
    ],
)
def test_keys_are_described_by_family_and_size(
    kind: requests.KeyKind, family: str, description: str
) -> None:
    key = kind.generate().public_key()
    assert formats.key_type(key) == family
    assert formats.key_description(key) == description


def test_alternative_names_tell_their_kind() -> None:
    names = [
        requests.parse_alternative_name(text) for text in ("a.example", "::1", "b@example.test")
    ]
    names.append(x509.UniformResourceIdentifier("imap://a.example"))
    names.append(x509.DirectoryName(requests.parse_subject("CN=x,O=y")))
    names.append(x509.RegisteredID(x509.ObjectIdentifier("1.2.3")))
    texts = [formats.general_name_text(name) for name in names]
    assert texts == [
        "DNS:a.example",
        "IP:::1",
        "email:b@example.test",
        "URI:imap://a.example",
        "dirName:CN=x,O=y",
        "RegisteredID",
    ]


def test_a_certificate_without_alternative_names_has_none() -> None:
    _, ca = authority()
    assert formats.alternative_names(ca) == []
    assert formats.alternative_names(CERTIFICATE) == ["DNS:mail.example.test"]


def test_names_print_the_most_specific_part_first() -> None:
    subject = requests.parse_subject("CN=mail,E=postmaster@example.test,C=us")
    assert formats.name_text(subject) == "CN=mail,E=postmaster@example.test,C=us"


@pytest.mark.parametrize("family", ["rsa", "ec", "ed25519"])
def test_keys_come_back_as_they_went(family: str) -> None:
    key, certificate = self_signed(family=family)
    private = formats.load_private_key(formats.private_key_der(key))
    assert formats.private_key_public_der(private) == formats.private_key_public_der(key)
    public = formats.load_public_key(formats.certificate_public_key_der(certificate))
    assert public == certificate.public_key()


def test_bytes_that_are_no_key_are_refused() -> None:
    with pytest.raises(KeystoreError, match="not a private key"):
        formats.load_private_key(b"x")
    with pytest.raises(KeystoreError, match="not a public key"):
        formats.load_public_key(b"x")
    agreement = x25519.X25519PrivateKey.generate().public_key()
    with pytest.raises(KeystoreError, match="no certificate here holds"):
        formats.load_public_key(
            agreement.public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
