"""Files of certificates: every form that authorities send, and what else people give us."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs7, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfront.errors import KeystoreError
from mailfront.keystore import certificate_files
from mailfront.keystore.certificate_files import parse_certificates, read_certificates
from mailfront.keystore.formats import certificate_der, certificate_pem
from tests.support.keystores import authority, issued_by

CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "mail.example.test")
PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
P7_DER = pkcs7.serialize_certificates([LEAF, CA], DER)
P7_PEM = pkcs7.serialize_certificates([LEAF, CA], PEM)
KEY_DER = KEY.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
KEY_PEM = KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
LOCKED_DER = KEY.private_bytes(
    DER, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
)
REQUEST = (
    x509.CertificateSigningRequestBuilder().subject_name(LEAF.subject).sign(KEY, hashes.SHA256())
)
PKCS12 = pkcs12.serialize_key_and_certificates(
    b"x", KEY, LEAF, [CA], serialization.BestAvailableEncryption(b"x")
)


@pytest.mark.parametrize(
    "content",
    [
        certificate_pem(LEAF) + certificate_pem(CA),
        b"subject=CN = mail\r\n" + certificate_pem(LEAF).replace(b"\n", b"\r\n") + b"\n\n"
        + certificate_pem(CA) + b"-- \nyours",
        certificate_pem(LEAF) + KEY_PEM + certificate_pem(CA),
        certificate_pem(LEAF) + certificate_pem(LEAF) + certificate_pem(CA),
        certificate_pem(LEAF).replace(b" CERTIFICATE", b" X509 CERTIFICATE") + certificate_pem(CA),
        P7_PEM,
        P7_DER,
        P7_PEM.replace(b"PKCS7", b"CERTIFICATE"),
        P7_PEM.replace(b"PKCS7", b"CMS"),
    ],
)  # fmt: skip
def test_chains_are_read_in_their_order_each_certificate_once(content: bytes) -> None:
    assert set(parse_certificates(content)) == {LEAF, CA}


def test_the_order_of_the_blocks_is_kept() -> None:
    assert parse_certificates(certificate_pem(CA) + certificate_pem(LEAF)) == (CA, LEAF)


@pytest.mark.parametrize("content", [certificate_pem(LEAF), certificate_der(LEAF)])
def test_one_certificate_is_read(content: bytes) -> None:
    assert parse_certificates(content) == (LEAF,)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"hello", "neither PEM nor DER"),
        (certificate_der(LEAF)[:-1], "neither PEM nor DER"),
        (certificate_der(LEAF) + b"x", "neither PEM nor DER"),
        (KEY_PEM, "private key and no certificate"),
        (KEY_DER, "private key, not a certificate"),
        (LOCKED_DER, "private key, not a certificate"),
        (REQUEST.public_bytes(PEM), "request, not the certificate"),
        (REQUEST.public_bytes(DER), "request, not the certificate"),
        (PKCS12, "import-cert"),
        (certificate_pem(LEAF)[:-10], "has no end"),
        (certificate_pem(LEAF).replace(b"MII", b"M*I"), "block 1: the text is not base64"),
        (certificate_pem(CA) + certificate_pem(LEAF).replace(b"MII", b"MIIA"), "block 2"),
        (b"-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n", "X509 CRL"),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "block 1"),
        (
            certificate_pem(LEAF).replace(b" CERTIFICATE", b" TRUSTED CERTIFICATE"),
            "OpenSSL's own form",
        ),
    ],
)
def test_what_is_no_certificate_is_named(content: bytes, words: str) -> None:
    with pytest.raises(KeystoreError, match=words):
        parse_certificates(content)


@pytest.mark.parametrize(
    ("part", "other"),
    [
        (b"mail.example.test", b"mail.example.tes\xff"),
        (b"\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00", b"\x55\x1d\x13\x01\x01\xff\x04\x02\x31\x00"),
    ],
)
def test_a_certificate_with_malformed_names_or_extensions_is_refused(
    part: bytes, other: bytes
) -> None:
    damaged = certificate_der(LEAF).replace(part, other)
    assert damaged != certificate_der(LEAF)
    with pytest.raises(KeystoreError, match="malformed"):
        parse_certificates(damaged)


def test_a_file_is_named_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / "answer.pem"
    with pytest.raises(KeystoreError, match=r"answer.pem: cannot be read: No such file"):
        read_certificates(path)
    path.write_bytes(KEY_PEM)
    with pytest.raises(KeystoreError, match=r"answer.pem: it holds a private key"):
        read_certificates(path)
    path.write_bytes(certificate_pem(LEAF))
    assert read_certificates(path) == (LEAF,)


def test_files_are_bounded_in_octets_and_certificates(tmp_path: Path) -> None:
    path = tmp_path / "answer.pem"
    path.write_bytes(b"\n" * (certificate_files.MAXIMUM_FILE + 1))
    with pytest.raises(KeystoreError, match="larger than"):
        read_certificates(path)
    with pytest.raises(KeystoreError, match="more than 1 certificates"):
        parse_certificates(P7_PEM, most=1)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([P7_DER, P7_PEM, certificate_pem(LEAF), PKCS12]), st.data())
def test_damaged_files_are_refused_or_read_never_more(content: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(content) - 1))
    octet = data.draw(st.integers(0, 255))
    damaged = content[:position] + bytes([octet]) + content[position + 1 :]
    try:
        parse_certificates(damaged[: data.draw(st.integers(0, len(damaged)))])
        parse_certificates(damaged)
    except KeystoreError:
        pass


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_are_refused_with_our_error(content: bytes) -> None:
    with pytest.raises(KeystoreError):
        parse_certificates(content)
