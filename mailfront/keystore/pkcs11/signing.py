"""Signing on a PKCS#11 token: private keys that `cryptography` can sign requests with.

The library documents its key classes as an interface for keys elsewhere ("Cloud KMS and HSM
Asymmetric Keys"); these two implement what the making of requests and certificates needs, and
refuse the rest. What is signed is hashed here: every token signs a digest, not every one hashes.
RSA is PKCS#1 v1.5 (RFC 8017 section 8.2), ECDSA's two numbers become DER (RFC 3279 section 2.2.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    PrivateFormat,
)
from pkcs11 import Mechanism

from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore.pkcs11.objects import plain_token_errors
from mailfront.keystore.pkcs11.token_records import TokenKey

if TYPE_CHECKING:
    from cryptography.utils import Buffer

SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

# DigestInfo in front of the digest (RFC 8017 section 9.2, note 1).
_DIGEST_INFO: dict[str, bytes] = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
_HASHING_RSA: dict[str, Mechanism] = {
    "sha256": Mechanism.SHA256_RSA_PKCS,
    "sha384": Mechanism.SHA384_RSA_PKCS,
    "sha512": Mechanism.SHA512_RSA_PKCS,
}
_HASHING_ECDSA: dict[str, Mechanism] = {
    "sha256": Mechanism.ECDSA_SHA256,
    "sha384": Mechanism.ECDSA_SHA384,
    "sha512": Mechanism.ECDSA_SHA512,
}


def signing_key(session: pkcs11.Session, key: TokenKey) -> SigningKey:
    """Return the key in the form that makes requests and certificates; it stays on the token.

    Raises `TokenError` for a key that cannot sign, or whose public half nothing tells.
    """
    name = f"{key.token}:{key.nickname}"
    if not isinstance(key.found, pkcs11.SignMixin):
        raise TokenError(
            f"the key {name} may not sign", remedy="make another with `msgcert request-cert`"
        )
    if key.protection.always_authenticate:
        raise TokenError(
            f"the key {name} wants the PIN for every signature, which no server can give",
            remedy="make another key; on a card, in a slot without that rule",
        )
    if isinstance(key.public_key, rsa.RSAPublicKey):
        return TokenRsaKey(_Signer(session, key.found), key.public_key)
    if isinstance(key.public_key, ec.EllipticCurvePublicKey):
        return TokenEcKey(_Signer(session, key.found), key.public_key)
    raise TokenError(f"nothing on the token tells the public half of {name}")


def ecdsa_der(signature: bytes) -> bytes:
    """Return the DER form of an ECDSA signature that a token gives as r and s of equal length.

    Raises `TokenError` for anything else.
    """
    half, odd = divmod(len(signature), 2)
    if odd or not half:
        raise TokenError(f"the token gives an ECDSA signature of {len(signature)} octets")
    return utils.encode_dss_signature(
        int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
    )


class _Signer:
    """Signs by the mechanism that the token offers."""

    def __init__(self, session: pkcs11.Session, found: pkcs11.SignMixin) -> None:
        self._session = session
        self._found = found

    def sign(
        self, data: bytes, algorithm: hashes.HashAlgorithm, raw: Mechanism, whole: Mechanism
    ) -> bytes:
        """Return the signature: of the digest by `raw`, else of the data by `whole`."""
        with plain_token_errors(self._session, "it does not sign"):
            offered = self._session.token.slot.get_mechanisms()
            if raw in offered or whole not in offered:
                digest = _digest(data, algorithm)
                if raw is Mechanism.RSA_PKCS:
                    digest = _DIGEST_INFO[algorithm.name] + digest
                return self._found.sign(digest, mechanism=raw)
            return self._found.sign(data, mechanism=whole)


def _digest(data: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    context = hashes.Hash(algorithm)
    context.update(data)
    return context.finalize()


def _stays() -> NoReturn:
    raise KeystoreError("the private key is on a token and cannot leave it")


class TokenRsaKey(rsa.RSAPrivateKey):
    """An RSA key on a token: signs, and nothing else."""

    def __init__(self, signer: _Signer, public_key: rsa.RSAPublicKey) -> None:
        self._signer = signer
        self._public_key = public_key

    @property
    def key_size(self) -> int:
        """The bits of the modulus."""
        return self._public_key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """Return the public half."""
        return self._public_key

    def sign(
        self,
        data: bytes,
        padding_scheme: AsymmetricPadding,
        algorithm: utils.Prehashed | hashes.HashAlgorithm | utils.NoDigestInfo,
    ) -> bytes:
        """Return a PKCS#1 v1.5 signature over SHA-2. Raises `KeystoreError` for another kind."""
        if (
            not isinstance(padding_scheme, padding.PKCS1v15)
            or not isinstance(algorithm, hashes.HashAlgorithm)
            or algorithm.name not in _DIGEST_INFO
        ):
            raise KeystoreError("keys on tokens sign by PKCS#1 v1.5 with SHA-2 here")
        whole = _HASHING_RSA[algorithm.name]
        return self._signer.sign(data, algorithm, Mechanism.RSA_PKCS, whole)

    def decrypt(self, ciphertext: bytes, padding_scheme: AsymmetricPadding) -> bytes:
        """Not done here."""
        _stays()

    def private_numbers(self) -> rsa.RSAPrivateNumbers:
        """Not possible: the key stays on the token."""
        _stays()

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 (the library's name)
        encryption_algorithm: KeySerializationEncryption,
    ) -> bytes:
        """Not possible: the key stays on the token."""
        _stays()

    def __copy__(self) -> TokenRsaKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> TokenRsaKey:
        return self


class TokenEcKey(ec.EllipticCurvePrivateKey):
    """An EC key on a token: signs, and nothing else."""

    def __init__(self, signer: _Signer, public_key: ec.EllipticCurvePublicKey) -> None:
        self._signer = signer
        self._public_key = public_key

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve."""
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        """The bits of the curve's order."""
        return self._public_key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""
        return self._public_key

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Return an ECDSA signature over SHA-2 in DER. Raises `KeystoreError` for another kind."""
        algorithm = signature_algorithm.algorithm
        if not isinstance(algorithm, hashes.HashAlgorithm) or algorithm.name not in _HASHING_ECDSA:
            raise KeystoreError("keys on tokens sign by ECDSA with SHA-2 here")
        whole = _HASHING_ECDSA[algorithm.name]
        return ecdsa_der(self._signer.sign(bytes(data), algorithm, Mechanism.ECDSA, whole))

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        """Not done here."""
        _stays()

    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        """Not possible: the key stays on the token."""
        _stays()

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 (the library's name)
        encryption_algorithm: KeySerializationEncryption,
    ) -> bytes:
        """Not possible: the key stays on the token."""
        _stays()

    def __copy__(self) -> TokenEcKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> TokenEcKey:
        return self
