"""Certificates that expire: warned of at 30, 14, 7, 3 and 1 days and daily after; renewed by
ourselves where they are self-signed and the operator wants it.

Looked at once an hour. A warning is given once per certificate and threshold, so that the log has
a line on the days that matter and not every hour.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import KeystoreError
from mailfront.interfaces.status import CertificateStatus
from mailfront.keystore.chain import is_self_signed
from mailfront.keystore.expiry import days_left
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore, qualified
from mailfront.keystore.records import CertificateRecord
from mailfront.keystore.renewal import renew_self_signed
from mailfront.server.certificates import nicknames_of

_log = logging.getLogger("mailfront.expiry")

THRESHOLDS = (30, 14, 7, 3, 1)
INTERVAL = timedelta(hours=1)
# Of one look; those of services come first.
MAXIMUM_LINES = 20


def threshold_of(days: int) -> int | None:
    """The warning that `days` left call for: a threshold, a negative day, or None."""
    if days < 0:
        return days
    return min((threshold for threshold in THRESHOLDS if days <= threshold), default=None)


def renewal_due(record: CertificateRecord, now: datetime) -> bool:
    """Whether a self-signed certificate has lived two thirds of its life."""
    certificate = record.certificate
    if not record.has_key or not is_self_signed(certificate):
        return False
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begin + (end - begin) * 2 / 3


def certificates_in_use(
    configuration: Configuration,
    token: InternalToken | Keystore,
    services: Iterable[str],
    now: datetime,
) -> list[CertificateStatus]:
    """Every certificate that the options name and the keystore has, with who presents it."""
    users: dict[str, list[str]] = {}
    for service in services:
        for nickname in nicknames_of(configuration, service):
            users.setdefault(nickname, []).append(service)
    found = []
    for nickname, presenting in users.items():
        record = token.find(nickname)
        if record is not None:
            found.append(
                CertificateStatus(
                    nickname=nickname,
                    services=tuple(presenting),
                    fingerprint=record.sha256,
                    expires=record.certificate.not_valid_after_utc,
                    days_left=days_left(record.certificate, now),
                    self_signed=is_self_signed(record.certificate),
                )
            )
    return found


def renew_self_signed_in_use(
    token: InternalToken, certificates: Iterable[CertificateStatus], now: datetime
) -> bool:
    """Renew, with their keys, the self-signed ones that have lived two thirds of their life.

    Those that follow files are renewed where the files come from. Returns whether any was renewed;
    one that cannot be is logged, and the others are renewed all the same.
    """
    linked = {link.nickname for link in token.links()}
    any_renewed = False
    own = [each.nickname for each in certificates if qualified(each.nickname).is_internal]
    for nickname in [nickname for nickname in own if nickname not in linked]:
        try:
            if not renewal_due(token.require(nickname), now):
                continue
            renewed = renew_self_signed(token, nickname, now=now)
        except KeystoreError as failure:
            _log.warning("nickname=%s self-signed, not renewed: %s", nickname, failure)
            continue
        any_renewed = True
        _log.info(
            "nickname=%s self-signed, renewed until %s",
            nickname, f"{renewed.certificate.not_valid_after_utc:%Y-%m-%d} UTC",
        )  # fmt: skip
    return any_renewed


class ExpiryWatch:
    """Warns of certificates in use as they near their end."""

    def __init__(self) -> None:
        self._warned: dict[str, int] = {}
        self._next = datetime.min.replace(tzinfo=UTC)

    def due(self, now: datetime) -> bool:
        """Whether an hour has passed since the last look."""
        return now >= self._next

    def look_again(self) -> None:
        """A certificate changed: the next look is due now."""
        self._next = datetime.min.replace(tzinfo=UTC)

    def look(self, certificates: Iterable[CertificateStatus], now: datetime) -> None:
        """Log what is to be said now: at most `MAXIMUM_LINES`, and how many more there are."""
        self._next = now + INTERVAL
        before, self._warned = self._warned, {}
        due = []
        for certificate in certificates:
            threshold = threshold_of(certificate.days_left)
            if threshold is None:
                continue
            self._warned[certificate.fingerprint] = threshold
            if before.get(certificate.fingerprint) != threshold:
                due.append(certificate)
        for certificate in due[:MAXIMUM_LINES]:
            expired = certificate.days_left < 0
            _log.warning(
                "nickname=%s services=%s %s on %s; renew it",
                certificate.nickname,
                ",".join(certificate.services),
                "expired" if expired else f"expires in {certificate.days_left} days",
                f"{certificate.expires:%Y-%m-%d %H:%M} UTC",
            )
        if more := len(due[MAXIMUM_LINES:]):
            _log.warning(
                "%d more certificates expire soon or have expired; mailfront status and "
                "msgcert list-certs --expiring %d tell which",
                more, THRESHOLDS[0],
            )  # fmt: skip
