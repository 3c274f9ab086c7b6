"""The certificates that clients are shown by the name they ask for (SNI): their dates and state.

Takes the contexts in force; gives figures of all of them, and the single ones that need a person,
those of services left out, for they are told by the service. There may be thousands.
"""

from __future__ import annotations

from datetime import datetime

from mailfront.interfaces.status import CertificateStatus, ServerNamesStatus
from mailfront.keystore.chain import is_self_signed
from mailfront.keystore.expiry import days_left
from mailfront.keystore.records import CertificateRecord
from mailfront.server.certificates import ServiceContexts

# What stands where services stand in the list of certificates.
BY_NAME = "sni"
ATTENTION_DAYS = 30
# So many single ones in the status; the figures count all.
MAXIMUM_LISTED = 100


def named_records(contexts: ServiceContexts) -> list[CertificateRecord]:
    """The certificates in force by name, but for those that options name."""
    if contexts.names is None:
        return []
    by_name = contexts.names.presented - contexts.configured
    return [record for record in contexts.succession.records if record.nickname in by_name]


def needing_attention(contexts: ServiceContexts, now: datetime) -> list[CertificateStatus]:
    """Those that expire within `ATTENTION_DAYS`, have expired, or stay in force because the
    keystore's certificate was refused; the next to expire first."""
    found = []
    for record in named_records(contexts):
        left = days_left(record.certificate, now)
        refusal = contexts.succession.refused.get(record.nickname)
        if left <= ATTENTION_DAYS or refusal is not None:
            found.append(
                CertificateStatus(
                    nickname=record.nickname,
                    services=(BY_NAME,),
                    fingerprint=record.sha256,
                    expires=record.certificate.not_valid_after_utc,
                    days_left=left,
                    self_signed=is_self_signed(record.certificate),
                    keystore_fingerprint=refusal.fingerprint if refusal is not None else "",
                )
            )
    return sorted(found, key=lambda each: (each.expires, each.nickname))


def server_names_status(contexts: ServiceContexts, now: datetime) -> ServerNamesStatus | None:
    """The figures; None where no certificate is presented by name alone."""
    records = named_records(contexts)
    if not records or contexts.names is None:
        return None
    ends = [record.certificate.not_valid_after_utc for record in records]
    left = [(end - now).days for end in ends]
    return ServerNamesStatus(
        certificates=len(records),
        names=len(contexts.names),
        expiring=sum(0 <= days <= ATTENTION_DAYS for days in left),
        expired=sum(days < 0 for days in left),
        refused=sum(record.nickname in contexts.succession.refused for record in records),
        next_expiry=min(ends),
    )


def bounded(certificates: list[CertificateStatus]) -> list[CertificateStatus]:
    """Those of services, and of the others the first `MAXIMUM_LISTED`."""
    by_name = [each for each in certificates if each.services == (BY_NAME,)]
    of_services = [each for each in certificates if each.services != (BY_NAME,)]
    return of_services + by_name[:MAXIMUM_LISTED]
