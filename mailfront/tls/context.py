"""Service, policy and personality become an `ssl.SSLContext`.

A context is never changed once it serves: a new one takes its place for new connections, and the
old one lives as long as its last connection. Keys reach OpenSSL through an anonymous memory file,
encrypted under a passphrase that exists only for that moment, so nothing touches a disk in clear.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore.formats import sha256_fingerprint
from mailfront.keystore.internal_token import Credentials
from mailfront.tls import client_authentication
from mailfront.tls.channel_binding import note_certificates
from mailfront.tls.describe import MailSslObject, remember_server_name
from mailfront.tls.key_policy import personality_warnings
from mailfront.tls.lent_keys import LentKey, lent_keys
from mailfront.tls.pkcs11_provider import pkcs11_provider
from mailfront.tls.policy import Policy, apply_policy


@dataclass(frozen=True, slots=True)
class PresentedChain:
    """A certificate and the issuers that are presented with it."""

    nickname: str
    leaf: x509.Certificate
    issuers: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What new connections of a service are given. `nickname` and `fingerprint` (SHA-256) are
    those of the personality's certificates, divided by commas; `expires` is the earliest.
    `on_tokens` are those whose private key is on a PKCS#11 token: their signatures take time."""

    ssl_context: ssl.SSLContext
    nickname: str
    fingerprint: str
    expires: datetime
    policy: Policy
    certificates: tuple[x509.Certificate, ...]
    chains: tuple[PresentedChain, ...] = ()
    on_tokens: tuple[x509.Certificate, ...] = ()

    def warnings(self) -> list[str]:
        """What an operator must be told of it though it serves."""
        return [*self.policy.warnings(), *personality_warnings(self.certificates, self.policy)]


def build_server_context(
    personality: Sequence[Credentials], policy: Policy, *, alpn: Sequence[str], tickets: bool
) -> ServerContext:
    """Build the context that presents `personality` under `policy`.

    With `tickets` one TLS 1.3 ticket is sent per connection, else none (TLS 1.2 included).
    Raises `KeystoreError` when OpenSSL refuses a certificate or key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    apply_policy(policy, context)
    context.sslobject_class = MailSslObject
    context.sni_callback = remember_server_name
    client_authentication.prepare(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    context.num_tickets = 1 if tickets else 0
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
    for credentials in personality:
        load_credentials(context, credentials)
    certificates = [credentials.certificate for credentials in personality]
    note_certificates(context, certificates)
    return ServerContext(
        ssl_context=context,
        nickname=",".join(credentials.nickname for credentials in personality),
        fingerprint=",".join(map(sha256_fingerprint, certificates)),
        expires=min(certificate.not_valid_after_utc for certificate in certificates),
        policy=policy,
        certificates=tuple(certificates),
        chains=tuple(map(_chain, personality)),
        on_tokens=tuple(each.certificate for each in personality if each.module is not None),
    )


def _chain(credentials: Credentials) -> PresentedChain:
    _, *issuers = x509.load_pem_x509_certificates(credentials.chain_pem)
    return PresentedChain(credentials.nickname, credentials.certificate, tuple(issuers))


def load_credentials(context: ssl.SSLContext, credentials: Credentials) -> None:
    """Let `context` present a certificate. Raises `KeystoreError`."""
    if credentials.module is not None:
        pkcs11_provider().require(credentials.module)
    if isinstance(credentials.lent, LentKey):
        lent_keys().hold(context, credentials.lent)
    with _memory_file(credentials.chain_pem + credentials.key_pem) as path:
        try:
            context.load_cert_chain(path, password=credentials.passphrase)
        except OSError as failure:
            # Of a key on a token OpenSSL says little, and at times the last error of the system.
            if credentials.module is not None:
                raise TokenError(
                    f"the token does not give its key for {credentials.nickname!r}", temporary=True
                ) from failure
            if not isinstance(failure, ssl.SSLError):
                raise
            raise KeystoreError(
                f"OpenSSL refuses the certificate {credentials.nickname!r}: {failure.reason}",
                remedy="msgcert show-cert tells its key type and dates; replace it",
            ) from failure


@contextmanager
def _memory_file(content: bytes) -> Iterator[str]:
    descriptor = os.memfd_create("credentials", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            stream.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
