"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, server side (RFC 5802, RFC 7677).

Takes the client's two messages; asks in between for the verifier of the name, and after the second
tells whether the proof was right. PLUS binds the exchange to the TLS connection: `tls-exporter`
(RFC 9266) or `tls-server-end-point` (RFC 5929), whichever the client names. A client that could
bind but was led to believe that we cannot is refused: somebody in between took the PLUS out of our
list (RFC 5802 section 6).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import ScramCredentials, ScramVerifier, VerifierRequest
from mailfront.protocol.sasl.exchange import Challenge, ServerExchange
from mailfront.protocol.sasl.gs2 import Binding, Gs2Header, decode_name

MECHANISM = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"
BINDINGS = ("tls-exporter", "tls-server-end-point")
"""The kinds of channel binding that PLUS takes."""

ChannelBinding = Callable[[str], bytes | None]
"""Gives the octets of a kind of channel binding of this connection, or None."""

_DIGEST_OCTETS = hashlib.sha256().digest_size
_NONCE_OCTETS = 18
_LONGEST_NONCE = 512
# RFC 5802 section 7: printable, no comma.
_NONCE = re.compile(rb"[\x21-\x2b\x2d-\x7e]{1,%d}" % _LONGEST_NONCE)
# Unknown ones are signed and ignored (RFC 5802 section 5.1).
_EXTENSIONS = re.compile(rb"(,[A-Za-z]=[^\0,]+){1,8}")


def scram_verifier(password: bytes, salt: bytes, iterations: int) -> ScramVerifier:
    """Return the verifier of a password that was prepared (RFC 5802 section 3). Blocks for the
    whole of PBKDF2."""
    salted = hashlib.pbkdf2_hmac("sha256", password, salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    return ScramVerifier(iterations, salt, hashlib.sha256(client_key).digest(), server_key)


class ScramExchange(ServerExchange):
    """A SCRAM exchange.

    `bound` is PLUS, with `channel_binding` to ask; without it, `plus_offered` tells whether PLUS
    was announced to this client.
    """

    def __init__(
        self,
        *,
        bound: bool = False,
        plus_offered: bool = False,
        channel_binding: ChannelBinding | None = None,
        nonce: bytes | None = None,
    ) -> None:
        self.mechanism = PLUS if bound else MECHANISM
        self._bound = bound
        self._plus_offered = plus_offered
        self._channel_binding = channel_binding
        self._nonce = nonce or base64.b64encode(secrets.token_bytes(_NONCE_OCTETS))
        self._authorization = self._login = ""
        self._client_first = self._server_first = self._binding_input = b""
        self._verifier: ScramVerifier | None = None
        self._server_signature = b""

    def respond(self, response: bytes) -> VerifierRequest | ScramCredentials:
        """Take the first message, then the second. Raises `SaslError`."""
        return self._second(response) if self._server_first else self._first(response)

    def supply(self, verifier: ScramVerifier) -> Challenge:
        """Return the server's first message."""
        self._verifier = verifier
        salt = base64.b64encode(verifier.salt)
        self._server_first = b"r=%s,s=%s,i=%d" % (self._nonce, salt, verifier.iterations)
        return Challenge(self._server_first)

    def granted(self) -> Challenge:
        """Return the server's last message, by which it proves that it knows the verifier."""
        return Challenge(b"v=" + base64.b64encode(self._server_signature))

    def _first(self, message: bytes) -> VerifierRequest:
        header, self._client_first = Gs2Header.parse(message)
        self._binding_input = header.octets + self._binding_data(header)
        # `m=`, a mandatory extension, may only stand before the name; there are none (5.1).
        name, _, rest = self._client_first.partition(b",")
        nonce, comma, extensions = rest.partition(b",")
        if not name.startswith(b"n=") or not nonce.startswith(b"r="):
            raise SaslError(SaslFault.INVALID, "a first message that does not begin with n=, r=")
        if not _NONCE.fullmatch(nonce[2:]) or (
            comma and not _EXTENSIONS.fullmatch(comma + extensions)
        ):
            raise SaslError(SaslFault.INVALID, "a first message with a bad nonce or extension")
        self._login = decode_name(name[2:])
        if not self._login:
            raise SaslError(SaslFault.INVALID, "a first message without a name")
        self._authorization = header.authorization
        if self._authorization.casefold() == self._login.casefold():
            self._authorization = ""
        self._nonce = nonce[2:] + self._nonce
        return VerifierRequest(self._login)

    def _binding_data(self, header: Gs2Header) -> bytes:
        if not self._bound:
            if header.binding is Binding.USED:
                raise SaslError(SaslFault.INVALID, "channel binding without PLUS")
            if header.binding is Binding.NOT_OFFERED and self._plus_offered:
                raise SaslError(
                    SaslFault.DOWNGRADE, "the client was told that PLUS is not offered, but it is"
                )
            return b""
        if header.binding is not Binding.USED or header.kind not in BINDINGS:
            raise SaslError(SaslFault.INVALID, "PLUS without a kind of channel binding known here")
        assert self._channel_binding is not None
        data = self._channel_binding(header.kind)
        if data is None:
            raise SaslError(SaslFault.INVALID, "this connection has no such channel binding")
        return data

    def _second(self, message: bytes) -> ScramCredentials:
        verifier = self._verifier
        assert verifier is not None
        unsigned, _, encoded = message.rpartition(b",p=")
        proof = _proof(encoded)
        agreed = b"c=%s,r=%s" % (base64.b64encode(self._binding_input), self._nonce)
        extensions = unsigned[len(agreed) :]
        signed = b",".join((self._client_first, self._server_first, unsigned))
        signature = hmac.digest(verifier.stored_key, signed, "sha256")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        proven = hmac.compare_digest(hashlib.sha256(client_key).digest(), verifier.stored_key)
        # A nonce or channel binding of another connection must not count, whatever is signed.
        proven &= hmac.compare_digest(unsigned[: len(agreed)], agreed)
        proven &= not extensions or _EXTENSIONS.fullmatch(extensions) is not None
        self._server_signature = hmac.digest(verifier.server_key, signed, "sha256")
        return ScramCredentials(self._authorization, self._login, proven)


def _proof(encoded: bytes) -> bytes:
    try:
        proof = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        proof = b""
    if len(proof) != _DIGEST_OCTETS:
        raise SaslError(SaslFault.INVALID, "a last message without a proof of its size")
    return proof
