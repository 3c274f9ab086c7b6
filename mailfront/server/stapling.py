"""OCSP stapling: for every certificate that is served, a current response of its issuer.

Fetched in the background, halfway through the life of the last one; kept on disk; stapled until
shortly before its end and never after. Neither the start nor a handshake waits for a responder.
Personalities are asked about at once, certificates chosen by SNI from their first use on.

A "revoked" response is stapled like a good one: it is the issuer's word, and a client that is not
told it would go on trusting a key that somebody else may have. An "unknown" one is not (RFC 6960
section 2.2): a good one from before stays until its end.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import OcspError
from mailfront.interfaces.status import CertificateStatus
from mailfront.interfaces.tasks import start_task
from mailfront.keystore.ocsp import OcspAnswer, Revocation, build_request, fingerprint_of
from mailfront.keystore.records import CertificateRecord, Inventory
from mailfront.keystore.staple_files import StapleFiles
from mailfront.keystore.staple_schedule import refresh_at, retry_at, stapled_until
from mailfront.server.staple_subjects import Subject, Wanted, find_wanted, judged
from mailfront.tls.personality import ContextSlot
from mailfront.tls.stapling_bridge import Staples, unavailable

_log = logging.getLogger("mailfront.stapling")

MAXIMUM_CERTIFICATES = 1000
_AT_ONCE = 16
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

# `tls.ocsp_fetch.fetch_response`, which commands need not load: address, request, seconds.
Fetch = Callable[[str, bytes, float], Awaitable[bytes]]


@dataclass(slots=True)
class _Entry:
    """What is known of one certificate."""

    subject: Subject
    answer: OcspAnswer | None = None
    problem: str = ""
    due: datetime = _LONG_AGO
    failures: int = 0
    at_work: bool = False


class Stapling:
    """Keeps `staples` filled. `follow` may be called in a thread, everything else in the loop."""

    def __init__(
        self,
        directory: Path,
        fetch: Fetch,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.staples = Staples(lambda: clock().timestamp())
        self._files = StapleFiles(directory)
        self._fetch = fetch
        self._clock = clock
        self._chance = chance
        self._wanted = self._taken = Wanted()
        self._slots: tuple[ContextSlot, ...] = ()
        self._contexts_seen = 0
        self._entries: dict[bytes, _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._restored = False

    def follow(
        self,
        configuration: Configuration,
        slots: Iterable[ContextSlot],
        by_name: Iterable[CertificateRecord],
        inventory: Callable[[], Inventory],
    ) -> None:
        """Staple to what `slots` present and may choose among `by_name`, as the options say.

        The first call, before anything is served, takes over what is on disk.
        """
        self._slots = tuple(slots)
        chains = [chain for slot in self._slots if slot.current for chain in slot.current.chains]
        self._wanted = find_wanted(configuration, chains, by_name, inventory)
        if not self._restored:
            self._restored = True
            self._restore(self._wanted)

    def _restore(self, wanted: Wanted) -> None:
        now = self._clock()
        for fingerprint, response in self._files.load():
            subject = wanted.subject(fingerprint)
            if subject is None or not self._has_room(fingerprint, wanted):
                continue
            try:
                answer = judged(response, subject, now)
            except OcspError:
                continue
            entry = self._entries[fingerprint] = _Entry(subject)
            self._serve(fingerprint, entry, answer, now)
            if entry.problem:
                self._tell(entry, answer)
        if self._entries:
            _log.info("%d OCSP responses were on disk", len(self._entries))
        for fingerprint in set(self._files.fingerprints()) - set(self._entries):
            self._forget_file(fingerprint)

    def look(self) -> None:
        """Take over what changed since the last look, and begin what is due. Never waits."""
        now = self._clock()
        wanted = self._wanted
        changed = wanted is not self._taken
        if changed:
            self._take(wanted)
        contexts = sum(slot.server_names.built for slot in self._slots)
        if changed or contexts != self._contexts_seen:
            self._contexts_seen = contexts
            self._take_chosen(wanted)
        for fingerprint, entry in self._entries.items():
            if entry.answer is not None and now >= stapled_until(entry.answer):
                self._expire(fingerprint, entry)
            if wanted.enabled and now >= entry.due and not entry.at_work:
                self._begin(fingerprint, entry)

    def _take(self, wanted: Wanted) -> None:
        self._taken = wanted
        for fingerprint in list(self._entries):
            subject = wanted.subject(fingerprint)
            if subject is None:
                del self._entries[fingerprint]
                self.staples.drop(fingerprint)
                self._forget_file(fingerprint)
                continue
            entry = self._entries[fingerprint]
            if entry.subject.issuer != subject.issuer:
                entry.due = _LONG_AGO
            entry.subject = subject
            if entry.answer is not None and wanted.enabled:
                self._publish(fingerprint, entry.answer)
            else:
                self.staples.drop(fingerprint)
        for fingerprint, subject in wanted.served.items():
            self._entries.setdefault(fingerprint, _Entry(subject))

    def _take_chosen(self, wanted: Wanted) -> None:
        for slot in self._slots:
            for chain in slot.server_names.presented():
                fingerprint = fingerprint_of(chain.leaf)
                if fingerprint in self._entries or not self._has_room(fingerprint, wanted):
                    continue
                subject = wanted.subject(fingerprint)
                if subject is not None:
                    self._entries[fingerprint] = _Entry(subject)

    def _has_room(self, fingerprint: bytes, wanted: Wanted) -> bool:
        """Whether one more is asked about: personalities always, others up to the limit."""
        return fingerprint in wanted.served or len(self._entries) < MAXIMUM_CERTIFICATES

    def _begin(self, fingerprint: bytes, entry: _Entry) -> None:
        entry.at_work = True
        # Whatever happens, it is not begun again at the next look.
        entry.due = self._retry_at(entry)
        task = start_task(self._renew(fingerprint, entry), name=f"ocsp {entry.subject.nickname}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self, fingerprint: bytes, entry: _Entry) -> None:
        subject = entry.subject
        try:
            response = await self._ask(subject, entry.failures)
            if self._entries.get(fingerprint) is not entry:
                return
            now = self._clock()
            answer = judged(response, subject, now)
        except OcspError as failure:
            self._failed(entry, str(failure))
            return
        finally:
            entry.at_work = False
        if entry.answer is not None and answer.this_update < entry.answer.this_update:
            # A cache on the way, or somebody, shows an older one: the newer word counts.
            answer = entry.answer
        self._serve(fingerprint, entry, answer, now)
        self._tell(entry, answer)
        await self._keep(fingerprint, answer)

    async def _ask(self, subject: Subject, failures: int) -> bytes:
        if not subject.urls:
            raise OcspError("it names no OCSP responder")
        if subject.issuer is None:
            raise OcspError(
                "its issuer's certificate is not in the database",
                remedy="add it: msgcert add-cert -C NICKNAME FILE",
            )
        request = build_request(subject.certificate, subject.issuer)
        url = subject.urls[failures % len(subject.urls)]
        async with self._turns:
            return await self._fetch(url, request, self._taken.seconds)

    def _serve(self, fingerprint: bytes, entry: _Entry, answer: OcspAnswer, now: datetime) -> None:
        entry.answer, entry.failures = answer, 0
        entry.due = refresh_at(answer, now, self._chance())
        entry.problem = ""
        if answer.revocation is Revocation.REVOKED:
            since = f"{answer.revoked_at:%Y-%m-%d %H:%M} UTC" if answer.revoked_at else "?"
            reason = f" ({answer.reason})" if answer.reason else ""
            entry.problem = f"it is REVOKED since {since}{reason}: replace it"
        if self._wanted.enabled:
            self._publish(fingerprint, answer)

    def _publish(self, fingerprint: bytes, answer: OcspAnswer) -> None:
        self.staples.put(fingerprint, answer.der, stapled_until(answer).timestamp())

    def _tell(self, entry: _Entry, answer: OcspAnswer) -> None:
        if entry.problem:
            _log.error("nickname=%s %s", entry.subject.nickname, entry.problem)
        else:
            _log.info(
                "nickname=%s ocsp=good stapled-until=%s",
                entry.subject.nickname, stapled_until(answer).isoformat(timespec="seconds"),
            )  # fmt: skip

    async def _keep(self, fingerprint: bytes, answer: OcspAnswer) -> None:
        try:
            await asyncio.to_thread(self._files.keep, fingerprint, answer.der)
        except OSError as failure:
            _log.warning("a response cannot be kept for the next start: %s", failure)

    def _failed(self, entry: _Entry, problem: str) -> None:
        entry.due = self._retry_at(entry)
        entry.failures += 1
        if entry.answer is not None and entry.answer.revocation is Revocation.REVOKED:
            return
        if problem != entry.problem:
            log = _log.error if _is_missed(entry) else _log.warning
            log("nickname=%s no new OCSP response: %s", entry.subject.nickname, problem)
        entry.problem = problem

    def _retry_at(self, entry: _Entry) -> datetime:
        return retry_at(entry.failures + 1, self._clock(), self._chance())

    def _expire(self, fingerprint: bytes, entry: _Entry) -> None:
        entry.answer = None
        self.staples.drop(fingerprint)
        self._forget_file(fingerprint)
        log = _log.error if _is_missed(entry) else _log.warning
        log("nickname=%s nothing is stapled any more: %s", entry.subject.nickname, entry.problem)

    def _forget_file(self, fingerprint: bytes) -> None:
        try:
            self._files.forget(fingerprint)
        except OSError as failure:
            _log.warning("an old response cannot be removed: %s", failure)

    def described(self, certificates: Sequence[CertificateStatus]) -> list[CertificateStatus]:
        """The certificates with what is stapled to them, or why nothing is."""
        return [self._described(certificate) for certificate in certificates]

    def _described(self, certificate: CertificateStatus) -> CertificateStatus:
        entry = self._entries.get(bytes.fromhex(certificate.fingerprint.replace(":", "")))
        if entry is None or not self._wanted.enabled:
            return certificate
        until = None if entry.answer is None else stapled_until(entry.answer)
        return replace(certificate, stapled_until=until, staple_problem=entry.problem)

    def problems(self) -> list[str]:
        """What clients suffer from: revoked certificates, and a demanded response missing."""
        return [text for entry, text in self._faults() if _is_serious(entry)]

    def warnings(self) -> list[str]:
        """Certificates with a responder that nothing is stapled to, each with the reason."""
        found = [text for entry, text in self._faults() if not _is_serious(entry)]
        if self._entries and (reason := unavailable()):
            found.append(f"OCSP responses: cannot be stapled: {reason}")
        if len(self._entries) >= MAXIMUM_CERTIFICATES:
            found.append(f"OCSP responses: only {MAXIMUM_CERTIFICATES} certificates have one")
        return found

    def _faults(self) -> Iterable[tuple[_Entry, str]]:
        for entry in self._entries.values():
            nickname = entry.subject.nickname
            if entry.answer is not None:
                if entry.answer.revocation is Revocation.REVOKED:
                    yield entry, f"{nickname}: {entry.problem}"
            elif _is_missed(entry) and (entry.problem or not self._wanted.enabled):
                reason = entry.problem or "stapling is off"
                yield entry, f"{nickname}: clients refuse it without an OCSP response: {reason}"
            elif entry.problem and self._wanted.enabled:
                yield entry, f"{nickname}: no OCSP response is stapled: {entry.problem}"

    async def close(self) -> None:
        """Give up what is under way."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _is_missed(entry: _Entry) -> bool:
    """Whether clients refuse the certificate now for want of a response (RFC 7633)."""
    return entry.subject.demanded and entry.answer is None


def _is_serious(entry: _Entry) -> bool:
    return entry.answer is not None or _is_missed(entry)
