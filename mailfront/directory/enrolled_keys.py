"""Keys by which users log in without a CA: how they stand in an entry.

An enrolled key is two values of an entry: a certificate with the key in `userCertificate;binary`
and, so that it is found, the key's fingerprint in `mailFrontKeyFingerprint`: the SHA-256 of the
SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in lower-case hexadecimal, what RFC 7469 calls a
pin. What decides at login is the key in the certificate, not the fingerprint. Takes certificates
and entries; writes the change
records for a directory that is not ours to edit.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cryptography import x509

from mailfront.directory.entry import Entry
from mailfront.errors import KeystoreError
from mailfront.keystore.formats import certificate_public_key_der, load_certificate
from mailfront.protocol.ldif import format_attribute, format_record

KEY_FINGERPRINT_ATTRIBUTE = "mailFrontKeyFingerprint"
CERTIFICATE_ATTRIBUTE = "userCertificate;binary"


class EnrolledKey(NamedTuple):
    """A key of a user; `certificate` is None where the entry has the fingerprint alone, which
    does not log anybody in."""

    fingerprint: str
    certificate: x509.Certificate | None


def key_fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of the certificate's public key. Raises `KeystoreError`."""
    return hashlib.sha256(certificate_public_key_der(certificate)).hexdigest()


def fingerprint_of(der: bytes) -> str:
    """Return the fingerprint of the key of a certificate in DER; empty if it cannot be read."""
    try:
        return key_fingerprint(load_certificate(der))
    except KeystoreError:
        return ""


def enrolled_keys(entry: Entry) -> list[EnrolledKey]:
    """Return the keys that are enrolled for the user, each once, in the order of the entry."""
    named = entry.attributes().get(KEY_FINGERPRINT_ATTRIBUTE.lower(), [])
    if not named:
        return []
    certificates = {fingerprint_of(der): der for der in reversed(entry.certificates)}
    keys: dict[str, EnrolledKey] = {}
    for value in named:
        fingerprint = value.decode("utf-8", "replace").strip().lower()
        der = certificates.get(fingerprint)
        certificate = None if der is None else load_certificate(der)
        keys[fingerprint] = EnrolledKey(fingerprint, certificate)
    return list(keys.values())


def addition(entry: Entry, certificate: bytes, fingerprint: str) -> bytes:
    """Return the change record (RFC 2849) that enrols a key in an entry."""
    return _change(entry, "add", certificate, fingerprint)


def removal(entry: Entry, certificate: bytes, fingerprint: str) -> bytes:
    """Return the change record that takes a key out of an entry."""
    return _change(entry, "delete", certificate, fingerprint)


def _change(entry: Entry, operation: str, certificate: bytes, fingerprint: str) -> bytes:
    values = (
        (CERTIFICATE_ATTRIBUTE, certificate),
        (KEY_FINGERPRINT_ATTRIBUTE, fingerprint.encode("ascii")),
    )
    lines = [format_record(entry.dn, [("changetype", b"modify")])]
    for attribute, value in values:
        lines.append(format_attribute(operation, attribute.encode("ascii")))
        lines.append(format_attribute(attribute, value))
        lines.append(b"-\n")
    return b"".join(lines)
