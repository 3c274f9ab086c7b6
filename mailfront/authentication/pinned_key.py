"""Certificates that nobody vouches for, accepted because their key is enrolled in the directory.

Takes the certificate that a client presented and the entry found by the fingerprint of its key
(`directory.enrolled_keys`); tells whether the entry has a certificate with the very key, and
whether the one presented is good in all but its issuer. Whoever stole a key makes certificates for
it at will, so what counts against the enrolled certificate counts against all others of its key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.directory.enrolled_keys import KEY_FINGERPRINT_ATTRIBUTE, key_fingerprint
from mailfront.directory.entry import Entry
from mailfront.errors import KeystoreError, MappingRefusedError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.keystore.formats import certificate_public_key_der, load_certificate
from mailfront.protocol.ldap_filter import Equal

JudgeEnrolled = Callable[[bytes], Awaitable[ClientCertificate]]
"""Tells what fault a certificate of the directory, in DER, has at present."""

_NO_HINDRANCE = frozenset((CertificateFault.NONE, CertificateFault.UNTRUSTED))
_CLIENT_USES = frozenset(
    (ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
)


def pinned_condition(certificate: x509.Certificate) -> Equal:
    """Return the filter for entries in which the certificate's key is enrolled."""
    return Equal(KEY_FINGERPRINT_ATTRIBUTE, key_fingerprint(certificate))


def enrolled_certificates(entry: Entry, certificate: x509.Certificate) -> tuple[bytes, ...]:
    """Return those certificates in `entry`, in DER, that have the key of `certificate`."""
    wanted = certificate_public_key_der(certificate)
    return tuple(held for held in entry.certificates if _public_key(held) == wanted)


async def check_enrolled(ders: tuple[bytes, ...], now: datetime, judge: JudgeEnrolled) -> None:
    """Raise `MappingRefusedError` if one of the certificates enrolled for a key is revoked, or
    none is good at present in all but its issuer."""
    refusals = []
    for der in ders:
        judged = await judge(der)
        if judged.fault in (CertificateFault.REVOKED, CertificateFault.REVOCATION_UNKNOWN):
            raise _refused(judged)
        try:
            if judged.fault not in _NO_HINDRANCE:
                raise _refused(judged)
            _check_dates(load_certificate(der), now, "the enrolled certificate of its key")
        except MappingRefusedError as refusal:
            refusals.append(refusal)
    if refusals and len(refusals) == len(ders):
        raise refusals[0]


def _refused(judged: ClientCertificate) -> MappingRefusedError:
    detail = f" ({judged.detail})" if judged.detail else ""
    what = f"the enrolled certificate of its key: {judged.fault.value}{detail}"
    return MappingRefusedError(what)


def check_presented(certificate: x509.Certificate, now: datetime) -> None:
    """Raise `MappingRefusedError` if the certificate is out of date, or not for TLS clients.

    Whoever verifies a chain finds one fault of it; behind "untrusted" others may be.
    """
    _check_dates(certificate, now)
    if not is_for_clients(certificate):
        raise MappingRefusedError("it is not for TLS clients")


def _check_dates(certificate: x509.Certificate, now: datetime, whose: str = "") -> None:
    before = f"{whose}: " if whose else ""
    if now < certificate.not_valid_before_utc:
        raise MappingRefusedError(f"{before}it is not valid yet")
    if now > certificate.not_valid_after_utc:
        raise MappingRefusedError(f"{before}it has expired")


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
