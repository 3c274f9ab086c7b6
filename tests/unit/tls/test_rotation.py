"""A new certificate is proved before it takes the place of the one in force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.errors import KeystoreError
from mailfront.keystore import requests
from mailfront.keystore.records import CertificateRecord
from mailfront.keystore.trust import TrustFlags
from mailfront.tls.context import build_server_context
from mailfront.tls.policy import policy_named
from mailfront.tls.rotation import lost_names, prove, prove_handshake
from tests.support.issuing import Issuer
from tests.support.keystores import authority, issued_by, new_token, self_signed
from tests.support.keystores import certificate_for as certificate_of

NOW = datetime.now(UTC)


def record(certificate: x509.Certificate, *chain: x509.Certificate) -> CertificateRecord:
    return CertificateRecord("imap-cert", certificate, chain, TrustFlags.USER, has_key=True)


def certificate_for(*names: str) -> x509.Certificate:
    subject = requests.build_subject(name="mail", country="")
    return requests.self_signed_certificate(
        requests.KeyKind("ec").generate(),
        subject,
        [requests.parse_alternative_name(name) for name in names],
        now=NOW,
        expires=NOW + timedelta(days=90),
    )


def test_a_renewed_certificate_for_the_same_names_is_fit() -> None:
    prove(record(certificate_for("a.test")), certificate_for("a.test"), (), NOW)


def test_one_that_is_not_valid_yet_is_refused() -> None:
    _, leaf = self_signed(now=NOW + timedelta(days=2))
    with pytest.raises(KeystoreError, match="not valid before"):
        prove(record(leaf), None, (), NOW)


def test_an_expired_one_is_refused_in_place_of_a_valid_one() -> None:
    _, expired = self_signed(now=NOW - timedelta(days=91))
    _, valid = self_signed(now=NOW)
    with pytest.raises(KeystoreError, match="expired on"):
        prove(record(expired), valid, (), NOW)


def test_an_expired_one_may_follow_another_expired_one() -> None:
    _, expired = self_signed(now=NOW - timedelta(days=91))
    _, older = self_signed(now=NOW - timedelta(days=100))
    prove(record(expired), older, (), NOW)


def test_a_leaf_without_its_issuer_is_refused_until_the_issuer_is_known() -> None:
    authority_key, authority_certificate = authority()
    _, leaf = issued_by(authority_key, authority_certificate, "mail.example.test")
    with pytest.raises(KeystoreError, match="chain of 'imap-cert' is incomplete"):
        prove(record(leaf), None, (), NOW)
    prove(record(leaf), None, (authority_certificate,), NOW)
    prove(record(leaf, authority_certificate), None, (), NOW)


def test_a_lost_host_name_is_named() -> None:
    old = certificate_for("a.test", "b.test", "192.0.2.1")
    with pytest.raises(KeystoreError, match=r"b\.test, 192\.0\.2\.1"):
        prove(record(certificate_for("a.test")), old, (), NOW)


def test_names_may_differ_where_the_operator_chose_another_nickname() -> None:
    prove(record(certificate_for("other.test")), None, (), NOW)


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        (("mail.a.test",), ("*.a.test",), []),
        (("x.mail.a.test",), ("*.a.test",), ["x.mail.a.test"]),
        (("a.test",), ("*.a.test",), ["a.test"]),
        (("*.a.test",), ("*.a.test", "b.test"), []),
        (("MAIL.a.test",), ("mail.A.test",), []),
    ],
)
def test_a_wildcard_stands_for_one_label(
    old: tuple[str, ...], new: tuple[str, ...], lost: list[str]
) -> None:
    assert lost_names(certificate_for(*old), certificate_for(*new)) == lost


def test_the_handshake_in_memory_presents_the_certificate(tmp_path: Path) -> None:
    key, leaf = self_signed()
    with new_token(tmp_path) as token:
        token.add_key_and_certificate("imap-cert", key, (leaf,))
        credentials = token.credentials("imap-cert")
    context = build_server_context(
        [credentials], policy_named("modern"), alpn=(), tickets=False
    ).ssl_context
    prove_handshake(context, [leaf])
    _, another = self_signed()
    with pytest.raises(KeystoreError, match="does not present it"):
        prove_handshake(context, [another])


def test_an_intermediate_that_only_the_database_knows_must_be_presented() -> None:
    issuer = Issuer()
    issued = issuer.issue("a.test")
    known = (issuer.root, issuer.intermediate)
    with pytest.raises(KeystoreError, match="lacks the intermediate certificate of CN=Example Iss"):
        prove(record(issued.leaf), None, known, NOW)
    prove(record(*issued.chain), None, known, NOW)


def test_a_key_that_is_too_weak_is_refused() -> None:
    weak = certificate_of(rsa.generate_private_key(65537, 1024))
    with pytest.raises(KeystoreError, match="1024 is too weak"):
        prove(record(weak), None, (), NOW)


def test_names_in_a_malformed_extension_are_lost_names() -> None:
    key = requests.KeyKind("ec").generate()
    name = requests.build_subject(name="a.test", country="")
    malformed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=1))
        .add_extension(
            x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"no DER"), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    assert lost_names(certificate_for("a.test"), malformed) == ["a.test"]
    assert lost_names(malformed, certificate_for("a.test")) == []
