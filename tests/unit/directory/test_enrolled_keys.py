from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mailfront.directory.enrolled_keys import (
    EnrolledKey,
    addition,
    enrolled_keys,
    fingerprint_of,
    key_fingerprint,
    removal,
)
from mailfront.directory.entry import Entry
from mailfront.directory.users_file import parse_users
from mailfront.keystore.formats import certificate_der
from tests.support.client_certificates import KEY, client_certificate

CERTIFICATE = client_certificate("CN=Ann")
DER = certificate_der(CERTIFICATE)
FINGERPRINT = key_fingerprint(CERTIFICATE)


def ann(*lines: str) -> Entry:
    record = "dn: uid=ann,dc=example,dc=test\nmail: ann@example.test\nobjectClass: inetMailUser\n"
    content = record + "".join(f"{line}\n" for line in lines)
    return parse_users(content.encode(), Path("users.ldif")).by_address["ann@example.test"]


def held(der: bytes) -> str:
    return f"userCertificate;binary:: {base64.b64encode(der).decode()}"


def test_a_fingerprint_is_the_sha256_of_the_public_key() -> None:
    info = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert FINGERPRINT == hashlib.sha256(info).hexdigest() == fingerprint_of(DER)
    assert fingerprint_of(b"\x30\x00") == ""


def test_a_key_is_enrolled_by_its_fingerprint_and_its_certificate() -> None:
    named = f"mailFrontKeyFingerprint: {FINGERPRINT}"
    assert enrolled_keys(ann()) == []
    assert enrolled_keys(ann(held(DER))) == []
    assert enrolled_keys(ann(named)) == [EnrolledKey(FINGERPRINT, None)]
    assert enrolled_keys(ann(named, held(b"junk"), held(DER))) == [
        EnrolledKey(FINGERPRINT, CERTIFICATE)
    ]
    assert len(enrolled_keys(ann(named, named.upper().replace("MAIL", "mail"), held(DER)))) == 1


def test_a_change_for_ldap_adds_certificate_and_fingerprint() -> None:
    written = addition(ann(), DER, FINGERPRINT).decode()
    assert written.startswith("dn: uid=ann,dc=example,dc=test\nchangetype: modify\n")
    assert "add: userCertificate;binary\nuserCertificate;binary:: " in written
    assert f"mailFrontKeyFingerprint: {FINGERPRINT}" in written.replace("\n ", "")


def test_a_change_for_ldap_takes_both_values_back() -> None:
    written = removal(ann(), DER, FINGERPRINT).decode()
    assert written.count("delete: ") == 2
    assert written.endswith("-\n")
