"""Certificates in files, as certification authorities send them: PEM, DER, chains, PKCS#7.

Takes the bytes of a file, returns its certificates in the order in which they stand, each once.
PEM is RFC 7468 (one block or several, text between them ignored), PKCS#7 is the certificates of a
SignedData of RFC 5652, bare or in PEM, under any of the labels that programs write. Everything is
bounded before it is parsed. Raises `KeystoreError`, which says what the file is instead.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from mailfront.errors import KeystoreError
from mailfront.keystore.formats import MAXIMUM_CERTIFICATE, load_certificate, require_readable

MAXIMUM_FILE = 1024 * 1024
MAXIMUM_CERTIFICATES = 64
_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
# Some authorities put PKCS#7 under the label of a certificate (RFC 7468 section 5.2 tells of more).
_LABELS = frozenset({b"CERTIFICATE", b"X509 CERTIFICATE", b"X.509 CERTIFICATE", b"PKCS7", b"CMS"})
_EXPECTED = "a certificate is expected, as PEM, DER or PKCS#7"


def read_certificates(
    path: Path, *, most: int = MAXIMUM_CERTIFICATES, largest: int = MAXIMUM_FILE
) -> tuple[x509.Certificate, ...]:
    """Return the certificates in a file, at least one. Raises `KeystoreError`, naming the file."""
    try:
        with path.open("rb") as stream:
            content = stream.read(largest + 1)
    except OSError as error:
        raise KeystoreError(f"cannot be read: {error.strerror}", file=path) from error
    if len(content) > largest:
        raise KeystoreError(f"it is larger than {largest} octets", remedy=_EXPECTED, file=path)
    try:
        return parse_certificates(content, most=most)
    except KeystoreError as error:
        raise KeystoreError(error.what, remedy=error.remedy, file=path) from error


def parse_certificates(
    content: bytes, *, most: int = MAXIMUM_CERTIFICATES
) -> tuple[x509.Certificate, ...]:
    """Return the certificates in `content`, at least one and at most `most`."""
    if not content.strip():
        raise KeystoreError("it is empty", remedy=_EXPECTED)
    found: dict[x509.Certificate, None] = {}
    for certificate in _all_certificates(content):
        require_readable(certificate)
        found[certificate] = None
        if len(found) > most:
            raise KeystoreError(f"there are more than {most} certificates in it")
    return tuple(found)


def _all_certificates(content: bytes) -> Iterator[x509.Certificate]:
    if _BEGIN.search(content) is None:
        yield from _der_certificates(content)
        return
    labels: list[bytes] = []
    for number, (label, body) in enumerate(_blocks(content), start=1):
        labels.append(label)
        if label not in _LABELS:
            continue
        try:
            yield from _der_certificates(_decoded(body))
        except KeystoreError as error:
            raise KeystoreError(f"its PEM block {number}: {error.what}") from error
    if not _LABELS.intersection(labels):
        raise KeystoreError(_what_the_labels_say(labels), remedy=_EXPECTED)


def _blocks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return label and base64 text of each PEM block."""
    position = 0
    while (begin := _BEGIN.search(content, position)) is not None:
        ending = b"-----END " + begin[1] + b"-----"
        end = content.find(ending, begin.end())
        if end < 0:
            raise KeystoreError(
                f"its PEM block {begin[1].decode()!r} has no end", remedy="copy the whole file"
            )
        yield begin[1], content[begin.end() : end]
        position = end + len(ending)


def _decoded(body: bytes) -> bytes:
    try:
        return binascii.a2b_base64(b"".join(body.split()), strict_mode=True)
    except binascii.Error as error:
        raise KeystoreError("the text is not base64; was it changed on its way?") from error


def _der_certificates(der: bytes) -> Iterator[x509.Certificate]:
    if len(der) <= MAXIMUM_CERTIFICATE:
        try:
            yield load_certificate(der)
        except KeystoreError:
            pass
        else:
            return
    try:
        certificates = pkcs7.load_der_pkcs7_certificates(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeystoreError(_what_the_octets_are(der), remedy=_EXPECTED) from error
    if not certificates:
        raise KeystoreError("it is PKCS#7 without any certificate", remedy=_EXPECTED)
    yield from certificates


def _what_the_labels_say(labels: list[bytes]) -> str:
    if any(label.endswith(b"PRIVATE KEY") for label in labels):
        return "it holds a private key and no certificate"
    if any(label.endswith(b"CERTIFICATE REQUEST") for label in labels):
        return "it holds a request, not the certificate that an authority makes of it"
    if b"TRUSTED CERTIFICATE" in labels:
        return "it holds OpenSSL's own form of a trusted certificate"
    names = ", ".join(label.decode() for label in dict.fromkeys(labels))
    return f"it holds no certificate but: {names}" if names else "it holds no certificate"


def _what_the_octets_are(der: bytes) -> str:
    def is_key() -> None:
        try:
            serialization.load_der_private_key(der, None)
        except TypeError:  # it is a key, and encrypted
            return

    guesses: tuple[tuple[Callable[[], object], str], ...] = (
        (is_key, "it is a private key, not a certificate"),
        (
            lambda: x509.load_der_x509_csr(der),
            "it is a request, not the certificate that an authority makes of it",
        ),
    )
    for guess, answer in guesses:
        try:
            guess()
        except (ValueError, UnsupportedAlgorithm):
            continue
        return answer
    if _begins_as_pkcs12(der):
        return "it is a PKCS#12 file, which `msgcert import-cert` reads"
    return "it is neither PEM nor DER of a certificate"


def _begins_as_pkcs12(der: bytes) -> bool:
    """Whether the first element of the outer SEQUENCE is the version 3 of RFC 7292 section 4."""
    return der[:1] == b"\x30" and any(
        der[length : length + 3] == b"\x02\x01\x03" for length in (2, 3, 4, 5)
    )
