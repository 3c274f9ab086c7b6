"""Do the tokens of a context sign? Asked by handshakes in memory, one per key on a token.

Takes a `ServerContext`, raises `TokenError` if one of its tokens does not sign, or its signature is
not that of its certificate's key. Each costs a signature of the token. Contexts without keys on
tokens cost nothing.
"""

from __future__ import annotations

import contextlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.errors import KeystoreError, TokenError
from mailfront.tls.context import ServerContext
from mailfront.tls.pkcs11_provider import pkcs11_provider
from mailfront.tls.rotation import prove_handshake

# What a client offers so that it is this key that signs (RFC 8446 section 4.2.3).
_RSA_ALGORITHMS = "rsa_pss_rsae_sha256:rsa_pss_rsae_sha384:rsa_pkcs1_sha256:rsa_pkcs1_sha384"
_EC_ALGORITHMS = "ecdsa_secp256r1_sha256:ecdsa_secp384r1_sha384:ecdsa_secp521r1_sha512"


def prove_tokens(context: ServerContext, *, first: bool = False) -> None:
    """Have each token of the context sign; `first`: as the context was just made.

    The first use of a token's key confuses OpenSSL's cache of algorithms, which is put right
    before the handshake that counts.
    """
    for certificate in context.on_tokens:
        if first:
            with contextlib.suppress(TokenError):
                _handshake(context, certificate)
            pkcs11_provider().settle()
        _handshake(context, certificate)


def _handshake(context: ServerContext, certificate: x509.Certificate) -> None:
    is_rsa = isinstance(certificate.public_key(), rsa.RSAPublicKey)
    algorithms = _RSA_ALGORITHMS if is_rsa else _EC_ALGORITHMS
    try:
        prove_handshake(context.ssl_context, [certificate], algorithms=algorithms)
    except KeystoreError as failure:
        names = dict(zip(context.certificates, context.nickname.split(","), strict=True))
        raise TokenError(
            f"the token with the key of {names[certificate]!r} does not sign", temporary=True
        ) from failure
