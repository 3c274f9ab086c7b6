"""DANE for SMTP (RFC 7672): TLSA records of a server, and whether what it presents fits them.

Takes DNS answers with their proof, gives a `DaneState`; takes the certificates of a handshake that
believed anything, gives the record that they fit or why there is none. Only DANE-EE(3) and
DANE-TA(2) count (section 3.1.3); where none of a server's records can be used, TLS is mandatory
without authentication (section 2.2). Paths below a DANE-TA(2) anchor are judged by OpenSSL.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from dns.rdtypes.ANY.TLSA import TLSA

from mailfront.errors import DnsUnavailableError
from mailfront.outgoing.certificate_names import UNREADABLE, fits_a_name
from mailfront.outgoing.mail_exchangers import HostAddresses, Lookup, MailExchangers
from mailfront.tls import certificate_bridge
from mailfront.tls.certificate_bridge import (
    PURPOSE_SSL_SERVER,
    X509_V_OK,
    PathResult,
    TrustStore,
)

_MOST_RECORDS = 32
_MOST_PRESENTED = 16
_TRUST_ANCHOR, _END_ENTITY = 2, 3
_WHOLE, _PUBLIC_KEY = 0, 1
_FULL, _SHA256, _SHA512 = 0, 1, 2
_DIGEST_OCTETS = {_SHA256: 32, _SHA512: 64}


class DaneStatus(Enum):
    """What the DNS says of a server's TLSA records."""

    ABSENT = "no TLSA records"
    INSECURE = "not proved by DNSSEC"
    USABLE = "TLSA records"
    UNUSABLE = "TLSA records of which none can be used"
    FAILED = "TLSA records that cannot be looked up"


@dataclass(frozen=True, slots=True)
class TlsaRecord:
    """A record that can be used (RFC 6698 section 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.data.hex()}"


@dataclass(frozen=True, slots=True)
class DaneState:
    """`base` is the host for which the records stand: the name to ask for by SNI and the first
    that a certificate below a trust anchor may have. `texts` are all records, for reports."""

    status: DaneStatus
    base: str = ""
    records: tuple[TlsaRecord, ...] = ()
    texts: tuple[str, ...] = ()
    problem: str = ""


async def dane_state(
    dns: Lookup, exchangers: MailExchangers, host: HostAddresses, name: str, port: int
) -> DaneState:
    """Look up what DANE says of the server `name`, one of `exchangers`, which is at `host`.

    Records count only if host and addresses are proved too (RFC 7672 section 2.2.1). Raises
    nothing: what cannot be looked up is the state `FAILED`.
    """
    if not exchangers.authenticated:
        return DaneState(DaneStatus.INSECURE, name)
    bases = [host.canonical, name] if host.is_alias else [name]
    try:
        if not host.authenticated:
            # An alias in a signed zone that leads out of it (section 2.2.2).
            if not host.is_alias or not (await dns.lookup(name, "CNAME")).authenticated:
                return DaneState(DaneStatus.INSECURE, name)
            bases = [name]
        for base in bases:
            answer = await dns.lookup(f"_{port}._tcp.{base}", "TLSA")
            if not answer.authenticated:
                continue
            if found := [one for one in answer.records if isinstance(one, TLSA)]:
                return _state(base, found[:_MOST_RECORDS])
    except DnsUnavailableError as failure:
        return DaneState(DaneStatus.FAILED, name, problem=str(failure))
    return DaneState(DaneStatus.ABSENT, name)


def _state(base: str, found: Sequence[TLSA]) -> DaneState:
    records = [TlsaRecord(one.usage, one.selector, one.mtype, one.cert) for one in found]
    usable = _strongest([record for record in records if _can_be_used(record)])
    status = DaneStatus.USABLE if usable else DaneStatus.UNUSABLE
    return DaneState(status, base, tuple(usable), tuple(map(str, records)))


def _can_be_used(record: TlsaRecord) -> bool:
    if record.usage not in {_TRUST_ANCHOR, _END_ENTITY}:
        return False
    if record.selector not in {_WHOLE, _PUBLIC_KEY}:
        return False
    if record.matching == _FULL:
        return len(record.data) > 0
    return len(record.data) == _DIGEST_OCTETS.get(record.matching)


def _strongest(records: list[TlsaRecord]) -> list[TlsaRecord]:
    """Digest agility (RFC 7671 section 9): of one usage and selector, the strongest digest."""
    best: dict[tuple[int, int], int] = {}
    for record in records:
        key = (record.usage, record.selector)
        best[key] = max(best.get(key, _FULL), record.matching)
    return [
        record
        for record in records
        if record.matching in {_FULL, best[record.usage, record.selector]}
    ]


@dataclass(frozen=True, slots=True)
class DaneVerdict:
    """`record` is what the server's certificate fits, None for nothing; `problem` why."""

    record: TlsaRecord | None
    problem: str = ""


def judge(
    records: Sequence[TlsaRecord],
    leaf: bytes,
    presented: Sequence[bytes],
    names: Sequence[str],
    now: Callable[[], float] = time.time,
) -> DaneVerdict:
    """Judge a server's certificate and the chain that came with it, all in DER, leaf included.

    A match of DANE-EE(3) is enough by itself: names and dates do not count (RFC 7672 section
    3.1.1). Below a DANE-TA(2) anchor the certificate must be valid and for one of `names`.
    """
    if not leaf:
        return DaneVerdict(None, "it presents no certificate")
    for record in records:
        if record.usage == _END_ENTITY and _fits(record, leaf):
            return DaneVerdict(record)
    fault = "its certificate fits no TLSA record"
    chain = list(dict.fromkeys((leaf, *presented)))[:_MOST_PRESENTED]
    for record in records:
        if record.usage != _TRUST_ANCHOR:
            continue
        anchors = [one for one in chain if _fits(record, one)]
        if not anchors and record.selector == _WHOLE and record.matching == _FULL:
            # The record itself is the certificate, which need not be sent then.
            anchors = [record.data]
        if not anchors:
            continue
        if certificate_bridge.problem():
            fault = certificate_bridge.problem()
            continue
        result = TrustStore(anchors).verify(leaf, chain[1:], int(now()), purpose=PURPOSE_SSL_SERVER)
        if result is None or result.error != X509_V_OK:
            fault = f"its certificate below the TLSA record's: {_words(result)}"
        elif not fits_a_name(leaf, names):
            fault = f"its certificate is for none of {', '.join(names)}"
        else:
            return DaneVerdict(record)
    return DaneVerdict(None, fault)


def _words(result: PathResult | None) -> str:
    return "OpenSSL cannot read it" if result is None else result.words


def _fits(record: TlsaRecord, certificate: bytes) -> bool:
    octets = certificate
    if record.selector == _PUBLIC_KEY:
        try:
            key = x509.load_der_x509_certificate(certificate).public_key()
            octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except UNREADABLE:
            return False
    if record.matching == _SHA256:
        octets = hashlib.sha256(octets).digest()
    elif record.matching == _SHA512:
        octets = hashlib.sha512(octets).digest()
    return hmac.compare_digest(octets, record.data)
