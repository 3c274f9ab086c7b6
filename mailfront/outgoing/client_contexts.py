"""The TLS contexts with which other servers are spoken to: one for each demand and certificate.

Takes the authorities that the keystore trusts for servers and its certificates; gives contexts,
which are kept until `forget`. Only where a CA must vouch does OpenSSL refuse; everywhere else it
judges all the same, so that it can be told whether it would have.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cryptography import x509

from mailfront.keystore.records import Credentials
from mailfront.outgoing.tls_decision import Protection
from mailfront.tls.client_context import build_client_context
from mailfront.tls.context import load_credentials

# Where clear text is the alternative, weak keys are better than none (RFC 7435).
_OPPORTUNISTIC_CIPHERS = "DEFAULT:@SECLEVEL=1"


@dataclass(slots=True)
class ClientContexts:
    """`authorities` gives those trusted now, `credentials` a certificate with its key by nickname
    (it raises `KeystoreError`)."""

    authorities: Callable[[], Iterable[x509.Certificate]]
    credentials: Callable[[str], Credentials]
    _kept: dict[tuple[Protection, str], ssl.SSLContext] = field(default_factory=dict)

    def context(self, protection: Protection, certificate: str = "") -> ssl.SSLContext:
        """Return the context for a demand, which presents `certificate` (a nickname) if the server
        asks for one. Raises `KeystoreError`."""
        key = (protection, certificate)
        if (known := self._kept.get(key)) is None:
            known = self._kept[key] = self._built(protection, certificate)
        return known

    def forget(self) -> None:
        """The keystore has changed: make contexts anew for new connections."""
        self._kept = {}

    def _built(self, protection: Protection, certificate: str) -> ssl.SSLContext:
        verified = protection is Protection.VERIFIED
        context = build_client_context(self.authorities(), check=verified)
        # Which names will do is more than OpenSSL's one; see outgoing.server_judgement.
        context.check_hostname = False
        if protection is Protection.OPPORTUNISTIC:
            context.set_ciphers(_OPPORTUNISTIC_CIPHERS)
        if certificate:
            load_credentials(context, self.credentials(certificate))
        return context
