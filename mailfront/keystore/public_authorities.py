"""The public certification authorities that this machine knows, as entries of a new database.

They come from the system's bundle, else from the one of `certifi` (Mozilla's either way), and are
trusted for servers only: a client certificate of a public authority says nothing about who may log
in. Takes nothing or PEM, returns entries with nicknames made of the authorities' names. Raises
`KeystoreError` if the bundle cannot be read.
"""

from __future__ import annotations

from collections.abc import Container
from pathlib import Path

import certifi
from cryptography import x509
from cryptography.x509.oid import NameOID

from mailfront.keystore.certificate_files import read_certificates
from mailfront.keystore.chain import is_authority
from mailfront.keystore.formats import sha256_fingerprint
from mailfront.keystore.nicknames import DEFAULT_NICKNAME, MAXIMUM_LENGTH, nickname_from
from mailfront.keystore.records import NewEntry
from mailfront.keystore.trust import TrustFlags

# Debian and Alpine; Fedora and RHEL; openSUSE; the BSDs and macOS.
_SYSTEM_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
    Path("/etc/ssl/ca-bundle.pem"),
    Path("/etc/ssl/cert.pem"),
)
_LARGEST_BUNDLE = 8 * 1024 * 1024
_MOST_AUTHORITIES = 2000
_NAMING = (
    NameOID.COMMON_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.ORGANIZATION_NAME,
)
# A number may have to follow.
_LONGEST_NAME = MAXIMUM_LENGTH - 8


def bundle_path() -> Path:
    """Return the bundle of this machine, or `certifi`'s if it has none."""
    present = (path for path in _SYSTEM_BUNDLES if path.is_file())
    return next(present, Path(certifi.where()))


def public_authorities(bundle: Path | None = None) -> tuple[NewEntry, ...]:
    """Return the authorities in a bundle (default: this machine's), trusted for servers."""
    certificates = read_certificates(
        bundle or bundle_path(), most=_MOST_AUTHORITIES, largest=_LARGEST_BUNDLE
    )
    used = {DEFAULT_NICKNAME}
    entries = []
    for certificate in certificates:
        if is_authority(certificate):
            nickname = authority_nickname(certificate, used)
            used.add(nickname)
            entries.append(NewEntry(nickname, (certificate,), None, TrustFlags.SERVERS))
    return tuple(entries)


def authority_nickname(certificate: x509.Certificate, used: Container[str]) -> str:
    """Return a nickname that is legal and not `used`: the common name, else another of its names.

    A second authority of the same name gets a number.
    """
    name = nickname_from(_most_telling_name(certificate.subject))[:_LONGEST_NAME].strip()
    name = name or f"CA {sha256_fingerprint(certificate).replace(':', '')[:8]}"
    nickname, number = name, 1
    while nickname in used:
        number += 1
        nickname = f"{name} {number}"
    return nickname


def _most_telling_name(subject: x509.Name) -> str:
    for oid in _NAMING:
        if attributes := subject.get_attributes_for_oid(oid):
            return str(attributes[-1].value)
    return ""
