"""Certificates and keys as bytes: DER, PEM, chains, and the encrypted PEM that TLS loads.

Takes and returns bytes and `cryptography` objects; raises `KeystoreError` for bytes that are none.
DER is X.690, PEM is RFC 7468, the encrypted private key is RFC 5958 section 3 with the PBES2 scheme
of RFC 8018.
"""

from __future__ import annotations

import base64
import hashlib
import os
import warnings
from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import padding, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificatePublicKeyTypes,
    PrivateKeyTypes,
)
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.utils import CryptographyDeprecationWarning

from mailfront.errors import KeystoreError

# Some well-known roots have the serial number 0; the operator cannot change them.
warnings.filterwarnings("ignore", "Parsed a serial number", category=CryptographyDeprecationWarning)

# A certificate of a few KiB is large; this admits the oddest without admitting a flood.
MAXIMUM_CERTIFICATE = 64 * 1024
MAXIMUM_CHAIN = 16
_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_PUBLIC_KEY_INFO = (
    serialization.Encoding.DER,
    serialization.PublicFormat.SubjectPublicKeyInfo,
)
_PEM_LINE = 64
_AES_BLOCK = 16


def load_certificate(der: bytes) -> x509.Certificate:
    """Return the certificate that `der` encodes. Raises `KeystoreError`."""
    if len(der) > MAXIMUM_CERTIFICATE:
        raise KeystoreError(f"a certificate of {len(der)} octets is too large")
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion) as error:
        raise KeystoreError("these bytes are not an X.509 certificate") from error


def require_readable(certificate: x509.Certificate) -> None:
    """Raise `KeystoreError` if names, dates or extensions, which are parsed late, are malformed."""
    try:
        _ = certificate.subject, certificate.issuer, certificate.extensions
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise KeystoreError(
            f"the certificate is malformed ({error})", remedy="have its issuer make another"
        ) from error


def certificate_der(certificate: x509.Certificate) -> bytes:
    """Return the certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate as PEM, with its final line end."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def chain_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return the certificates as PEM blocks one behind the other."""
    return b"".join(certificate_pem(certificate) for certificate in certificates)


def join_certificates(certificates: Sequence[x509.Certificate]) -> bytes:
    """Return the certificates' DER one behind the other; each tells its own length."""
    return b"".join(certificate_der(certificate) for certificate in certificates)


def split_certificates(joined: bytes) -> tuple[x509.Certificate, ...]:
    """Return the certificates that `join_certificates` joined. Raises `KeystoreError`."""
    certificates: list[x509.Certificate] = []
    start = 0
    while start < len(joined):
        if len(certificates) == MAXIMUM_CHAIN:
            raise KeystoreError(f"a chain of more than {MAXIMUM_CHAIN} certificates")
        end = start + _der_sequence_length(joined[start : start + 4])
        certificates.append(load_certificate(joined[start:end]))
        start = end
    return tuple(certificates)


def _der_sequence_length(head: bytes) -> int:
    """Return the whole length of the DER SEQUENCE that begins with `head` (X.690 section 8.1.3)."""
    if len(head) == 4 and head[:2] == b"\x30\x82":
        return 4 + int.from_bytes(head[2:4])
    if len(head) >= 3 and head[:2] == b"\x30\x81":
        return 3 + head[2]
    if len(head) >= 2 and head[0] == 0x30 and head[1] < 0x80:
        return 2 + head[1]
    raise KeystoreError("these bytes are not a DER sequence of a certificate's size")


def certificate_public_key_der(certificate: x509.Certificate) -> bytes:
    """Return the SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).

    Raises `KeystoreError` if the key is of a kind that cannot be used.
    """
    try:
        return certificate.public_key().public_bytes(*_PUBLIC_KEY_INFO)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeystoreError("the certificate's public key is of an unsupported kind") from error


def public_key_der(key: CertificatePublicKeyTypes) -> bytes:
    """Return a public key as SubjectPublicKeyInfo."""
    return key.public_bytes(*_PUBLIC_KEY_INFO)


def private_key_public_der(key: PrivateKeyTypes) -> bytes:
    """Return the SubjectPublicKeyInfo of the public half of a private key."""
    return key.public_key().public_bytes(*_PUBLIC_KEY_INFO)


def private_key_der(key: PrivateKeyTypes) -> bytes:
    """Return the private key as unencrypted PKCS#8 DER, for sealing only."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def load_private_key(der: bytes) -> PrivateKeyTypes:
    """Return the private key that unencrypted PKCS#8 DER encodes. Raises `KeystoreError`."""
    try:
        return serialization.load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeystoreError("these bytes are not a private key") from error


def load_public_key(der: bytes) -> CertificatePublicKeyTypes:
    """Return the public key that a SubjectPublicKeyInfo encodes. Raises `KeystoreError`."""
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeystoreError("these bytes are not a public key") from error
    if isinstance(
        key,
        rsa.RSAPublicKey
        | ec.EllipticCurvePublicKey
        | ed25519.Ed25519PublicKey
        | ed448.Ed448PublicKey
        | dsa.DSAPublicKey,
    ):
        return key
    raise KeystoreError("the public key is of a kind that no certificate here holds")


def key_type(key: CertificatePublicKeyTypes) -> str:
    """Return the family: `rsa`, `ec`, `ed25519`, `ed448`, `dsa` or `other`."""
    families: tuple[tuple[str, type], ...] = (
        ("rsa", rsa.RSAPublicKey),
        ("ec", ec.EllipticCurvePublicKey),
        ("ed25519", ed25519.Ed25519PublicKey),
        ("ed448", ed448.Ed448PublicKey),
        ("dsa", dsa.DSAPublicKey),
    )
    return next((name for name, family in families if isinstance(key, family)), "other")


def key_description(key: CertificatePublicKeyTypes) -> str:
    """Return family and size for people: `RSA 2048`, `EC P-256`, `Ed25519`."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"EC {_CURVE_NAMES.get(key.curve.name, key.curve.name)}"
    if isinstance(key, dsa.DSAPublicKey):
        return f"DSA {key.key_size}"
    return key_type(key).capitalize()


def name_text(name: x509.Name) -> str:
    """Return a subject or issuer in the form of RFC 4514, the most specific part first."""
    return name.rfc4514_string({x509.NameOID.EMAIL_ADDRESS: "E"})


def alternative_names(certificate: x509.Certificate) -> list[str]:
    """Return the subject alternative names as `DNS:…`, `IP:…`, `email:…`, in their order.

    Other forms stand with their type alone; a malformed extension counts as absent.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [general_name_text(name) for name in names]


def general_name_text(name: x509.GeneralName) -> str:
    """Return a general name (RFC 5280 section 4.2.1.6) with its kind in front."""
    if isinstance(name, x509.DNSName):
        return f"DNS:{name.value}"
    if isinstance(name, x509.IPAddress):
        return f"IP:{name.value}"
    if isinstance(name, x509.RFC822Name):
        return f"email:{name.value}"
    if isinstance(name, x509.UniformResourceIdentifier):
        return f"URI:{name.value}"
    if isinstance(name, x509.DirectoryName):
        return f"dirName:{name_text(name.value)}"
    return type(name).__name__


def fingerprint(digest: bytes) -> str:
    """Return the digest as upper-case hexadecimal octets with colons between."""
    return digest.hex(":").upper()


def sha256_fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 fingerprint of the certificate."""
    return fingerprint(hashlib.sha256(certificate_der(certificate)).digest())


def sha1_fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-1 fingerprint, which old devices still show; nothing is decided by it."""
    digest = hashlib.sha1(certificate_der(certificate), usedforsecurity=False).digest()
    return fingerprint(digest)


def encrypted_key_pem(private_key: bytes, passphrase: bytes) -> bytes:
    """Return unencrypted PKCS#8 DER as `ENCRYPTED PRIVATE KEY` PEM (RFC 7468 section 11).

    One iteration of PBKDF2 is deliberate: the passphrase must be 32 random octets or more, which
    no number of iterations makes stronger, and a server loads thousands of keys. That is why the
    library's own encryption, with tens of thousands of iterations, is not used.
    """
    salt, vector = os.urandom(_AES_BLOCK), os.urandom(_AES_BLOCK)
    key = hashlib.pbkdf2_hmac("sha256", passphrase, salt, 1, 32)
    padder = padding.PKCS7(_AES_BLOCK * 8).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    ciphertext = encryptor.update(padder.update(private_key) + padder.finalize())
    ciphertext += encryptor.finalize()
    return _pem(
        "ENCRYPTED PRIVATE KEY",
        _der(0x30, _pbes2_algorithm(salt, vector), _der(0x04, ciphertext)),
    )


_OID_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_OID_PBKDF2 = bytes.fromhex("06092a864886f70d01050c")
_OID_HMAC_SHA256 = bytes.fromhex("06082a864886f70d0209")
_OID_AES256_CBC = bytes.fromhex("060960864801650304012a")
_NULL = b"\x05\x00"
_ITERATIONS_ONE = b"\x02\x01\x01"


def _pbes2_algorithm(salt: bytes, vector: bytes) -> bytes:
    """Return the AlgorithmIdentifier of RFC 8018 appendix A.4: PBKDF2-HMAC-SHA256, AES-256-CBC."""
    pseudorandom = _der(0x30, _OID_HMAC_SHA256, _NULL)
    parameters = _der(0x30, _der(0x04, salt), _ITERATIONS_ONE, pseudorandom)
    derivation = _der(0x30, _OID_PBKDF2, parameters)
    encryption = _der(0x30, _OID_AES256_CBC, _der(0x04, vector))
    return _der(0x30, _OID_PBES2, _der(0x30, derivation, encryption))


def _der(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _pem(label: str, der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[at : at + _PEM_LINE] for at in range(0, len(text), _PEM_LINE)]
    framed = (f"-----BEGIN {label}-----".encode(), *lines, f"-----END {label}-----".encode(), b"")
    return b"\n".join(framed)
