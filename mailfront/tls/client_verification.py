"""Does a CA that is trusted for clients vouch for what a client presented, at this moment?

Takes the trusted CAs and their revocation lists once, then certificates as they were presented;
gives a `ClientCertificate` with its fault, or with none. OpenSSL finds and judges the path (RFC
5280 section 6, `tls.certificate_bridge`), every certificate in it below the trust anchor is looked
up in its CA's list (section 6.3). A judgement is kept for a minute, and never beyond the end of any
certificate or list that it rests on; whoever changes CAs or lists makes a new `ClientTrust`.
"""

from __future__ import annotations

import hashlib
import itertools
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.keystore.formats import certificate_der, name_text
from mailfront.keystore.revocation_lists import Revocations, RevocationState
from mailfront.tls.certificate_bridge import (
    X509_V_OK,
    AuthorityNames,
    PathResult,
    TrustStore,
)

MAXIMUM_JUDGEMENTS = 4096
MAXIMUM_PRESENTED = 16
# Together, as a CertificateRequest lists them; its field has two octets for their length.
_MAXIMUM_NAMES = 16 * 1024
_KEPT_SECONDS = 60.0

# Results of X509_verify_cert(3).
_FAULTS = {
    2: CertificateFault.UNTRUSTED,  # UNABLE_TO_GET_ISSUER_CERT
    7: CertificateFault.UNTRUSTED,  # CERT_SIGNATURE_FAILURE
    9: CertificateFault.NOT_YET_VALID,
    10: CertificateFault.EXPIRED,
    18: CertificateFault.UNTRUSTED,  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: CertificateFault.UNTRUSTED,  # SELF_SIGNED_CERT_IN_CHAIN
    20: CertificateFault.UNTRUSTED,  # UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: CertificateFault.UNTRUSTED,  # UNABLE_TO_VERIFY_LEAF_SIGNATURE
    26: CertificateFault.WRONG_USE,  # INVALID_PURPOSE
}


@dataclass(frozen=True, slots=True)
class _Judgement:
    fault: CertificateFault
    detail: str
    until: float


class ClientTrust:
    """The CAs trusted for clients and all that is known of revocation, at one state of the
    keystore. May be used by several threads: handshakes with a token's key are (see
    `tls.token_handshakes`)."""

    def __init__(
        self,
        authorities: Sequence[x509.Certificate],
        revocations: Revocations | None = None,
        *,
        hard: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`hard`: where a list is out of date, its CA's certificates identify nobody; else only
        those on it do not."""
        ders = [certificate_der(one) for one in authorities]
        self.subjects = tuple(name_text(one.subject) for one in authorities)
        self.digest = hashlib.sha256(b"".join(sorted(ders))).digest()[:8]
        self.names_fit = (
            sum(len(one.subject.public_bytes()) + 2 for one in authorities) <= _MAXIMUM_NAMES
        )
        self._revocations = revocations or Revocations()
        self._hard = hard
        self._clock = clock
        self._store = TrustStore(ders)
        self._names = AuthorityNames(ders if self.names_fit else ())
        self._judgements: dict[bytes, _Judgement] = {}
        self._keeping = threading.Lock()

    def list_names(self, connection: int) -> None:
        """Let the request of this `SSL *` name the CAs, unless they are too many."""
        self._names.list_in(connection)

    def judge(self, leaf: bytes, presented: tuple[bytes, ...]) -> ClientCertificate:
        """Judge what a client presented, leaf and the rest of its chain in DER."""
        now = self._clock()
        key = _key(leaf, presented)
        with self._keeping:
            known = self._judgements.get(key)
        if known is None or now >= known.until:
            # Without the lock: verification takes its time, and two threads may have the same.
            known = self._judged(leaf, presented, now)
            self._keep(key, known)
        return ClientCertificate(leaf, presented, known.fault, known.detail)

    def judge_alone(self, leaf: bytes) -> ClientCertificate:
        """Judge a certificate in DER that nobody presented, and that has no chain with it.

        One whose issuer is not at hand is `UNTRUSTED`, unless a list of a CA with its issuer's
        name, whichever key that has, says that it is revoked or, where that is hard, is out of
        date.
        """
        judged = self.judge(leaf, ())
        if judged.fault is not CertificateFault.UNTRUSTED:
            return judged
        try:
            certificate = x509.load_der_x509_certificate(leaf)
            now = datetime.fromtimestamp(self._clock(), UTC)
            state = self._revocations.state_by_name(certificate, now)
        except ValueError as failure:
            detail = f"cannot be read: {failure}"
            return ClientCertificate(leaf, (), CertificateFault.MALFORMED, detail)
        if state is RevocationState.REVOKED:
            return ClientCertificate(leaf, (), CertificateFault.REVOKED)
        if state is RevocationState.OUT_OF_DATE and self._hard:
            detail = _out_of_date(certificate.issuer)
            return ClientCertificate(leaf, (), CertificateFault.REVOCATION_UNKNOWN, detail)
        return judged

    def issuer_of(self, certificate: ClientCertificate) -> x509.Certificate | None:
        """The certificate of the CA that issued a verified one; None if it is verified no more,
        or trusted by itself."""
        now = int(self._clock())
        result = self._store.verify(certificate.leaf, certificate.presented, now)
        if result is None or len(result.path) < 2:
            return None
        return x509.load_der_x509_certificate(result.path[1])

    def _keep(self, key: bytes, judgement: _Judgement) -> None:
        with self._keeping:
            self._judgements.pop(key, None)
            if len(self._judgements) >= MAXIMUM_JUDGEMENTS:
                # The oldest: whoever floods us with certificates costs others one verification.
                del self._judgements[next(iter(self._judgements))]
            self._judgements[key] = judgement

    def _judged(self, leaf: bytes, presented: tuple[bytes, ...], now: float) -> _Judgement:
        until = now + _KEPT_SECONDS
        if len(presented) > MAXIMUM_PRESENTED:
            return _Judgement(CertificateFault.MALFORMED, "too many certificates", until)
        result = self._store.verify(leaf, presented, int(now))
        if result is None:
            return _Judgement(CertificateFault.MALFORMED, "OpenSSL cannot read it", until)
        if result.error != X509_V_OK:
            fault = _FAULTS.get(result.error, CertificateFault.MALFORMED)
            return _Judgement(fault, _words(result), until)
        try:
            path = [x509.load_der_x509_certificate(der) for der in result.path]
            fault, detail = self._revocation(path, datetime.fromtimestamp(now, UTC))
            ends = min(one.not_valid_after_utc.timestamp() for one in path)
        except ValueError as failure:
            return _Judgement(CertificateFault.MALFORMED, f"cannot be read: {failure}", until)
        return _Judgement(fault, detail, min(until, ends))

    def _revocation(
        self, path: Sequence[x509.Certificate], now: datetime
    ) -> tuple[CertificateFault, str]:
        unknown = ""
        for depth, (certificate, issuer) in enumerate(itertools.pairwise(path)):
            state = self._revocations.state(certificate, issuer, now)
            if state is RevocationState.REVOKED:
                return CertificateFault.REVOKED, _at(depth)
            if state is RevocationState.OUT_OF_DATE and self._hard:
                unknown = _out_of_date(issuer.subject)
        if unknown:
            return CertificateFault.REVOCATION_UNKNOWN, unknown
        return CertificateFault.NONE, ""


def _key(leaf: bytes, presented: Sequence[bytes]) -> bytes:
    digest = hashlib.sha256()
    for der in (leaf, *presented):
        digest.update(struct.pack(">I", len(der)))
        digest.update(der)
    return digest.digest()


def _words(result: PathResult) -> str:
    return f"{result.words}{_at(result.depth, ', ')}"


def _out_of_date(issuer: x509.Name) -> str:
    return f"the revocation list of {name_text(issuer)} is out of date"


def _at(depth: int, before: str = "") -> str:
    if not depth:
        return ""
    return f"{before}its issuer" if depth == 1 else f"{before}an issuer {depth} steps above it"
