"""From a client certificate to the one entry of the directory that it stands for.

Takes what the TLS layer says of the certificate, and the mappings of certmap.conf; returns the
entry, or raises `MappingRefusedError` whose text tells why, for the log. The order is: the key
itself where the mapping has `pinned`, then its function, then the subject (`CmapLdapAttr`), then
the alternative names (`SanEmail`, `SanUPN`), then the components of the subject (`DNComps`,
`FilterComps`). `verifycert` then compares the certificate with those in the entries found.
Anything but exactly one entry is no login. Status and access filters of the entry are judged by
the caller.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from mailfront.authentication.certificate_names import CertificateNames, certificate_names
from mailfront.authentication.certmap_file import LoadedCertmap
from mailfront.authentication.certmap_properties import Component, Mapping
from mailfront.authentication.mapping_function import MappingFunction, MappingQuestion
from mailfront.authentication.pinned_key import (
    JudgeEnrolled,
    check_enrolled,
    check_presented,
    enrolled_certificates,
    pinned_condition,
)
from mailfront.directory.entry import Entry
from mailfront.errors import DirectoryUnavailableError, KeystoreError, MappingRefusedError
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.keystore.formats import load_certificate
from mailfront.protocol.attribute_types import attribute_key, short_name
from mailfront.protocol.distinguished_name import AttributeValue, DistinguishedName
from mailfront.protocol.ldap_filter import EVERYTHING, And, Equal, Filter, to_text
from mailfront.protocol.mail_address import unicode_address

MAXIMUM_CANDIDATES = 100
"""The most entries among which `verifycert` looks for the one with the certificate."""

FUNCTION_TIMEOUT = 30.0
"""Seconds that a function of one's own has for an answer."""

_log = logging.getLogger("mailfront.authentication")


class EntrySearch(Protocol):
    """What of a directory mapping needs."""

    async def search(
        self, base: DistinguishedName | None, condition: Filter, /, *, limit: int = 2
    ) -> list[Entry]:
        """Return at most `limit` entries at or below `base` (None: the whole directory) that
        fulfil `condition`. Raises `DirectoryUnavailableError`."""
        ...


class CertmapSource(Protocol):
    """Where the mappings come from."""

    def current(self) -> LoadedCertmap:
        """Return the mappings in force."""
        ...


@dataclass(frozen=True, slots=True)
class SearchStep:
    """One search and what it found."""

    base: DistinguishedName | None
    condition: Filter
    found: tuple[Entry, ...]

    def __str__(self) -> str:
        place = "" if self.base is None else f" below {self.base}"
        return f"{to_text(self.condition)}{place}"


@dataclass(slots=True)
class MappingTrace:
    """What mapping did, step by step: with an `entry`, or with the `reason` why there is none."""

    names: CertificateNames | None = None
    mapping: Mapping | None = None
    searches: list[SearchStep] = field(default_factory=list)
    verification: str = ""
    entry: Entry | None = None
    reason: str = ""


class CertificateMapper:
    """Maps certificates to entries of `directory`; where a presented certificate counts for its
    key alone, `judge_enrolled` tells of the enrolled one."""

    def __init__(
        self,
        directory: EntrySearch,
        certmap: CertmapSource,
        judge_enrolled: JudgeEnrolled,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._certmap = certmap
        self._judge_enrolled = judge_enrolled
        self._clock = clock

    async def map(self, certificate: ClientCertificate, service: str) -> Entry:
        """Return the entry that `certificate` stands for on `service` (imta, imap, pop, http).

        Raises `MappingRefusedError`, and `DirectoryUnavailableError` if it cannot be told now.
        """
        trace = await self.trace(certificate, service)
        if trace.entry is None:
            raise MappingRefusedError(trace.reason)
        return trace.entry

    def accepts(self, certificate: ClientCertificate) -> bool:
        """Whether `certificate` is of a kind that is mapped: verified, or perhaps pinned."""
        if certificate.verified:
            return True
        is_unknown = certificate.fault is CertificateFault.UNTRUSTED
        return is_unknown and self._certmap.current().certmap.pins_keys

    async def trace(self, certificate: ClientCertificate, service: str) -> MappingTrace:
        """Map, and return each step. Raises `DirectoryUnavailableError`."""
        trace = MappingTrace()
        attempt = _Attempt(self._directory, self._judge_enrolled, certificate, service, trace)
        try:
            trace.entry = await attempt.entry(self._certmap.current(), self._clock())
        except (MappingRefusedError, KeystoreError) as refusal:
            trace.reason = str(refusal)
        return trace


class _Attempt:
    """One certificate on its way to an entry; every step leaves its trace."""

    def __init__(
        self,
        directory: EntrySearch,
        judge_enrolled: JudgeEnrolled,
        certificate: ClientCertificate,
        service: str,
        trace: MappingTrace,
    ) -> None:
        self._directory = directory
        self._judge_enrolled = judge_enrolled
        self._presented = certificate
        self._service = service
        self._trace = trace

    async def entry(self, loaded: LoadedCertmap, now: datetime) -> Entry:
        fault = self._presented.fault
        if fault not in (CertificateFault.NONE, CertificateFault.UNTRUSTED):
            raise self._untrusted()
        names = self._trace.names = certificate_names(self._presented.leaf)
        mapping = self._trace.mapping = loaded.certmap.mapping_for(names.issuer)
        if mapping.pinned:
            entry = await self._pinned(now)
            if entry is not None:
                return entry
        if not self._presented.verified:
            raise self._untrusted("; its key is enrolled for nobody" if mapping.pinned else "")
        found = await self._candidates(mapping, names, loaded.function_of(mapping))
        return self._chosen(mapping, found)

    def _untrusted(self, more: str = "") -> MappingRefusedError:
        detail = f" ({self._presented.detail})" if self._presented.detail else ""
        return MappingRefusedError(f"{self._presented.fault.value}{detail}{more}")

    async def _pinned(self, now: datetime) -> Entry | None:
        """Return the entry for which the certificate's key is enrolled, or None."""
        certificate = load_certificate(self._presented.leaf)
        found = await self._search(None, pinned_condition(certificate), limit=2)
        if not found:
            return None
        if len(found) > 1:
            raise MappingRefusedError("its key is enrolled for more than one user")
        enrolled = enrolled_certificates(found[0], certificate)
        if not enrolled:
            raise MappingRefusedError(
                "the entry has the fingerprint of its key but no certificate with that key"
            )
        if not self._presented.verified:
            check_presented(certificate, now)
            await check_enrolled(enrolled, now, self._judge_enrolled)
        self._trace.verification = "the entry holds a certificate with this key"
        return found[0]

    async def _candidates(
        self, mapping: Mapping, names: CertificateNames, function: MappingFunction | None
    ) -> list[Entry]:
        limit = MAXIMUM_CANDIDATES + 1 if mapping.verify_certificate else 2
        if function is not None:
            answer = await self._ask(mapping, names, function)
            if answer is not None:
                return list(answer)
        if mapping.subject_attribute and names.subject:
            by_subject = Equal(mapping.subject_attribute, names.subject)
            if found := await self._search(None, by_subject, limit=limit):
                return found
        conditions = _conditions_of_alternative_names(mapping, names)
        if conditions:
            base = _base(mapping, names.subject) if mapping.has_base_list else None
            users: dict[str, Entry] = {}
            for condition in conditions:
                for entry in await self._search(base, condition, limit=limit):
                    users[entry.user] = entry
            return list(users.values())
        return await self._by_components(mapping, names.subject, limit)

    async def _by_components(
        self, mapping: Mapping, subject: DistinguishedName, limit: int
    ) -> list[Entry]:
        if not mapping.base and not mapping.condition:
            if mapping.subject_attribute:
                return []
            if not mapping.verify_certificate:
                raise MappingRefusedError(
                    f"the mapping {mapping.name} names nothing to search for in this certificate"
                )
        base = _base(mapping, subject) if mapping.base else None
        condition = _condition(mapping, subject) if mapping.condition else EVERYTHING
        return await self._search(base, condition, limit=limit)

    async def _ask(
        self, mapping: Mapping, names: CertificateNames, function: MappingFunction
    ) -> Sequence[Entry] | None:
        certificate = load_certificate(self._presented.leaf)
        question = MappingQuestion(certificate, names, self._service, self._search)
        try:
            async with asyncio.timeout(FUNCTION_TIMEOUT):
                return await function(question)
        except TimeoutError:
            what = f"{mapping.module} did not answer within {FUNCTION_TIMEOUT:.0f} s"
            raise DirectoryUnavailableError(what) from None
        except (DirectoryUnavailableError, MappingRefusedError):
            raise
        except Exception as error:
            _log.exception("%s failed", mapping.module)
            what = f"{mapping.module} failed: {type(error).__name__}"
            raise MappingRefusedError(what) from error

    async def _search(
        self, base: DistinguishedName | None, condition: Filter, *, limit: int = 2
    ) -> list[Entry]:
        found = await self._directory.search(base, condition, limit=limit)
        self._trace.searches.append(SearchStep(base, condition, tuple(found)))
        return found

    def _chosen(self, mapping: Mapping, found: list[Entry]) -> Entry:
        tried = " or ".join(map(str, self._trace.searches))
        if not found:
            raise MappingRefusedError(f"no entry matches {tried}")
        if not mapping.verify_certificate:
            if len(found) > 1:
                raise MappingRefusedError(f"more than one entry matches {tried}")
            return found[0]
        if len(found) > MAXIMUM_CANDIDATES:
            raise MappingRefusedError(f"more than {MAXIMUM_CANDIDATES} entries match {tried}")
        holders = [entry for entry in found if self._presented.leaf in entry.certificates]
        if len(holders) > 1:
            raise MappingRefusedError("verifycert: more than one entry holds this certificate")
        if not holders:
            held = any(entry.certificates for entry in found)
            what = "only other certificates than this" if held else "no certificate"
            subject = "the entry holds" if len(found) == 1 else "the entries hold"
            raise MappingRefusedError(f"verifycert: {subject} {what}")
        self._trace.verification = "the entry holds this certificate"
        return holders[0]


def _conditions_of_alternative_names(mapping: Mapping, names: CertificateNames) -> list[Filter]:
    conditions: list[Filter] = []
    if mapping.san_email:
        for address in names.emails:
            # A directory may have the domain in either spelling.
            spellings = dict.fromkeys((address, unicode_address(address)))
            conditions += [Equal("mail", spelling) for spelling in spellings]
    if mapping.san_upn:
        for name in names.principal_names:
            conditions += [Equal("userPrincipalName", name), Equal("mail", name)]
    return list(dict.fromkeys(conditions))


def _base(mapping: Mapping, subject: DistinguishedName) -> DistinguishedName:
    """Return the components of the subject that the mapping names, in the subject's order."""
    rdns = [_picked(rdn, mapping.base) for rdn in subject.rdns]
    if not any(rdns):
        raise MappingRefusedError("the subject has no component that DNComps asks for")
    return DistinguishedName(
        [AttributeValue(short_name(target), value) for target, value in rdn] for rdn in rdns if rdn
    )


def _condition(mapping: Mapping, subject: DistinguishedName) -> Filter:
    picked = [pair for rdn in subject.rdns for pair in _picked(rdn, mapping.condition)]
    if not picked:
        raise MappingRefusedError("the subject has no component that FilterComps asks for")
    return And(tuple(Equal(target, value) for target, value in picked))


def _picked(
    rdn: Sequence[AttributeValue], components: Sequence[Component]
) -> list[tuple[str, str]]:
    """Return the target and the value of each listed component; what is empty or no text, not."""
    return [
        (component.target, attribute.value)
        for attribute in rdn
        if isinstance(attribute.value, str) and attribute.value.strip()
        for component in components
        if component.source == attribute_key(attribute.type)
    ]
