"""The EXTERNAL mechanism, server side (RFC 4422 appendix A): who the client is was proved outside
of SASL, here by its certificate; the one message says as whom it wants to act."""

from __future__ import annotations

from mailfront.errors import SaslError, SaslFault
from mailfront.interfaces.credentials import CertificateCredentials
from mailfront.protocol.sasl.exchange import ServerExchange, decode_text

MAXIMUM_NAME_OCTETS = 1024


class ExternalExchange(ServerExchange):
    """An EXTERNAL exchange: the first response settles it."""

    mechanism = "EXTERNAL"

    def respond(self, response: bytes) -> CertificateCredentials:
        """Return as whom the client wants to act: empty for itself. Raises `SaslError`."""
        if len(response) > MAXIMUM_NAME_OCTETS:
            raise SaslError(SaslFault.INVALID, "an authorization identity that is nobody's")
        return CertificateCredentials(decode_text(response))
