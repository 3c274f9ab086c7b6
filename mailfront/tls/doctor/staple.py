"""Which OCSP response does the server staple, and does it count (RFC 6066 section 8)?

Takes a function that opens a TLS connection under a context and gives the certificate presented on
it, and the certificates among which its issuer may be; gives `StapleFacts`, or None where Python's
OpenSSL cannot be asked.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from datetime import datetime

from cryptography import x509

from mailfront.errors import OcspError
from mailfront.keystore.chain import is_issued_by
from mailfront.keystore.formats import load_certificate
from mailfront.keystore.ocsp import Revocation, judge_response
from mailfront.tls.doctor.facts import StapleFacts, StapleState
from mailfront.tls.doctor.trust import lenient_context
from mailfront.tls.stapling_bridge import StapleReader

Handshake = Callable[[ssl.SSLContext], bytes]

_STATES = {
    Revocation.GOOD: StapleState.GOOD,
    Revocation.REVOKED: StapleState.REVOKED,
    Revocation.UNKNOWN: StapleState.UNKNOWN,
}


def examine_staple(
    handshake: Handshake, issuers: Iterable[x509.Certificate], now: datetime
) -> StapleFacts | None:
    """Ask for the status in one handshake. Raises what `handshake` raises, and `KeystoreError` for
    a certificate that cannot be read."""
    context, reader = lenient_context(), StapleReader()
    if not reader.bind(context):
        return None
    leaf = load_certificate(handshake(context))
    if not reader.response:
        return StapleFacts(StapleState.NONE)
    issuer = next((one for one in issuers if is_issued_by(leaf, one)), None)
    if issuer is None:
        return StapleFacts(StapleState.UNJUDGED, problem="the issuer's certificate is missing")
    try:
        answer = judge_response(reader.response, leaf, issuer, now)
    except OcspError as failure:
        return StapleFacts(StapleState.BAD, problem=failure.what)
    return StapleFacts(_STATES[answer.revocation], until=answer.next_update)
