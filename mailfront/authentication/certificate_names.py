"""The names in a client certificate: subject, issuer, and the addresses in its alternative names.

Takes an X.509 certificate in DER, returns `CertificateNames`. Mail addresses are those of
rfc822Name (RFC 5280 section 4.2.1.6) and SmtpUTF8Mailbox (RFC 9598), in the canonical spelling of
`protocol/mail_address.py`; what is no address is left out. Names with strings that are not what
their ASN.1 type promises (TeletexString with Latin-1 is common) are read all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509

from mailfront.errors import AddressError, DistinguishedNameError, KeystoreError
from mailfront.keystore import ber
from mailfront.keystore.formats import load_certificate
from mailfront.protocol.distinguished_name import (
    AttributeValue,
    DistinguishedName,
    attribute_value,
)
from mailfront.protocol.mail_address import canonical_address

MAXIMUM_ADDRESSES = 16
"""The most addresses of one kind that are looked up for one certificate."""

SMTP_UTF8_MAILBOX = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")
USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")
_UTF8_STRING = 0x0C
_VERSION = 0xA0
_MALFORMED = "the certificate is malformed"
_KEPT_OCTETS = 4096


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """Who a certificate is about; `emails` and `principal_names` have no repetitions."""

    subject: DistinguishedName
    issuer: DistinguishedName
    emails: tuple[str, ...]
    principal_names: tuple[str, ...]


def certificate_names(der: bytes) -> CertificateNames:
    """Return the names in a certificate. Raises `KeystoreError`."""
    # People come back with the same certificate; what strangers present may be of any size.
    return _names_kept(der) if len(der) <= _KEPT_OCTETS else _read_names(der)


def _read_names(der: bytes) -> CertificateNames:
    certificate = load_certificate(der)
    subject, issuer = _subject_and_issuer(certificate)
    emails, principal_names = _alternative_names(certificate)
    return CertificateNames(subject, issuer, emails, principal_names)


_names_kept = lru_cache(maxsize=1024)(_read_names)


def _subject_and_issuer(
    certificate: x509.Certificate,
) -> tuple[DistinguishedName, DistinguishedName]:
    try:
        return (
            DistinguishedName.from_x509(certificate.subject),
            DistinguishedName.from_x509(certificate.issuer),
        )
    except (ValueError, TypeError):
        return _tolerantly(certificate.tbs_certificate_bytes)
    except DistinguishedNameError as error:
        raise KeystoreError(f"{_MALFORMED}: {error}") from error


def _tolerantly(to_be_signed: bytes) -> tuple[DistinguishedName, DistinguishedName]:
    """Read both names where the library does not (RFC 5280 section 4.1: their places)."""
    fields = ber.parse(to_be_signed).children
    start = 1 if fields and fields[0].tag == _VERSION else 0
    # serialNumber, signature, issuer, validity, subject
    if len(fields) < start + 5:
        raise KeystoreError(_MALFORMED)
    return _name(fields[start + 4]), _name(fields[start + 2])


def _name(name: ber.Element) -> DistinguishedName:
    try:
        return DistinguishedName(
            [_attribute(pair) for pair in rdn.children] for rdn in reversed(name.children)
        )
    except DistinguishedNameError as error:
        raise KeystoreError(f"{_MALFORMED}: {error}") from error


def _attribute(pair: ber.Element) -> AttributeValue:
    if len(pair.children) != 2 or not pair.has(ber.OBJECT_IDENTIFIER):
        raise KeystoreError(_MALFORMED)
    kind, value = pair.children
    content = value.octets or b"".join(child.encoded() for child in value.children)
    return attribute_value(ber.dotted_identifier(kind.octets), value.tag, content)


def _alternative_names(
    certificate: x509.Certificate,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise KeystoreError(f"{_MALFORMED}: its extensions cannot be read") from error
    emails: dict[str, None] = {}
    principal_names: dict[str, None] = {}
    for name in names:
        if isinstance(name, x509.RFC822Name):
            _add_address(name.value, emails)
        elif isinstance(name, x509.OtherName) and name.type_id == SMTP_UTF8_MAILBOX:
            _add_address(_utf8_string(name.value), emails)
        elif isinstance(name, x509.OtherName) and name.type_id == USER_PRINCIPAL_NAME:
            principal_names[_utf8_string(name.value)] = None
    principal_names.pop("", None)
    if max(len(emails), len(principal_names)) > MAXIMUM_ADDRESSES:
        raise KeystoreError(f"the certificate has more than {MAXIMUM_ADDRESSES} addresses")
    return tuple(emails), tuple(principal_names)


def _add_address(text: str, emails: dict[str, None]) -> None:
    try:
        emails[canonical_address(text)] = None
    except AddressError:
        return


def _utf8_string(der: bytes) -> str:
    """Return the text of a UTF8String, or an empty one for anything else."""
    try:
        element = ber.parse(der)
        return element.octets.decode("utf-8") if element.tag == _UTF8_STRING else ""
    except (KeystoreError, UnicodeDecodeError):
        return ""
