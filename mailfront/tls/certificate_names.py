"""Which certificates of a keystore are for which host names, and which of several is presented.

Takes records, gives per name one nickname for each key type. The rule depends on nothing but what
the keystore and the options say, and the date, so that every process of a site chooses alike and a
restart changes nothing: the name itself comes before its wildcard (RFC 9525 section 6.3); of
several certificates of one key type, one that is valid now before one that is not; one that an
option names before one that none does; then the first nickname in the alphabet. None is left out
for its dates alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

from cryptography import x509

from mailfront.keystore.formats import certificate_der
from mailfront.keystore.host_names import patterns_for
from mailfront.keystore.records import CertificateRecord
from mailfront.tls.rotation import is_for_servers

Group = tuple[str, ...]


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """The host names and wildcards of a certificate, in lower case; the common name counts for
    nothing (RFC 9525 section 6.1)."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    names = (name.lower() for name in alternative.value.get_values_for_type(x509.DNSName))
    return frozenset(name for name in names if "*" not in name.removeprefix("*."))


def identity_of(record: CertificateRecord) -> bytes:
    """What differs when clients would be shown something else."""
    digest = hashlib.sha256(certificate_der(record.certificate))
    for issuer in record.chain:
        digest.update(certificate_der(issuer))
    return digest.digest()


@dataclass(frozen=True, slots=True)
class NamedRecord:
    """A certificate, what differs when clients would be shown something else, and the names that
    it is presented for: none without a key, or if it was not made for servers."""

    record: CertificateRecord
    identity: bytes
    names: frozenset[str]


def named(record: CertificateRecord) -> NamedRecord:
    """Read what a choice by name needs to know of a certificate."""
    fit = record.has_key and is_for_servers(record.certificate)
    names = names_of(record.certificate) if fit else frozenset[str]()
    return NamedRecord(record, identity_of(record), names)


@dataclass(frozen=True, slots=True)
class Contest:
    """Two certificates of one key type that are for the same `names`."""

    presented: str
    other: str
    key_type: str
    names: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.names) - 1} more names" if len(self.names) > 1 else ""
        return (
            f"{self.presented!r} and {self.other!r} (both {self.key_type}) are for "
            f"{self.names[0]}{more}: clients that ask for it are shown {self.presented!r}; "
            "remove one of them, or have it made for other names"
        )


class CertificateNames:
    """The names of certificates, and for each the certificates to present.

    `contests` tells where the rule had to choose. `changes_at` is when it would choose otherwise,
    because a certificate begins or ends; None if never.
    """

    def __init__(
        self,
        certificates: Iterable[NamedRecord],
        now: datetime | None = None,
        *,
        configured: Collection[str] = (),
    ) -> None:
        """`configured` are the nicknames that options name."""
        now = now or datetime.now(UTC)
        self._now = now
        self._configured = frozenset(configured)
        claims: dict[str, list[CertificateRecord]] = {}
        self.identities: dict[str, bytes] = {}
        for each in certificates:
            for name in each.names:
                claims.setdefault(name, []).append(each.record)
            if each.names:
                self.identities[each.record.nickname] = each.identity
        self.changes_at: datetime | None = None
        self._contests: dict[tuple[str, str, str], list[str]] = {}
        self._groups: dict[str, Group] = {}
        for name, claimants in claims.items():
            if len(claimants) == 1:
                self._groups[name] = (claimants[0].nickname,)
            else:
                self._groups[name] = self._choice(name, claimants)

    @classmethod
    def of_records(
        cls,
        records: Iterable[CertificateRecord],
        now: datetime | None = None,
        *,
        configured: Collection[str] = (),
    ) -> Self:
        """The same of certificates that nothing is known of yet."""
        return cls(map(named, records), now, configured=configured)

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def presented(self) -> frozenset[str]:
        """The nicknames of certificates that are presented for some name."""
        return frozenset(nickname for group in self._groups.values() for nickname in group)

    @property
    def contests(self) -> Iterator[Contest]:
        """The choices that had to be made, but where an option names the one presented."""
        for (presented, other, key_type), names in sorted(self._contests.items()):
            yield Contest(presented, other, key_type, tuple(sorted(names)))

    def find(self, name: str, own: frozenset[str] = frozenset()) -> Group | None:
        """The nicknames of the certificates for the host `name`; None if there are none, or if
        `own` has the name or an equally near wildcard."""
        for pattern in patterns_for(name):
            if pattern in own:
                return None
            if (group := self._groups.get(pattern)) is not None:
                return group
        return None

    def _choice(self, name: str, claimants: Iterable[CertificateRecord]) -> Group:
        best: dict[str, CertificateRecord] = {}
        for record in sorted(claimants, key=self._rank):
            presented = best.setdefault(record.key_type, record)
            if presented is not record:
                self._note(name, presented, record)
        return tuple(best[key_type].nickname for key_type in sorted(best))

    def _rank(self, record: CertificateRecord) -> tuple[bool, bool, str]:
        certificate = record.certificate
        valid = certificate.not_valid_before_utc <= self._now <= certificate.not_valid_after_utc
        return not valid, record.nickname not in self._configured, record.nickname

    def _note(self, name: str, presented: CertificateRecord, other: CertificateRecord) -> None:
        for certificate in (presented.certificate, other.certificate):
            for moment in (certificate.not_valid_before_utc, certificate.not_valid_after_utc):
                if moment > self._now and (self.changes_at is None or moment < self.changes_at):
                    self.changes_at = moment
        if presented.nickname not in self._configured:
            pair = (presented.nickname, other.nickname, presented.key_type)
            self._contests.setdefault(pair, []).append(name)
