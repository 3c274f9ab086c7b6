"""Records of certificates: derived facts, and nothing secret when printed."""

from __future__ import annotations

from dataclasses import replace

from mailfront.keystore.formats import certificate_pem, sha256_fingerprint
from mailfront.keystore.records import CertificateRecord, Credentials, PendingKey
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import self_signed

_, CERTIFICATE = self_signed()


def test_a_record_tells_key_and_fingerprint() -> None:
    record = CertificateRecord("imap-cert", CERTIFICATE, (), TrustFlags.USER, has_key=True)
    assert record.key_type == "ec"
    assert record.key_description == "EC P-256"
    assert record.sha256 == sha256_fingerprint(CERTIFICATE)


def test_a_nickname_is_qualified_by_any_token_but_the_internal() -> None:
    here = CertificateRecord("imap", CERTIFICATE, (), TrustFlags.USER, has_key=True)
    there = replace(here, token="HSM One")
    assert (here.qualified_nickname, there.qualified_nickname) == ("imap", "HSM One:imap")
    assert PendingKey("imap", CERTIFICATE.public_key(), "HSM").qualified_nickname == "HSM:imap"


def test_a_certificate_may_have_its_key_on_another_token() -> None:
    record = CertificateRecord("imap", CERTIFICATE, (), TrustFlags.USER, has_key=False)
    assert record.key_on_other_token
    assert not replace(record, trust=TrustFlags.SERVERS).key_on_other_token
    assert not replace(record, has_key=True).key_on_other_token


def test_credentials_do_not_print_their_key_or_passphrase() -> None:
    pem = certificate_pem(CERTIFICATE)
    credentials = Credentials("imap-cert", CERTIFICATE, pem, b"the key", b"the passphrase")
    assert repr(credentials) == "Credentials('imap-cert')"
