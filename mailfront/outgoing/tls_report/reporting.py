"""The gathering of results and the daily reports (RFC 8460 sections 4 and 5).

A `ReportSink` that counts in memory and writes down every minute; a crash loses that minute. After
the end of each day (UTC), at a random moment, every domain with results is looked up: who asks for
reports gets one at each place it names, by mail through the queue or by HTTPS. What fails is tried
again every hour for a day. Nothing is counted of the deliveries of reports (`deliverer`), or two
servers would report on their reports for ever.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta

from mailfront.errors import BackendError, MailfrontError, TlsReportError
from mailfront.interfaces.message_sink import Envelope, Message, RecipientOptions
from mailfront.outgoing.sink import OctetMessage
from mailfront.outgoing.text_records import TextRecords
from mailfront.outgoing.tls_report.document import Report, ReportingOrganization
from mailfront.outgoing.tls_report.message import report_message
from mailfront.outgoing.tls_report.record import PREFIX, Place, report_places
from mailfront.outgoing.tls_report.store import ReportStore, without_details
from mailfront.outgoing.transport_policy import ResultType, TlsResult

_log = logging.getLogger("mailfront.tls_report")

ROUND_SECONDS = 60.0
RETRY = timedelta(hours=1)
# After so many days a report that could not be handed over is given up.
LATEST_DAYS = 2
MOST_IN_MEMORY = 10_000
_NEVER = RecipientOptions(frozenset({"NEVER"}))

Send = Callable[[Envelope, Message], Awaitable[None]]
Post = Callable[[str, bytes], Awaitable[None]]


class TlsReporting:
    """`send` puts a message into the queue, `post` hands octets over by HTTPS; `delay` is the
    longest time between the end of a day and its reports."""

    def __init__(
        self,
        store: ReportStore,
        records: TextRecords,
        send: Send,
        post: Post,
        organization: ReportingOrganization,
        *,
        excluded: frozenset[str] = frozenset(),
        delay: timedelta = timedelta(hours=4),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._records = records
        self._send = send
        self._post = post
        self._organization = organization
        self._excluded = excluded
        self._delay = delay
        self._clock = clock
        self._chance = chance
        self._counts: Counter[tuple[date, TlsResult]] = Counter()
        self._next_round: datetime | None = None

    def record(self, result: TlsResult) -> None:
        """Part of `ReportSink`."""
        if result.domain in self._excluded:
            return
        counted = without_details(result) if result.result is ResultType.SUCCESS else result
        key = (self._clock().date(), counted)
        if key in self._counts or len(self._counts) < MOST_IN_MEMORY:
            self._counts[key] += 1

    async def run(self) -> None:
        """Write down and report, for ever."""
        while True:
            try:
                await self.flush()
                await self.report_due()
            except (sqlite3.Error, OSError) as failure:
                _log.error("results of TLS cannot be written down: %s", failure)
            except Exception:
                # Nobody else would begin this again.
                _log.exception("reporting failed; the next round follows")
            await asyncio.sleep(ROUND_SECONDS)

    async def flush(self) -> None:
        """Write down what was counted. Raises `sqlite3.Error`; then nothing is lost."""
        counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            await asyncio.to_thread(self._store.add, counts)
        except sqlite3.Error:
            self._counts += counts
            raise

    async def close(self) -> None:
        """Write down what is left."""
        try:
            await self.flush()
        except sqlite3.Error as failure:
            _log.error("results of TLS cannot be written down: %s", failure)
        self._store.close()

    async def report_due(self) -> None:
        """Send the reports of days that have ended, once their moment has come."""
        now = self._clock()
        if self._next_round is None:
            # After a start at once: yesterday's moment may have passed meanwhile.
            self._next_round = now
        if now < self._next_round:
            return
        is_left = False
        for day, domain in await asyncio.to_thread(self._store.ended, now.date()):
            is_left |= not await self._report(day, domain)
        self._next_round = now + RETRY if is_left else self._moment_after(now)

    def _moment_after(self, now: datetime) -> datetime:
        midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
        return midnight + self._chance() * self._delay

    async def _report(self, day: date, domain: str) -> bool:
        """Hand over a report at all places; whether nothing is left to do."""
        is_late = (self._clock().date() - day).days > LATEST_DAYS
        try:
            places = report_places(await self._records.texts(f"{PREFIX}{domain}"))
        except MailfrontError as failure:
            _log.info("domain=%s whether it wants reports is unknown: %s", domain, failure)
            places, is_done = (), is_late
        else:
            is_done = await self._hand_over(day, domain, places) or is_late
        if is_done:
            await asyncio.to_thread(self._store.forget, day, domain)
        return is_done

    async def _hand_over(self, day: date, domain: str, places: tuple[Place, ...]) -> bool:
        done = await asyncio.to_thread(self._store.places_done, day, domain)
        results = await asyncio.to_thread(self._store.results, day, domain)
        report = Report(self._organization, domain, day)
        is_complete = True
        for place in places:
            if str(place) in done:
                continue
            try:
                await self._bring(report, report.compressed(results), place)
            except (TlsReportError, BackendError) as failure:
                _log.warning("domain=%s day=%s no report: %s", domain, day, failure)
                is_complete = False
            else:
                _log.info("domain=%s day=%s reported to=%s", domain, day, place)
                await asyncio.to_thread(self._store.handed_over, day, domain, str(place))
        return is_complete

    async def _bring(self, report: Report, content: bytes, place: Place) -> None:
        if place.url:
            await self._post(place.url, content)
            return
        contact = self._organization.contact
        envelope = Envelope(contact, (place.address,), recipient_options={place.address: _NEVER})
        message = report_message(report, content, place.address, self._clock())
        await self._send(envelope, OctetMessage(message))
