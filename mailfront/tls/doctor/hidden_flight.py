"""What a TLS 1.3 server shows only encrypted: its chain, its signature algorithm, its ALPN choice.

Takes the ClientHello, the answer so far and our X25519 key; decrypts the server's first flight with
the handshake keys (RFC 8446 sections 5.2, 7.1 and 7.3) and adds what it finds to the answer. Python
before 3.13 has no public way to see the chain that a server presents. Nothing is verified here: the
verifying handshake is OpenSSL's.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from mailfront.errors import TlsAnswerError
from mailfront.protocol.tls_probe.answer import Answer
from mailfront.protocol.tls_probe.code_points import SECP256R1, X25519
from mailfront.protocol.tls_probe.offer import Offer

# Suites that we can decrypt: hash, key octets, cipher.
_SUITES: dict[int, tuple[str, int, type[AESGCM] | type[ChaCha20Poly1305]]] = {
    0x1301: ("sha256", 16, AESGCM),
    0x1302: ("sha384", 32, AESGCM),
    0x1303: ("sha256", 32, ChaCha20Poly1305),
}
DECRYPTABLE = tuple(_SUITES)
_HANDSHAKE, _ALERT = 22, 21


@dataclass(frozen=True)
class KeyPairs:
    """Our ephemeral keys, one for each group whose share is offered."""

    x25519_key: x25519.X25519PrivateKey
    p256_key: ec.EllipticCurvePrivateKey

    @classmethod
    def generate(cls) -> KeyPairs:
        """New keys."""
        return cls(x25519.X25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1()))

    def shares(self) -> list[tuple[int, bytes]]:
        """The public halves as they are offered (RFC 8446 section 4.2.8)."""
        point = self.p256_key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        return [(X25519, self.x25519_key.public_key().public_bytes_raw()), (SECP256R1, point)]

    def shared_secret(self, group: int, share: bytes) -> bytes:
        """The secret shared with the server. Raises `TlsAnswerError` for an invalid share."""
        try:
            if group == X25519:
                return self.x25519_key.exchange(x25519.X25519PublicKey.from_public_bytes(share))
            public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), share)
            return self.p256_key.exchange(ec.ECDH(), public)
        except ValueError as failure:
            raise TlsAnswerError("an invalid key share") from failure


class HiddenFlight:
    """Decrypts the records behind a ServerHello, one by one, into its answer.

    Raises `TlsAnswerError` for an answer that cannot be decrypted.
    """

    def __init__(self, offer: Offer, answer: Answer, keys: KeyPairs) -> None:
        if answer.suite not in _SUITES or answer.is_retry or not answer.key_share:
            raise TlsAnswerError("no TLS 1.3 answer that can be decrypted")
        hash_name, key_length, cipher = _SUITES[answer.suite]
        secret = _server_secret(
            hash_name,
            keys.shared_secret(answer.group, answer.key_share),
            offer.message() + answer.server_hello,
        )
        self._answer = answer
        self._aead = cipher(_expand_label(hash_name, secret, b"key", b"", key_length))
        self._vector = int.from_bytes(_expand_label(hash_name, secret, b"iv", b"", 12))
        self._sequence = 0

    def take(self, header: bytes, payload: bytes) -> None:
        """Decrypt the next record; not to be called behind the server's Finished."""
        nonce = (self._vector ^ self._sequence).to_bytes(12)
        self._sequence += 1
        try:
            inner = self._aead.decrypt(nonce, payload, header).rstrip(b"\0")
        except InvalidTag as failure:
            raise TlsAnswerError("a TLS 1.3 record that does not decrypt") from failure
        kind, content = inner[-1:], inner[:-1]
        if kind == bytes([_ALERT]) and len(content) == 2:
            self._answer.alert = content[1]
        elif kind == bytes([_HANDSHAKE]):
            self._answer.take_handshake(content)
        else:
            raise TlsAnswerError("an unexpected record in the server's first flight")


def _server_secret(hash_name: str, shared: bytes, transcript: bytes) -> bytes:
    """server_handshake_traffic_secret of RFC 8446 section 7.1."""
    size = hashlib.new(hash_name).digest_size
    empty = hashlib.new(hash_name, b"").digest()
    early = _extract(hash_name, bytes(size), bytes(size))
    derived = _expand_label(hash_name, early, b"derived", empty, size)
    handshake = _extract(hash_name, derived, shared)
    context = hashlib.new(hash_name, transcript).digest()
    return _expand_label(hash_name, handshake, b"s hs traffic", context, size)


def _extract(hash_name: str, salt: bytes, material: bytes) -> bytes:
    return hmac.new(salt, material, hash_name).digest()


def _expand_label(
    hash_name: str, secret: bytes, label: bytes, context: bytes, length: int
) -> bytes:
    label = b"tls13 " + label
    info = length.to_bytes(2) + bytes([len(label)]) + label + bytes([len(context)]) + context
    # All that is asked for here fits into one block of HKDF-Expand (RFC 5869 section 2.3).
    return hmac.new(secret, info + b"\x01", hash_name).digest()[:length]
