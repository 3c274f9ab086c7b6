"""What is thought of a certificate at this moment, whenever it was presented or enrolled.

A connection may last for days, and what its handshake found is no truth for ever: a CA revokes a
certificate or loses its trust, a certificate or a list ends. Takes the CAs and lists in force
(`tls.client_verification`, which keeps its judgements for a minute), and a question that may take
its time (`tls.client_ocsp`), which is put about no certificate that has a fault anyway.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.tls.client_verification import ClientTrust

Confirm = Callable[[ClientCertificate], Awaitable[ClientCertificate]]

_UNABLE = "OpenSSL cannot be asked"


class PresentTrust:
    """Judges by whatever trust is in force. `confirm` None: no responder is asked."""

    def __init__(
        self,
        trust: Callable[[], ClientTrust | None] = lambda: None,
        confirm: Confirm | None = None,
    ) -> None:
        self.trust = trust
        self.confirm = confirm

    def judged(self, certificate: ClientCertificate) -> ClientCertificate:
        """Return what a client presented with the fault that it has now; at once."""
        trust = self.trust()
        if trust is None:
            return replace(certificate, fault=CertificateFault.UNTRUSTED, detail=_UNABLE)
        return trust.judge(certificate.leaf, certificate.presented)

    async def confirmed(self, certificate: ClientCertificate) -> ClientCertificate:
        """Return it judged, and if it has no fault, with what its issuer says of it."""
        return await self._asked(self.judged(certificate))

    async def enrolled(self, leaf: bytes) -> ClientCertificate:
        """Return a certificate of the directory, in DER, with the fault that it has now."""
        trust = self.trust()
        if trust is None:
            return ClientCertificate(leaf, (), CertificateFault.REVOCATION_UNKNOWN, _UNABLE)
        return await self._asked(trust.judge_alone(leaf))

    async def _asked(self, judged: ClientCertificate) -> ClientCertificate:
        if self.confirm is None or not judged.verified:
            return judged
        return await self.confirm(judged)
