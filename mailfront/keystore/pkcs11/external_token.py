"""A PKCS#11 token as commands use it: keys and certificates by nickname, requests signed on it.

`open_external_token` takes a server root and the token's label, and gives an `ExternalToken` for a
block; behind it are `objects`, `generation`, `key_import`, `signing` and `storing`. Never inside
the process that serves (see `sessions`). Raises `TokenError` or `KeystoreError`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pkcs11
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256

from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.pkcs11 import generation, key_import, objects, signing, storing
from mailfront.keystore.pkcs11.sessions import open_token
from mailfront.keystore.pkcs11.signing import SigningKey
from mailfront.keystore.pkcs11.token_records import TokenCertificate, TokenContents, TokenKey
from mailfront.keystore.requests import KeyKind

_CHALLENGE_OCTETS = 32


class ExternalToken:
    """A token that is logged in; good for the block of `open_external_token`."""

    def __init__(self, session: pkcs11.Session) -> None:
        self._session = session

    @property
    def label(self) -> str:
        """The token's label."""
        return self._session.token.label

    def contents(self) -> TokenContents:
        """Return all certificates and private keys."""
        return objects.read_contents(self._session)

    def require(self, nickname: str) -> TokenCertificate:
        """Return the certificate with that nickname; see `objects.require_certificate`."""
        return objects.find_certificate(self._session, nickname)

    def require_free(self, nickname: str) -> None:
        """Raise `KeystoreError` if a certificate or a key has the nickname."""
        storing.require_free(self.contents(), nickname)

    def find_private_key(self, public_der: bytes) -> TokenKey | None:
        """Return the private key of a public key (SubjectPublicKeyInfo), or None."""
        return objects.find_private_key(self._session, public_der)

    def generate_key_pair(self, nickname: str, kind: KeyKind) -> TokenKey:
        """Make a key pair on the token; see `generation`."""
        return generation.generate_key_pair(self._session, nickname, kind)

    def import_private_key(self, nickname: str, private_key: PrivateKeyTypes) -> TokenKey:
        """Put a private key on the token; see `key_import`."""
        return key_import.import_private_key(self._session, nickname, private_key)

    def signing_key(self, key: TokenKey) -> SigningKey:
        """Return the key as one that makes requests and certificates."""
        return signing.signing_key(self._session, key)

    def prove(self, key: TokenKey) -> None:
        """Let the key sign, and check that with its public half.

        What pairs objects on a token are labels and identifiers that anybody wrote. Raises
        `TokenError` if the signature is not that key's.
        """
        challenge = os.urandom(_CHALLENGE_OCTETS)
        private_key = self.signing_key(key)
        try:
            if isinstance(private_key, rsa.RSAPrivateKey):
                signature = private_key.sign(challenge, padding.PKCS1v15(), SHA256())
                private_key.public_key().verify(signature, challenge, padding.PKCS1v15(), SHA256())
            else:
                algorithm = ec.ECDSA(SHA256())
                signature = private_key.sign(challenge, algorithm)
                private_key.public_key().verify(signature, challenge, algorithm)
        except InvalidSignature as error:
            raise TokenError(
                f"the private key {key.token}:{key.nickname} is not the one of its public key",
                remedy="the objects on the token are mixed up: compare their CKA_ID",
            ) from error

    def store_certificate(
        self, nickname: str, chain: Sequence[x509.Certificate], key: TokenKey | None
    ) -> None:
        """Put a certificate and its issuers on the token."""
        storing.store_certificate(self._session, nickname, chain, key)

    def replace_certificate(
        self, present: TokenCertificate, chain: Sequence[x509.Certificate], key: TokenKey
    ) -> None:
        """Put a renewed certificate in place of the present one."""
        storing.replace_certificate(self._session, present, chain, key)

    def remove(self, nickname: str) -> tuple[bool, bool]:
        """Remove a certificate, its key, or both; see `storing.remove_entry`."""
        return storing.remove_entry(self._session, nickname)

    def remove_key(self, key: TokenKey) -> None:
        """Remove a private key and its public half."""
        storing.remove_key(self._session, key)

    def rename_key(self, key: TokenKey, nickname: str) -> TokenKey:
        """Give a key another label, where the token allows it; return it as it is then."""
        return storing.rename_key(self._session, key, nickname)


@contextmanager
def open_external_token(
    root: ServerRoot, label: str, *, read_write: bool = False, typed_pin: Secret | None = None
) -> Iterator[ExternalToken]:
    """Open a token for the block, logged in; see `sessions.open_token`."""
    with open_token(root, label, read_write=read_write, typed_pin=typed_pin) as session:
        yield ExternalToken(session)
