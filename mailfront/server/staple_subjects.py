"""Which certificates an OCSP responder is asked about, and which answers can be stapled to them.

Takes the options, what services present and may choose by name, and the keystore; gives subjects.
A certificate counts if it names a responder, or demands a response all the same (RFC 7633).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import OcspError
from mailfront.keystore.chain import is_issued_by
from mailfront.keystore.ocsp import (
    OcspAnswer,
    Revocation,
    fingerprint_of,
    judge_response,
    must_staple,
    responder_urls,
)
from mailfront.keystore.records import CertificateRecord, Inventory
from mailfront.keystore.staple_schedule import stapled_until
from mailfront.tls.context import PresentedChain
from mailfront.tls.stapling_bridge import MAXIMUM_STAPLE, unavailable


@dataclass(frozen=True, slots=True)
class Subject:
    """A certificate that is asked about. `issuer` is None if its certificate is not to be had."""

    nickname: str
    certificate: x509.Certificate
    issuer: x509.Certificate | None
    urls: tuple[str, ...]
    demanded: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What options and keystore ask for: certificates of personalities, and those that may be
    chosen by name, by fingerprint."""

    enabled: bool = False
    seconds: float = 0.0
    served: Mapping[bytes, Subject] = field(default_factory=dict)
    by_name: Mapping[bytes, CertificateRecord] = field(default_factory=dict)
    authorities: tuple[x509.Certificate, ...] = ()

    def subject(self, fingerprint: bytes) -> Subject | None:
        """The certificate with that SHA-256 digest; None if it is not wanted any more."""
        if fingerprint in self.served:
            return self.served[fingerprint]
        record = self.by_name.get(fingerprint)
        if record is None:
            return None
        return subject_of(record.nickname, record.certificate, record.chain, self.authorities)


def subject_of(
    nickname: str,
    certificate: x509.Certificate,
    chain: Iterable[x509.Certificate],
    authorities: Iterable[x509.Certificate],
) -> Subject | None:
    """What there is to ask about a certificate; None if nobody answers and none is demanded."""
    urls, demanded = responder_urls(certificate), must_staple(certificate)
    if not urls and not demanded:
        return None
    candidates = (*chain, *authorities)
    issuer = next((one for one in candidates if is_issued_by(certificate, one)), None)
    return Subject(nickname, certificate, issuer, urls, demanded)


def find_wanted(
    configuration: Configuration,
    presented: Iterable[PresentedChain],
    by_name: Iterable[CertificateRecord],
    inventory: Callable[[], Inventory],
) -> Wanted:
    """What there is to staple to: to all that services present, and on demand to `by_name`.

    The inventory is read only if anybody can be asked.
    """
    askable = [one for one in presented if responder_urls(one.leaf) or must_staple(one.leaf)]
    chosen = [one for one in by_name if responder_urls(one.certificate)]
    records = inventory().records if askable or chosen else ()
    authorities = tuple(one.certificate for one in records if one.trust.is_authority)
    subjects = (subject_of(one.nickname, one.leaf, one.issuers, authorities) for one in askable)
    return Wanted(
        configuration.boolean("local.ssl.ocspstapling") and not unavailable(),
        configuration.integer("local.ssl.ocsptimeout"),
        {fingerprint_of(one.certificate): one for one in subjects if one is not None},
        {fingerprint_of(one.certificate): one for one in chosen},
        authorities,
    )


def judged(response: bytes, subject: Subject, now: datetime) -> OcspAnswer:
    """An answer that can be stapled. Raises `OcspError`."""
    if subject.issuer is None:
        raise OcspError("its issuer's certificate is not in the database")
    answer = judge_response(response, subject.certificate, subject.issuer, now)
    if answer.revocation is Revocation.UNKNOWN:
        raise OcspError("the responder does not know it")
    if len(response) > MAXIMUM_STAPLE:
        raise OcspError(f"a response of {len(response)} octets is too large for TLS 1.2")
    if now >= stapled_until(answer):
        raise OcspError(f"the response ends at once, {answer.next_update:%Y-%m-%d %H:%M} UTC")
    return answer
