"""Do the keys of a personality suit the policy that they are to be presented under?

Takes a policy and certificates; gives faults, with which clients could not connect, and warnings.
A key type is fit where the policy has a signature algorithm for it (RFC 8446 section 4.2.3) and,
for versions up to TLS 1.2, a suite.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

from mailfront.errors import KeystoreError
from mailfront.keystore.formats import key_description
from mailfront.keystore.key_strength import weakness
from mailfront.keystore.records import CertificateRecord
from mailfront.tls.policy import Policy

_ALGORITHM_OF_CURVE = {
    "secp256r1": "ecdsa_secp256r1_sha256",
    "secp384r1": "ecdsa_secp384r1_sha384",
    "secp521r1": "ecdsa_secp521r1_sha512",
}
_RARE = {
    "ecdsa_secp521r1_sha512": "few clients can verify P-521",
    "ed25519": "browsers and many mail clients cannot verify Ed25519",
    "ed448": "hardly any client can verify Ed448",
}


def _algorithms(key: CertificatePublicKeyTypes, policy: Policy) -> tuple[str, ...]:
    """The policy's signature algorithms that the key can sign with."""
    if isinstance(key, rsa.RSAPublicKey):
        return tuple(name for name in policy.signature_algorithms if name.startswith("rsa_"))
    if isinstance(key, ec.EllipticCurvePublicKey):
        wanted = _ALGORITHM_OF_CURVE.get(key.curve.name, "")
    elif isinstance(key, ed25519.Ed25519PublicKey):
        wanted = "ed25519"
    else:
        wanted = "ed448" if isinstance(key, ed448.Ed448PublicKey) else ""
    return (wanted,) if wanted in policy.signature_algorithms else ()


def _serves_tls12(key: CertificatePublicKeyTypes, policy: Policy) -> bool:
    authentication = "RSA" if isinstance(key, rsa.RSAPublicKey) else "ECDSA"
    return any(suite.authentication == authentication for suite in policy.suites)


def key_fault(key: CertificatePublicKeyTypes, policy: Policy) -> str:
    """Why no certificate with `key` can be presented under `policy`, or an empty text."""
    if fault := weakness(key):
        return fault
    if not _algorithms(key, policy):
        return (
            f"{key_description(key)}: no client of the TLS policy {policy.name} can verify a "
            "signature of such a key"
        )
    if policy.maximum_version < ssl.TLSVersion.TLSv1_3 and not _serves_tls12(key, policy):
        return f"no cipher suite of the policy works with its key ({key_description(key)})"
    return ""


def require_fit_keys(records: Sequence[CertificateRecord], policy: Policy) -> None:
    """Raise `KeystoreError`, with the remedy, for a key that the policy has no use for."""
    for record in records:
        if fault := key_fault(record.certificate.public_key(), policy):
            raise KeystoreError(
                f"{record.nickname!r}: {fault}",
                remedy="have a certificate made with an ECDSA P-256 or RSA 2048 key",
            )


def personality_warnings(certificates: Sequence[x509.Certificate], policy: Policy) -> list[str]:
    """What clients will miss though each key by itself is fit."""
    keys = [certificate.public_key() for certificate in certificates]
    usable = {algorithm for key in keys for algorithm in _algorithms(key, policy)}
    found = []
    if usable and usable <= set(_RARE):
        rare = "; ".join(_RARE[name] for name in sorted(usable))
        found.append(f"{rare}: present an ECDSA P-256 or RSA certificate beside it")
    before_tls13 = policy.minimum_version < ssl.TLSVersion.TLSv1_3
    if before_tls13 and not any(_serves_tls12(key, policy) for key in keys):
        kinds = ", ".join(map(key_description, keys))
        found.append(f"no client gets TLS 1.2: no suite of the policy works with {kinds}")
    return found
