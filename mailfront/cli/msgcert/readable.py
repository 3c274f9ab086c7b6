"""A certificate as text in the layout of the original's show-cert (NSS's pretty print).

Takes a record of the keystore, returns lines; four blanks per level, times in UTC. What a
certificate holds is another's text: whoever prints the lines makes it printable first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, SignatureAlgorithmOID

from mailfront.keystore.formats import (
    general_name_text,
    key_description,
    name_text,
    sha1_fingerprint,
    sha256_fingerprint,
)
from mailfront.keystore.records import CertificateRecord
from mailfront.keystore.trust import TrustFlags

_BLANKS = "    "
_OCTETS_A_LINE = 16
_SIGNATURES = {
    SignatureAlgorithmOID.RSA_WITH_MD5: "PKCS #1 MD5 With RSA Encryption",
    SignatureAlgorithmOID.RSA_WITH_SHA1: "PKCS #1 SHA-1 With RSA Encryption",
    SignatureAlgorithmOID.RSA_WITH_SHA256: "PKCS #1 SHA-256 With RSA Encryption",
    SignatureAlgorithmOID.RSA_WITH_SHA384: "PKCS #1 SHA-384 With RSA Encryption",
    SignatureAlgorithmOID.RSA_WITH_SHA512: "PKCS #1 SHA-512 With RSA Encryption",
    SignatureAlgorithmOID.RSASSA_PSS: "PKCS #1 RSA-PSS Signature",
    SignatureAlgorithmOID.ECDSA_WITH_SHA1: "X9.62 ECDSA signature with SHA1",
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: "X9.62 ECDSA signature with SHA256",
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: "X9.62 ECDSA signature with SHA384",
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: "X9.62 ECDSA signature with SHA512",
    SignatureAlgorithmOID.ED25519: "Ed25519",
    SignatureAlgorithmOID.ED448: "Ed448",
}
_PURPOSES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "TLS Web Server Authentication Certificate",
    ExtendedKeyUsageOID.CLIENT_AUTH: "TLS Web Client Authentication Certificate",
    ExtendedKeyUsageOID.CODE_SIGNING: "Code Signing Certificate",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "E-Mail Protection Certificate",
    ExtendedKeyUsageOID.TIME_STAMPING: "Time Stamping Certificate",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSP Responder Certificate",
}
_USAGES = (
    ("digital_signature", "Digital Signature"),
    ("content_commitment", "Non-Repudiation"),
    ("key_encipherment", "Key Encipherment"),
    ("data_encipherment", "Data Encipherment"),
    ("key_agreement", "Key Agreement"),
    ("key_cert_sign", "Certificate Signing"),
    ("crl_sign", "CRL Signing"),
)


def readable_certificate(record: CertificateRecord) -> list[str]:
    """Return the lines that show a certificate, its fingerprints, chain and trust flags."""
    certificate = record.certificate
    return [
        "Certificate:",
        *_indented(1, _data(certificate)),
        *_indented(1, _signature(certificate)),
        *_indented(1, ["Fingerprint (SHA-256):", *_indented(1, [sha256_fingerprint(certificate)])]),
        *_indented(1, ["Fingerprint (SHA1):", *_indented(1, [sha1_fingerprint(certificate)])]),
        "",
        *_indented(1, _chain(record)),
        *_indented(1, _trust(record)),
    ]


def _indented(levels: int, lines: Iterator[str] | list[str]) -> Iterator[str]:
    return (_BLANKS * levels + line if line else line for line in lines)


def _data(certificate: x509.Certificate) -> Iterator[str]:
    yield "Data:"
    yield from _indented(1, _data_fields(certificate))


def _data_fields(certificate: x509.Certificate) -> Iterator[str]:
    yield f"Version: {certificate.version.value + 1} (0x{certificate.version.value:x})"
    yield "Serial Number:"
    yield from _indented(1, _hexadecimal(_integer_octets(certificate.serial_number)))
    yield f"Signature Algorithm: {_signature_name(certificate)}"
    yield f'Issuer: "{name_text(certificate.issuer)}"'
    yield "Validity:"
    yield f"{_BLANKS}Not Before: {_moment(certificate.not_valid_before_utc)}"
    yield f"{_BLANKS}Not After : {_moment(certificate.not_valid_after_utc)}"
    yield f'Subject: "{name_text(certificate.subject)}"'
    yield "Subject Public Key Info:"
    yield from _indented(1, _public_key(certificate))
    extensions = list(_extensions(certificate))
    if extensions:
        yield "Signed Extensions:"
        yield from _indented(1, extensions)


def _signature(certificate: x509.Certificate) -> Iterator[str]:
    yield f"Signature Algorithm: {_signature_name(certificate)}"
    yield "Signature:"
    yield from _indented(1, _hexadecimal(certificate.signature))


def _signature_name(certificate: x509.Certificate) -> str:
    oid = certificate.signature_algorithm_oid
    return _SIGNATURES.get(oid, oid.dotted_string)


def _moment(moment: datetime) -> str:
    return time.asctime(moment.utctimetuple())


def _integer_octets(number: int) -> bytes:
    """Return a number as DER would: one octet more where the first bit would be a sign."""
    return number.to_bytes(number.bit_length() // 8 + 1)


def _hexadecimal(octets: bytes) -> Iterator[str]:
    for start in range(0, len(octets), _OCTETS_A_LINE):
        line = octets[start : start + _OCTETS_A_LINE].hex(":")
        yield line + (":" if start + _OCTETS_A_LINE < len(octets) else "")


def _public_key(certificate: x509.Certificate) -> Iterator[str]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        yield "Public Key Algorithm: PKCS #1 RSA Encryption"
        yield f"RSA Public Key ({key.key_size} bits):"
        yield f"{_BLANKS}Modulus:"
        yield from _indented(2, _hexadecimal(_integer_octets(numbers.n)))
        yield f"{_BLANKS}Exponent: {numbers.e} (0x{numbers.e:x})"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        yield "Public Key Algorithm: X9.62 elliptic curve public key"
        yield f"EC Public Key ({key.key_size} bits):"
        yield f"{_BLANKS}PublicValue:"
        yield from _indented(2, _hexadecimal(point))
        yield f"{_BLANKS}Curve: {key.curve.name} ({key_description(key).removeprefix('EC ')})"
    elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        yield f"Public Key Algorithm: {key_description(key)}"
        yield f"{key_description(key)} Public Key:"
        yield from _indented(1, _hexadecimal(key.public_bytes_raw()))
    else:
        yield f"Public Key Algorithm: {key_description(key)}"


def _extensions(certificate: x509.Certificate) -> Iterator[str]:
    try:
        extensions = list(certificate.extensions)
    except ValueError:
        yield "The extensions are malformed."
        return
    for extension in extensions:
        name, lines = _EXTENSIONS.get(type(extension.value), (None, None))
        yield f"Name: {name or extension.oid.dotted_string}"
        if extension.critical:
            yield "Critical: True"
        yield from lines(extension.value) if lines else ["Data: not shown"]
        yield ""


def _alternative_names(value: x509.ExtensionType) -> Iterator[str]:
    assert isinstance(value, x509.SubjectAlternativeName)
    for name in value:
        yield general_name_text(name)


def _basic_constraints(value: x509.ExtensionType) -> Iterator[str]:
    assert isinstance(value, x509.BasicConstraints)
    if not value.ca:
        yield "Data: Is not a CA."
    elif value.path_length is None:
        yield "Data: Is a CA with no maximum path length."
    else:
        yield f"Data: Is a CA with a maximum path length of {value.path_length}."


def _key_usage(value: x509.ExtensionType) -> Iterator[str]:
    assert isinstance(value, x509.KeyUsage)
    yield "Usages: " + ", ".join(text for name, text in _USAGES if getattr(value, name))


def _extended_key_usage(value: x509.ExtensionType) -> Iterator[str]:
    assert isinstance(value, x509.ExtendedKeyUsage)
    for purpose in value:
        yield _BLANKS + _PURPOSES.get(purpose, purpose.dotted_string)


def _subject_key(value: x509.ExtensionType) -> Iterator[str]:
    assert isinstance(value, x509.SubjectKeyIdentifier)
    yield "Data:"
    yield from _indented(1, _hexadecimal(value.digest))


def _authority_key(value: x509.ExtensionType) -> Iterator[str]:
    assert isinstance(value, x509.AuthorityKeyIdentifier)
    if value.key_identifier is not None:
        yield "Key ID:"
        yield from _indented(1, _hexadecimal(value.key_identifier))


_EXTENSIONS: dict[type, tuple[str, Callable[[x509.ExtensionType], Iterator[str]]]] = {
    x509.SubjectAlternativeName: ("Certificate Subject Alt Name", _alternative_names),
    x509.BasicConstraints: ("Certificate Basic Constraints", _basic_constraints),
    x509.KeyUsage: ("Certificate Key Usage", _key_usage),
    x509.ExtendedKeyUsage: ("Extended Key Usage", _extended_key_usage),
    x509.SubjectKeyIdentifier: ("Certificate Subject Key ID", _subject_key),
    x509.AuthorityKeyIdentifier: ("Certificate Authority Key Identifier", _authority_key),
}


def _chain(record: CertificateRecord) -> Iterator[str]:
    if record.chain:
        yield "Certificate Chain:"
        for issuer in record.chain:
            yield f'{_BLANKS}Subject: "{name_text(issuer.subject)}"'
        yield ""


def _trust(record: CertificateRecord) -> Iterator[str]:
    trust = record.trust
    user = [_BLANKS + _BLANKS + "User"] if TrustFlags.USER in trust else []
    yield "Certificate Trust Flags:"
    yield f"{_BLANKS}SSL Flags:"
    if trust.is_authority:
        yield f"{_BLANKS * 2}Valid CA"
    if TrustFlags.SERVERS in trust:
        yield f"{_BLANKS * 2}Trusted CA"
    yield from user
    if TrustFlags.CLIENTS in trust:
        yield f"{_BLANKS * 2}Trusted Client CA"
    yield f"{_BLANKS}Email Flags:"
    yield from user
    yield f"{_BLANKS}Object Signing Flags:"
    yield from user
