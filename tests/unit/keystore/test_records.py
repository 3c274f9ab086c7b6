"""Records of certificates: derived facts, and nothing secret when printed."""

from __future__ import annotations

from mailfront.keystore.formats import certificate_pem, sha256_fingerprint
from mailfront.keystore.records import CertificateRecord, Credentials
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import self_signed

_, CERTIFICATE = self_signed()


def test_a_record_tells_key_and_fingerprint() -> None:
    record = CertificateRecord("imap-cert", CERTIFICATE, (), TrustFlags.USER, has_key=True)
    assert record.key_type == "ec"
    assert record.key_description == "EC P-256"
    assert record.sha256 == sha256_fingerprint(CERTIFICATE)


def test_credentials_do_not_print_their_key_or_passphrase() -> None:
    pem = certificate_pem(CERTIFICATE)
    credentials = Credentials("imap-cert", CERTIFICATE, pem, b"the key", b"the passphrase")
    assert repr(credentials) == "Credentials('imap-cert')"
