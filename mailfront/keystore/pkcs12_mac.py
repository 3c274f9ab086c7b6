"""The MAC of a PKCS#12 file, made as dear to guess at as its encryption.

The library hashes the password 2048 times for it whatever is asked for the encryption, and whoever
guesses at a password tries the cheaper of both. Takes a file and its password, returns the same
with another MAC: HMAC-SHA256 under a key derived as RFC 7292 appendix B.2 prescribes.
"""

from __future__ import annotations

import hashlib
import hmac
import os

from mailfront.interfaces.secret import Secret
from mailfront.keystore import ber

_SALT_LENGTH = 16
_BLOCK = 64  # of SHA-256; v in appendix B.2
_FOR_MAC = 3  # appendix B.3
_SHA256 = ber.object_identifier("2.16.840.1.101.3.4.2.1")


def with_strong_mac(file: bytes, password: Secret, iterations: int) -> bytes:
    """Return the PKCS#12 `file` with a MAC after so many iterations."""
    version, safe, *_ = ber.parse(file).children
    content = safe.children[1].children[0].string()
    salt = os.urandom(_SALT_LENGTH)
    digest = hmac.digest(_mac_key(password, salt, iterations), content, "sha256")
    algorithm = _sequence(
        ber.Element(ber.OBJECT_IDENTIFIER, _SHA256, ()), ber.Element(ber.NULL, b"", ())
    )
    mac = _sequence(
        _sequence(algorithm, ber.Element(ber.OCTET_STRING, digest, ())),
        ber.Element(ber.OCTET_STRING, salt, ()),
        ber.Element(ber.INTEGER, iterations.to_bytes(iterations.bit_length() // 8 + 1), ()),
    )
    return _sequence(version, safe, mac).encoded()


def _mac_key(password: Secret, salt: bytes, iterations: int) -> bytes:
    """Return the first 32 octets of the key: one round of the outer loop of appendix B.2."""
    text = (password.reveal() + "\0").encode("utf-16-be")
    key = bytes([_FOR_MAC]) * _BLOCK + _filled(salt) + _filled(text)
    for _ in range(iterations):
        key = hashlib.sha256(key).digest()
    return key


def _filled(octets: bytes) -> bytes:
    """Return `octets` over and over, cut at the next multiple of the block's size."""
    length = -(-len(octets) // _BLOCK) * _BLOCK
    return (octets * (length // len(octets) + 1))[:length]


def _sequence(*children: ber.Element) -> ber.Element:
    return ber.Element(ber.SEQUENCE, b"", children)
