"""When a certificate begins and ends to be valid: pure functions of its dates and the present.

All times are aware datetimes; the present is always given, never looked up.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

from cryptography import x509

EXPIRING_DAYS = 30
_DAY = timedelta(days=1)


class ValidityState(enum.Enum):
    """Where the present stands in a certificate's life."""

    NOT_YET_VALID = "not yet valid"
    VALID = "valid"
    EXPIRING = "expiring"
    EXPIRED = "expired"


def days_left(certificate: x509.Certificate, now: datetime) -> int:
    """Return the whole days until the certificate expires, negative once it has."""
    return (certificate.not_valid_after_utc - now) // _DAY


def validity_state(
    certificate: x509.Certificate, now: datetime, *, expiring_days: int = EXPIRING_DAYS
) -> ValidityState:
    """Return the state; `EXPIRING` within `expiring_days` of the end.

    Both ends belong to the validity (RFC 5280 section 4.1.2.5).
    """
    if now > certificate.not_valid_after_utc:
        return ValidityState.EXPIRED
    if now < certificate.not_valid_before_utc:
        return ValidityState.NOT_YET_VALID
    if days_left(certificate, now) < expiring_days:
        return ValidityState.EXPIRING
    return ValidityState.VALID


def validity_fault(certificate: x509.Certificate, now: datetime) -> str:
    """Return why clients refuse the certificate at present, or an empty text."""
    state = validity_state(certificate, now)
    if state is ValidityState.EXPIRED:
        day = certificate.not_valid_after_utc.date().isoformat()
        return f"the certificate expired on {day}: clients will refuse it"
    if state is ValidityState.NOT_YET_VALID:
        return f"the certificate is not valid before {certificate.not_valid_before_utc.date()}"
    return ""
