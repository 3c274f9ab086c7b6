"""The MTA-STS policies of the domains that we send to: found, kept, refreshed (RFC 8461 section 5).

A policy counts for its whole `max_age`, on disk as in memory. The TXT record is asked for every few
minutes of use; another id makes the policy be fetched anew. Whatever fails, a policy that is kept
counts until it expires; what was not found is not looked for again for a while. Policies are
refreshed in the background long before they expire, so that an attacker cannot wait for their end.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from mailfront.errors import MailfrontError, MtaStsError
from mailfront.outgoing.mta_sts.fetch import CertificateRefusedError, PolicyInvalidError
from mailfront.outgoing.mta_sts.policy import Policy
from mailfront.outgoing.mta_sts.policy_files import KeptPolicy, PolicyFiles
from mailfront.outgoing.mta_sts.record import PREFIX, policy_id
from mailfront.outgoing.text_records import TextRecords
from mailfront.outgoing.transport_policy import (
    PolicyType,
    ReportSink,
    ResultType,
    StsPolicy,
    TlsResult,
)

_log = logging.getLogger("mailfront.mta_sts")

# How long an answer to the question for the TXT record counts.
RECORD_SECONDS = 300.0
# RFC 8461 section 3.3: a failed fetch is not repeated for five minutes, or longer.
RETRY_SECONDS = 300.0
# RFC 8461 section 10.2 wants refreshing once a day or so.
REFRESH_SECONDS = 86_400.0
# Policies of domains that nobody wrote to for so long are left to expire.
UNUSED_SECONDS = 30 * 86_400.0
ROUND_SECONDS = 600.0
MOST_DOMAINS = 10_000
_AT_ONCE = 4

Fetch = Callable[[str, ssl.SSLContext], Awaitable[Policy]]


@dataclass(slots=True)
class _Domain:
    """What is known of one domain; times are in seconds since 1970."""

    kept: KeptPolicy | None = None
    look_again: float = 0.0
    fetch_again: float = 0.0
    used: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    def valid(self, now: float) -> KeptPolicy | None:
        """The policy that is kept and counts."""
        return self.kept if self.kept is not None and now < self.kept.expires else None


class StsPolicies:
    """A `PolicySource`. `context` gives the TLS context that says whom policies are believed of.

    To be used in one event loop; `run` refreshes until it is cancelled.
    """

    def __init__(
        self,
        files: PolicyFiles,
        records: TextRecords,
        fetch: Fetch,
        context: Callable[[], ssl.SSLContext],
        reports: ReportSink,
        *,
        clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._files = files
        self._records = records
        self._fetch = fetch
        self._context = context
        self._reports = reports
        self._clock = clock
        self._chance = chance
        self._domains: OrderedDict[str, _Domain] = OrderedDict()
        self._restore()

    async def policy_for(self, domain: str) -> StsPolicy | None:
        """Return the policy of `domain` (lower-case A-labels), fetched or kept; None without one.

        Several who ask at the same time for one domain wait for one fetch.
        """
        known = self._known(domain)
        known.used = self._clock()
        if self._clock() >= known.look_again:
            async with known.turn:
                if self._clock() >= known.look_again:
                    await self._look(domain, known)
        kept = known.valid(self._clock())
        return None if kept is None else _in_force(kept)

    def validation_failed(self, domain: str) -> None:
        """A server does not fit the policy: ask for a newer one before the next attempt."""
        known = self._domains.get(domain)
        if known is not None:
            known.look_again = 0.0

    async def run(self) -> None:
        """Refresh what is due, for ever."""
        while True:
            try:
                await self.refresh_due()
            except Exception:
                # Policies that are kept count on; nobody else would begin this again.
                _log.exception("refreshing MTA-STS policies failed; the next round follows")
            await asyncio.sleep(ROUND_SECONDS * (0.5 + self._chance()))

    async def refresh_due(self) -> None:
        """Fetch every policy anew that is due, and forget those that have expired."""
        now = self._clock()
        turns = asyncio.Semaphore(_AT_ONCE)

        async def refresh(domain: str, known: _Domain) -> None:
            async with turns, known.turn:
                await self._refresh(domain, known)

        due = []
        for domain, known in list(self._domains.items()):
            if known.kept is not None and known.valid(now) is None:
                known.kept = None
                await asyncio.to_thread(self._forget_file, domain)
            if known.kept is not None and self._is_due(known, known.kept, now):
                due.append(refresh(domain, known))
        await asyncio.gather(*due)

    def _is_due(self, known: _Domain, kept: KeptPolicy, now: float) -> bool:
        wanted = now - known.used < UNUSED_SECONDS and now >= known.fetch_again
        return wanted and now >= kept.fetched + min(kept.policy.max_age / 2, REFRESH_SECONDS)

    async def _refresh(self, domain: str, known: _Domain) -> None:
        """Fetch in the background: without the record there is nothing to fetch."""
        identifier = await self._announced(domain)
        if identifier is None:
            known.fetch_again = self._clock() + self._pause()
        else:
            await self._renew(domain, known, identifier)

    async def _look(self, domain: str, known: _Domain) -> None:
        """Ask for the record, and for the policy where it is new."""
        identifier = await self._announced(domain)
        now = self._clock()
        known.look_again = now + RECORD_SECONDS
        if identifier is None:
            return
        kept = known.valid(now)
        is_new = kept is None or kept.identifier != identifier
        if is_new and now >= known.fetch_again:
            await self._renew(domain, known, identifier)

    async def _announced(self, domain: str) -> str | None:
        try:
            texts = await self._records.texts(f"{PREFIX}{domain}")
        except MailfrontError as failure:
            _log.info("domain=%s the MTA-STS record cannot be looked up: %s", domain, failure)
            return None
        return policy_id(texts)

    async def _renew(self, domain: str, known: _Domain, identifier: str) -> None:
        try:
            policy = await self._fetch(domain, self._context())
        except MtaStsError as failure:
            self._failed(domain, known, failure)
            return
        known.fetch_again = 0.0
        known.kept = KeptPolicy(domain, identifier, self._clock(), policy)
        _log.info(
            "domain=%s MTA-STS policy fetched: id=%s mode=%s max_age=%d mx=%s",
            domain, identifier, policy.mode.value, policy.max_age, ",".join(policy.mx),
        )  # fmt: skip
        try:
            await asyncio.to_thread(self._files.keep, known.kept)
        except OSError as failure:
            _log.warning("domain=%s the policy cannot be kept for a restart: %s", domain, failure)

    def _failed(self, domain: str, known: _Domain, failure: MtaStsError) -> None:
        now = self._clock()
        known.fetch_again = now + self._pause()
        kept = known.valid(now)
        then = "none counts" if kept is None else "the one that is kept counts"
        _log.warning("domain=%s no MTA-STS policy: %s; %s", domain, failure, then)
        lines = () if kept is None else kept.policy.lines
        self._reports.record(
            TlsResult(
                domain,
                PolicyType.STS,
                _result_of(failure),
                policy_strings=lines,
                detail=failure.what[:200],
            )
        )

    def _pause(self) -> float:
        return RETRY_SECONDS * (1 + self._chance())

    def _known(self, domain: str) -> _Domain:
        known = self._domains.get(domain)
        if known is None:
            # It may have had to make room for others.
            known = self._domains[domain] = _Domain(self._credible(self._files.find(domain)))
            if len(self._domains) > MOST_DOMAINS:
                self._make_room()
        else:
            self._domains.move_to_end(domain)
        return known

    def _make_room(self) -> None:
        """Forget the domain without policy that was asked for longest ago, else one with; its file
        stays until it expires."""
        now = self._clock()
        without = (name for name, known in self._domains.items() if known.valid(now) is None)
        del self._domains[next(without, next(iter(self._domains)))]

    def _restore(self) -> None:
        now = self._clock()
        for kept in self._files.load(MOST_DOMAINS):
            if self._credible(kept) is not None:
                self._domains[kept.domain] = _Domain(kept, used=now)
            else:
                self._forget_file(kept.domain)

    def _credible(self, kept: KeptPolicy | None) -> KeptPolicy | None:
        """What was on disk, unless it has expired, or claims to come from the future, which would
        keep it for too long."""
        now = self._clock()
        return kept if kept is not None and kept.fetched <= now < kept.expires else None

    def _forget_file(self, domain: str) -> None:
        try:
            self._files.forget(domain)
        except OSError as failure:
            _log.warning("domain=%s an old policy cannot be removed: %s", domain, failure)


def _in_force(kept: KeptPolicy) -> StsPolicy:
    policy = kept.policy
    return StsPolicy(kept.domain, policy.mode, policy.mx, policy.lines, kept.identifier)


def _result_of(failure: MtaStsError) -> ResultType:
    """What a report calls the failure (RFC 8460 section 4.3.2.2)."""
    if isinstance(failure, CertificateRefusedError):
        return ResultType.STS_WEBPKI_INVALID
    if isinstance(failure, PolicyInvalidError):
        return ResultType.STS_POLICY_INVALID
    return ResultType.STS_POLICY_FETCH_ERROR
