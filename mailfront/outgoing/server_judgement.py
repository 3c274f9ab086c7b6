"""Is the server at the other end of a finished handshake the one that was demanded?

Takes what it presented and the demand; gives what is known of it, or raises `ServerTlsError` with
RFC 8460's word for what is wrong. Nothing of a message has been said to it until then.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
from dataclasses import dataclass

from mailfront.errors import ServerTlsError, UpstreamTlsError
from mailfront.outgoing.certificate_names import fits_a_name
from mailfront.outgoing.dane import judge
from mailfront.outgoing.tls_decision import Protection, TlsDemand
from mailfront.outgoing.transport_policy import ResultType
from mailfront.tls import connection_bridge
from mailfront.tls.certificate_bridge import X509_V_OK, peer_chain

_EXPIRED = frozenset({9, 10})


@dataclass(frozen=True, slots=True)
class SessionTls:
    """`text` is version and suite; `verified_by` empty for a server that nothing vouches for.
    `web_fault` is what a CA's verification would have failed with, None for nothing."""

    text: str
    verified_by: str = ""
    web_fault: ResultType | None = None


def judge_server(tls: ssl.SSLObject, demand: TlsDemand) -> SessionTls:
    """Return what is known of the server. Raises `ServerTlsError`."""
    cipher = tls.cipher()
    text = f"{tls.version()} {cipher[0] if cipher is not None else 'none'}"
    leaf = tls.getpeercert(binary_form=True) or b""
    if demand.protection is Protection.DANE:
        return SessionTls(text, _dane(tls, leaf, demand))
    if demand.protection is Protection.FINGERPRINT:
        digest = hashlib.sha256(leaf).hexdigest()
        if not any(hmac.compare_digest(digest, each) for each in demand.fingerprints):
            raise ServerTlsError(
                f"its certificate has another fingerprint: {digest}",
                result=ResultType.CERTIFICATE_NOT_TRUSTED.value,
            )
        return SessionTls(text, "fingerprint")
    fault = _web_fault(tls, leaf, demand)
    if demand.protection is Protection.VERIFIED and fault is not None:
        what = "its certificate is not trusted"
        if fault is ResultType.CERTIFICATE_HOST_MISMATCH:
            what = f"its certificate is for none of {', '.join(demand.names)}"
        raise ServerTlsError(what, result=fault.value)
    return SessionTls(text, "" if fault is not None else "CA", fault)


def failed_handshake(failure: UpstreamTlsError) -> ServerTlsError:
    """What a handshake that OpenSSL ended means."""
    return ServerTlsError(f"TLS: {failure}", result=_of_code(failure.verify_code).value)


def _dane(tls: ssl.SSLObject, leaf: bytes, demand: TlsDemand) -> str:
    pointer = connection_bridge.connection_pointer(tls)
    chain = () if pointer is None else peer_chain(pointer)
    verdict = judge(demand.records, leaf, chain, demand.names)
    if verdict.record is None:
        raise ServerTlsError(verdict.problem, result=ResultType.VALIDATION_FAILURE.value)
    record = verdict.record
    return f"DANE {record.usage} {record.selector} {record.matching}"


def _web_fault(tls: ssl.SSLObject, leaf: bytes, demand: TlsDemand) -> ResultType | None:
    """What a CA's verification ends with. In a context that demands it, it has succeeded."""
    if tls.context.verify_mode is not ssl.CERT_REQUIRED:
        try:
            code = connection_bridge.verify_result(tls)
        except LookupError:
            return ResultType.CERTIFICATE_NOT_TRUSTED
        if code != X509_V_OK or not leaf:
            return _of_code(code or 1)
    if not fits_a_name(leaf, demand.names):
        return ResultType.CERTIFICATE_HOST_MISMATCH
    return None


def _of_code(code: int) -> ResultType:
    if code in _EXPIRED:
        return ResultType.CERTIFICATE_EXPIRED
    return ResultType.CERTIFICATE_NOT_TRUSTED if code else ResultType.VALIDATION_FAILURE
