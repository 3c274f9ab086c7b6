"""Public keys as PKCS#11 objects describe them, and the identifier that pairs objects of one key.

Pure: attributes in, `cryptography` keys out, and back. RSA, and EC on the curves that TLS uses;
everything else is None, for it cannot be served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from pkcs11 import Attribute, KeyType

ServablePublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

# Names of curves as DER object identifiers (RFC 5480 section 2.1.1.1), and octets of a coordinate.
_CURVES: dict[bytes, tuple[type[ec.EllipticCurve], int]] = {
    bytes.fromhex("06082a8648ce3d030107"): (ec.SECP256R1, 32),
    bytes.fromhex("06052b81040022"): (ec.SECP384R1, 48),
    bytes.fromhex("06052b81040023"): (ec.SECP521R1, 66),
}
_UNCOMPRESSED = 0x04
_OCTET_STRING = 0x04
# Tokens may leave it out of a private key; no other exponent is in use.
_USUAL_EXPONENT = 65537
_LARGEST_MODULUS = 16384 // 8


def public_key_of(attributes: Mapping[int, object]) -> ServablePublicKey | None:
    """Return the public key that the attributes of a key object tell, or None if they do not.

    A private RSA key tells its public half; a private EC key does not.
    """
    kind = attributes.get(Attribute.KEY_TYPE)
    try:
        if kind == KeyType.RSA:
            return _rsa_key(attributes)
        if kind == KeyType.EC:
            return _ec_key(attributes)
    except ValueError:
        return None
    return None


def _rsa_key(attributes: Mapping[int, object]) -> rsa.RSAPublicKey | None:
    modulus = _octets(attributes, Attribute.MODULUS)
    if not 0 < len(modulus) <= _LARGEST_MODULUS:
        return None
    exponent = int.from_bytes(_octets(attributes, Attribute.PUBLIC_EXPONENT)) or _USUAL_EXPONENT
    return rsa.RSAPublicNumbers(exponent, int.from_bytes(modulus)).public_key()


def _ec_key(attributes: Mapping[int, object]) -> ec.EllipticCurvePublicKey | None:
    known = _CURVES.get(_octets(attributes, Attribute.EC_PARAMS))
    point = _octets(attributes, Attribute.EC_POINT)
    if known is None or not point:
        return None
    curve, size = known
    return ec.EllipticCurvePublicKey.from_encoded_point(curve(), _point(point, size))


def _point(value: bytes, size: int) -> bytes:
    """Return the point out of CKA_EC_POINT, which some modules do not wrap in an OCTET STRING.

    Both forms may begin with the same octet; the curve tells how long the bare point is.
    """
    if len(value) == 1 + 2 * size and value[0] == _UNCOMPRESSED:
        return value
    header = 2 if len(value) - 2 < 0x80 else 3
    if (
        len(value) > header
        and value[0] == _OCTET_STRING
        and value[header - 1] == (len(value) - header)
    ):
        return value[header:]
    raise ValueError("no point of this curve")


def _octets(attributes: Mapping[int, object], name: Attribute) -> bytes:
    value = attributes.get(name)
    return value if isinstance(value, bytes) else b""


def key_identifier(key: ServablePublicKey) -> bytes:
    """Return the CKA_ID that NSS gives to a key and its certificate: a SHA-1 of the public value.

    That is the modulus, or the uncompressed point. PKCS#11 section 4.9 leaves the choice open; with
    this one NSS finds what belongs together even where its own tools did not store it.
    """
    if isinstance(key, rsa.RSAPublicKey):
        number = key.public_numbers().n
        public_value = number.to_bytes((number.bit_length() + 7) // 8)
    else:
        public_value = _encoded_point(key)
    return hashlib.sha1(public_value, usedforsecurity=False).digest()


def public_key_attributes(key: ServablePublicKey) -> dict[Attribute, object]:
    """Return the attributes of a public key object that tell the key itself."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {
            Attribute.KEY_TYPE: KeyType.RSA,
            Attribute.MODULUS: big_integer(numbers.n),
            Attribute.PUBLIC_EXPONENT: big_integer(numbers.e),
        }
    point = _encoded_point(key)
    length = bytes((len(point),)) if len(point) < 0x80 else bytes((0x81, len(point)))
    return {
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.EC_PARAMS: curve_parameters(key.curve),
        Attribute.EC_POINT: bytes((_OCTET_STRING,)) + length + point,
    }


def curve_parameters(curve: ec.EllipticCurve) -> bytes:
    """Return CKA_EC_PARAMS of a curve that TLS uses. Raises `ValueError` for another one."""
    for parameters, (known, _) in _CURVES.items():
        if isinstance(curve, known):
            return parameters
    raise ValueError(f"no curve for TLS: {curve.name}")


def big_integer(number: int) -> bytes:
    """Return a number as PKCS#11 wants it: big-endian, unsigned, without zeros in front."""
    return number.to_bytes((number.bit_length() + 7) // 8)


def servable(key: CertificatePublicKeyTypes) -> ServablePublicKey | None:
    """Return the key if one of its kind can be on a token and serve TLS, else None."""
    if isinstance(key, rsa.RSAPublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and any(
        isinstance(key.curve, curve) for curve, _ in _CURVES.values()
    ):
        return key
    return None


def _encoded_point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
