"""Renewal of self-signed certificates: what stays and what is new."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed448

from mailfront.errors import KeystoreError
from mailfront.keystore.creation import add_self_signed
from mailfront.keystore.formats import alternative_names, certificate_public_key_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.renewal import renew_self_signed
from mailfront.keystore.requests import KeyKind, parse_alternative_name, parse_subject
from tests.support.keystores import authority, issued_by, new_token

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
NAMES = [parse_alternative_name(name) for name in ("a.example", "192.0.2.7")]


@pytest.fixture
def token(tmp_path: Path) -> Iterator[InternalToken]:
    with new_token(tmp_path) as token:
        yield token


def made(token: InternalToken, kind: KeyKind | None = None) -> x509.Certificate:
    record = add_self_signed(
        token, "imap-cert", parse_subject("CN=Mail,O=Example"), NAMES, key_kind=kind,
        now=NOW - timedelta(days=80),
    )  # fmt: skip
    return record.certificate


def test_subject_names_key_and_length_of_life_stay(token: InternalToken) -> None:
    old = made(token)
    new = renew_self_signed(token, "imap-cert", now=NOW).certificate
    assert new.subject == old.subject
    assert alternative_names(new) == alternative_names(old)
    assert certificate_public_key_der(new) == certificate_public_key_der(old)
    assert (
        new.not_valid_after_utc - new.not_valid_before_utc
        == old.not_valid_after_utc - old.not_valid_before_utc
    )
    assert token.credentials("imap-cert").certificate == new


def test_dates_and_serial_number_are_new(token: InternalToken) -> None:
    old = made(token)
    new = renew_self_signed(token, "imap-cert", now=NOW, months=12).certificate
    assert new.serial_number != old.serial_number
    assert new.not_valid_before_utc == NOW - timedelta(minutes=5)
    assert new.not_valid_after_utc == NOW.replace(year=2031)


@pytest.mark.parametrize(
    "kind", [KeyKind(), KeyKind("ec", curve="P-384"), KeyKind("rsa", size=3072), KeyKind("ed25519")]
)
def test_a_new_key_is_of_the_same_kind(token: InternalToken, kind: KeyKind) -> None:
    old = made(token, kind)
    before = token.require("imap-cert").key_description
    record = renew_self_signed(token, "imap-cert", new_key=True, now=NOW)
    assert record.key_description == before
    assert certificate_public_key_der(record.certificate) != certificate_public_key_der(old)
    assert token.credentials("imap-cert").certificate == record.certificate


def test_a_certificate_of_an_authority_is_not_renewed_here(token: InternalToken) -> None:
    ca_key, ca = authority()
    key, leaf = issued_by(ca_key, ca, "mail.example.test")
    token.add_key_and_certificate("imap-cert", key, [leaf])
    with pytest.raises(KeystoreError, match="renew-cert"):
        renew_self_signed(token, "imap-cert")
    token.add_authority("ca", ca)
    with pytest.raises(KeystoreError, match="private key of the certificate 'ca' is not here"):
        renew_self_signed(token, "ca")
    assert token.require("imap-cert").certificate == leaf


def test_a_kind_of_key_that_is_not_made_here_gets_a_new_one(token: InternalToken) -> None:
    key = ed448.Ed448PrivateKey.generate()
    name = parse_subject("CN=mail")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(datetime(9999, 12, 31, tzinfo=UTC))
        .sign(key, None)
    )
    token.add_key_and_certificate("odd", key, [certificate])
    with pytest.raises(KeystoreError, match="--new-key"):
        renew_self_signed(token, "odd", now=NOW)
    renewed = renew_self_signed(token, "odd", new_key=True, now=NOW)
    assert renewed.key_description == "EC P-256"
    assert renewed.certificate.not_valid_after_utc.year < 2045


def test_an_unknown_nickname_is_told(token: InternalToken) -> None:
    with pytest.raises(KeystoreError, match="no certificate with the nickname"):
        renew_self_signed(token, "imap-cert")
