"""Which message is tried where and when: takes from the queue, gives jobs, writes results down.

One loop decides, jobs run beside it. A job is one message with its recipients at one next hop. Next
hops take turns, each with at most as many jobs as its channel allows (`maxjobs`); one that is down
rests for all its messages (RFC 5321 section 4.5.4.1). A job whose result cannot be written down
keeps its message until it can: what a server took must not be sent again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailfront.channels.channel import Channel
from mailfront.errors import BackendError
from mailfront.interfaces.tasks import start_task
from mailfront.outgoing.attempt import is_down, log_result, overdue_update, updates_of
from mailfront.outgoing.delivery_result import (
    Deliverer,
    DeliveryJob,
    NextHop,
    Outcome,
    RecipientResult,
)
from mailfront.outgoing.hops import Hop, Hops
from mailfront.outgoing.reporting import Reporter
from mailfront.outgoing.retry import RetrySettings
from mailfront.outgoing.routing import Routing
from mailfront.queue.entry import QueuedMail, QueuedRecipient, QueueSize, RecipientUpdate
from mailfront.queue.mail_queue import MailQueue

# How long after another process accepted a message it is noticed at the latest.
LOOK_SECONDS = 0.5
# After the disk has failed.
PAUSE_SECONDS = 5.0
OVERDUE_SECONDS = 15.0
_OVERDUE_BATCH = 200

_log = logging.getLogger("mailfront.queue")


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    """At most `most_jobs` at a time, each with at most `most_recipients`; `retry` says when
    again."""

    most_jobs: int = 100
    most_recipients: int = 100
    retry: RetrySettings = field(default_factory=RetrySettings)


class Scheduler:
    """Delivers what is in the queue. `on_counter` is given the names of events and how many."""

    def __init__(
        self,
        queue: MailQueue,
        deliverer: Deliverer,
        reporter: Reporter,
        routing: Routing,
        settings: SchedulerSettings,
        on_counter: Callable[[str, int], None],
    ) -> None:
        self.hops = Hops()
        self._queue = queue
        self._deliverer = deliverer
        self._reporter = reporter
        self._routing = routing
        self._settings = settings
        self._count = on_counter
        self._wake = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()
        self._finished: set[str] = set()
        self._to_report = True
        self._next_report = 0.0
        self._next_look_at_age = 0.0
        self.size = QueueSize(0, 0, 0)
        self._stopping = False
        self._loop_task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin. The queue is open."""
        for name, moment in await self._queue.hops():
            self.hops.wake_at(name, moment)
        self._loop_task = start_task(self._run(), name="queue")

    def notice(self) -> None:
        """Something was accepted, released or is to be tried now."""
        self._wake.set()

    def try_again(self) -> None:
        """Forget that next hops were down."""
        for hop in self.hops.resting:
            self.hops.came_up(hop.name)

    async def look_at_everything(self) -> None:
        """What waits may have changed: give every next hop its turn."""
        for name, moment in await self._queue.hops():
            self.hops.wake_at(name, moment)
        self._wake.set()

    async def stop(self, seconds: float) -> None:
        """Begin nothing more; jobs under way have so long, what is left of them stays queued."""
        self._stopping = True
        self._wake.set()
        deadline = time.monotonic() + seconds
        if self._loop_task is not None:
            _, hanging = await asyncio.wait([self._loop_task], timeout=seconds)
            if hanging:
                _log.warning("queue: a step did not end in time and is given up")
                self._loop_task.cancel()
                await asyncio.wait(hanging)
        if self._jobs:
            seconds = max(0.0, deadline - time.monotonic())
            _, left = await asyncio.wait(self._jobs, timeout=seconds)
            for job in left:
                job.cancel()
            if left:
                _log.warning("queue: %d deliveries did not end in time and are put back", len(left))
                await asyncio.wait(left)

    async def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            pause = LOOK_SECONDS
            # None holds up the others: what is removed makes room for what is written.
            for part in (self._step, self._report, self._remove_finished):
                if not await _succeeds(part):
                    pause = PAUSE_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _step(self) -> None:
        for name in await self._queue.take_in():
            self.hops.make_ready(name, time.time())
        self.hops.wake(time.time())
        await self._look_at_age()
        await self._begin_jobs()

    async def _report(self) -> None:
        if not self._to_report or time.monotonic() < self._next_report:
            return
        self._to_report = False
        told = await self._reporter.work_off()
        self._finished.update(told.messages)
        if told.notifications:
            self._count("outgoing.notifications", told.notifications)
        if told.is_left:
            self._to_report = True
            self._next_report = time.monotonic() + PAUSE_SECONDS

    async def _remove_finished(self) -> None:
        if not self._finished:
            return
        finished, self._finished = self._finished, set()
        try:
            await self._queue.remove_finished(finished)
        except BaseException:
            self._finished |= finished
            raise

    async def _look_at_age(self) -> None:
        now = time.time()
        if now < self._next_look_at_age:
            return
        self._next_look_at_age = now + OVERDUE_SECONDS
        self.size = await self._queue.size()
        retry = self._settings.retry
        while mails := await self._queue.overdue(now, _OVERDUE_BATCH):
            updates = [
                overdue_update(mail, each, self._routing.channel_of(each.address), retry, now)
                for mail in mails
                for each in mail.recipients
                if not self._is_about_to_be_tried(mail, each, now)
            ]
            await self._write(mails, updates)
            if len(mails) < _OVERDUE_BATCH or not updates:
                return

    def _is_about_to_be_tried(
        self, mail: QueuedMail, recipient: QueuedRecipient, now: float
    ) -> bool:
        """Whether a result will say more soon: after a long stop everything gets one more attempt
        before it is given up, but not each message at a next hop that is down."""
        if recipient.hop not in self.hops:
            return False
        hop = self.hops[recipient.hop]
        return mail.identifier in hop.under_way or (
            recipient.next_attempt <= now and not hop.failures
        )

    async def _begin_jobs(self) -> None:
        while len(self._jobs) < self._settings.most_jobs and not self._stopping:
            hop = self.hops.next_ready()
            if hop is None:
                return
            # One that may not begin is made ready again by the end of a job.
            if hop.may_begin and await self._begin_job(hop):
                self.hops.make_ready(hop.name, time.time())

    async def _begin_job(self, hop: Hop) -> bool:
        """Begin the next job of a next hop; return whether there may be a further one."""
        now, busy = time.time(), tuple(hop.under_way)
        mail = await self._queue.due(hop.name, now, self._settings.most_recipients, busy)
        if mail is None:
            moment = await self._queue.next_attempt(hop.name, busy)
            if moment is not None:
                self.hops.wake_at(hop.name, moment)
            else:
                self.hops.forget(hop)
            return False
        sorted_mail = self._routing.sort(mail, hop.name)
        for name, rows in sorted_mail.moved.items():
            await self._queue.move_to_hop(rows, name)
            self.hops.make_ready(name, now)
        if sorted_mail.refused:
            await self._refuse(mail, sorted_mail.refused)
        if sorted_mail.route is not None:
            hop.most_jobs = sorted_mail.route.channel.max_jobs
            hop.under_way.add(mail.identifier)
            job = start_task(
                self._work(hop, sorted_mail.mail, sorted_mail.route),
                name=f"delivery {mail.identifier}",
            )
            self._jobs.add(job)
            job.add_done_callback(self._job_ended)
        return True

    async def _refuse(self, mail: QueuedMail, results: Mapping[str, RecipientResult]) -> None:
        """Give up recipients that lead nowhere."""
        refused = tuple(each for each in mail.recipients if each.address in results)
        await self._settle(replace(mail, recipients=refused), results, None)

    async def _work(self, hop: Hop, mail: QueuedMail, route: NextHop) -> None:
        """One job, from opening the message to writing the results down."""
        generation = hop.generation
        try:
            results = await self._attempt(mail, route)
            if results is None:
                return
            await self._settle(mail, results, route.channel)
            now = time.time()
            if is_down(results):
                wait = self._settings.retry.wait(route.channel, hop.failures + 1)
                self.hops.went_down(hop.name, now + wait, generation)
            else:
                self.hops.came_up(hop.name)
        finally:
            hop.under_way.discard(mail.identifier)
            self.hops.make_ready(hop.name, time.time())

    async def _attempt(
        self, mail: QueuedMail, route: NextHop
    ) -> Mapping[str, RecipientResult] | None:
        """Deliver; None if the message cannot be opened now, so that nothing was tried."""
        try:
            message = await self._queue.open(mail.identifier)
        except BackendError as failure:
            if failure.temporary:
                _log.error("%s", failure)
                await asyncio.sleep(PAUSE_SECONDS)
                return None
            text = "the message was damaged on our disk"
            damaged = RecipientResult(Outcome.FAILED, text=text, status="5.3.0")
            return {each.address: damaged for each in mail.recipients}
        with message:
            job = DeliveryJob(mail.identifier, mail.envelope(), message, route)
            try:
                return await self._deliverer.deliver(job)
            except Exception:
                _log.exception("queue=%s the delivery failed for a fault of ours", mail.identifier)
                text = "a fault of this server"
                fault = RecipientResult(Outcome.DEFERRED, text=text, status="4.3.0")
                return {each.address: fault for each in mail.recipients}

    async def _settle(
        self, mail: QueuedMail, results: Mapping[str, RecipientResult], channel: Channel | None
    ) -> None:
        """Log, count and write down results, however long the disk takes."""
        now = time.time()
        updates = updates_of(mail, results, channel, self._settings.retry, now)
        for recipient in mail.recipients:
            if (result := results.get(recipient.address)) is not None:
                log_result(mail, recipient, result, now)
                self._count(f"outgoing.{result.outcome.value}", 1)
        while True:
            try:
                await self._write([mail], updates)
            except BackendError as failure:
                _log.error("queue=%s %s", mail.identifier, failure)
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return

    async def _write(self, mails: Sequence[QueuedMail], updates: Sequence[RecipientUpdate]) -> None:
        await self._queue.update(updates)
        self._to_report = self._to_report or any(each.report for each in updates)
        self._finished.update(mail.identifier for mail in mails)

    def _job_ended(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        self._wake.set()


async def _succeeds(part: Callable[[], Awaitable[None]]) -> bool:
    """Do a part of a step; return whether that succeeded, and log why it did not."""
    try:
        await part()
    except BackendError as failure:
        _log.error("%s; tried again in %d s", failure, PAUSE_SECONDS)
        return False
    except Exception:
        _log.exception("queue: a step failed; tried again in %d s", PAUSE_SECONDS)
        return False
    return True
