"""TLSA records of our own keys: what is to be published, and whether what is published still fits.

Takes certificates and keys, gives records `3 1 1`: the SHA-256 digest of a server's key, which
outlives renewals of its certificate (RFC 7672 section 3.1.1, RFC 7671 section 5.1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from cryptography import x509
from dns.rdtypes.ANY.TLSA import TLSA

from mailfront.keystore.formats import certificate_der, certificate_public_key_der
from mailfront.outgoing.resolver import Resolver

_END_ENTITY = 3
_WHOLE, _KEY = 0, 1
_MATCHING: Mapping[int, Callable[[bytes], bytes]] = {
    0: lambda data: data,
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}


def tlsa_name(host: str, port: int) -> str:
    """Return where the records of a server stand (RFC 6698 section 3)."""
    return f"_{port}._tcp.{host.lower().rstrip('.')}"


def tlsa_data(public_key: bytes) -> str:
    """Return the record of a key, given as SubjectPublicKeyInfo."""
    return f"3 1 1 {hashlib.sha256(public_key).hexdigest()}"


async def orphaned_records(
    resolver: Resolver, name: str, former: x509.Certificate, renewed: x509.Certificate
) -> tuple[str, ...]:
    """Return the records at `name` by which servers know `former`, if none is for `renewed`: once
    that is presented, servers that keep to DANE deliver no more.

    Raises `DnsUnavailableError` if the records cannot be looked up.
    """
    answer = await resolver.lookup(name, "TLSA")
    records = [record for record in answer.records if isinstance(record, TLSA)]
    fitting = [record for record in records if fits(record, former)]
    if not fitting or any(fits(record, renewed) for record in records):
        return ()
    return tuple(record.to_text() for record in fitting)


def fits(record: TLSA, certificate: x509.Certificate) -> bool:
    """Return whether a record names this certificate or its key (RFC 6698 section 2.1)."""
    selected = {_WHOLE: certificate_der, _KEY: certificate_public_key_der}.get(record.selector)
    matched = _MATCHING.get(record.mtype)
    if record.usage != _END_ENTITY or selected is None or matched is None:
        return False
    return matched(selected(certificate)) == bytes(record.cert)
