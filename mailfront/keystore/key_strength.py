"""Is a key strong enough for a server of today? A public key in, a sentence or nothing out.

The bounds are those of NIST SP 800-57 part 1 table 2 for 112 bits of security.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from mailfront.errors import KeystoreError
from mailfront.keystore.formats import key_description

MINIMUM_RSA = 2048
MINIMUM_CURVE = 224


def weakness(key: CertificatePublicKeyTypes) -> str:
    """Return why the key is too weak, or an empty text."""
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MINIMUM_RSA:
        return f"{key_description(key)} is too weak (at least {MINIMUM_RSA} bits are wanted)"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MINIMUM_CURVE:
        return f"{key_description(key)} is too weak (at least {MINIMUM_CURVE} bits are wanted)"
    return ""


def require_strength(key: CertificatePublicKeyTypes) -> None:
    """Raise `KeystoreError` if the key is too weak."""
    if fault := weakness(key):
        raise KeystoreError(
            f"the key is weak: {fault}",
            remedy="have a new certificate made with a new key, or add --allow-weak",
        )
