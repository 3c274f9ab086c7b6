"""Certificates that nobody vouches for, accepted because their key is enrolled in the directory.

Takes the certificate that a client presented and the entry found by the fingerprint of its key
(`directory.enrolled_keys`); tells whether the entry has a certificate with the very key, and
whether the one presented is good in all but its issuer.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.directory.enrolled_keys import KEY_FINGERPRINT_ATTRIBUTE, key_fingerprint
from mailfront.directory.entry import Entry
from mailfront.errors import KeystoreError, MappingRefusedError
from mailfront.keystore.formats import certificate_public_key_der, load_certificate
from mailfront.protocol.ldap_filter import Equal

_CLIENT_USES = frozenset(
    (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
)


def pinned_condition(certificate: x509.Certificate) -> Equal:
    """Return the filter for entries in which the certificate's key is enrolled."""
    return Equal(KEY_FINGERPRINT_ATTRIBUTE, key_fingerprint(certificate))


def holds_key(entry: Entry, certificate: x509.Certificate) -> bool:
    """Whether a certificate in `entry` has the key of `certificate`."""
    wanted = certificate_public_key_der(certificate)
    return any(_public_key(held) == wanted for held in entry.certificates)


def check_presented(certificate: x509.Certificate, now: datetime) -> None:
    """Raise `MappingRefusedError` if the certificate is out of date, or not for TLS clients.

    Whoever verifies a chain finds one fault of it; behind "untrusted" others may be.
    """
    if now < certificate.not_valid_before_utc:
        raise MappingRefusedError("it is not valid yet")
    if now > certificate.not_valid_after_utc:
        raise MappingRefusedError("it has expired")
    if not is_for_clients(certificate):
        raise MappingRefusedError("it is not for TLS clients")


def is_for_clients(certificate: x509.Certificate) -> bool:
    """Whether the extended key usage (RFC 5280 section 4.2.1.12), if there is one, allows it."""
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
    return any(use in _CLIENT_USES for use in uses)


def _public_key(der: bytes) -> bytes | None:
    try:
        return certificate_public_key_der(load_certificate(der))
    except KeystoreError:
        return None
