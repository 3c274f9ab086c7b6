"""Mail to other servers, joined: sink, queue, scheduler, and what speaks to them.

Every worker accepts; the one that leads delivers. Without `queue.enable` nothing of it is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from mailfront.channels.table import ChannelTable
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import BackendError, OperatorError
from mailfront.interfaces.message_sink import MessageSink
from mailfront.interfaces.status import QueueStatus
from mailfront.interfaces.tasks import start_task
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import Credentials
from mailfront.outgoing.delivery_result import Deliverer, NextHop
from mailfront.outgoing.reporting import Reporter
from mailfront.outgoing.retry import RetrySettings
from mailfront.outgoing.routing import Routing
from mailfront.outgoing.scheduler import Scheduler, SchedulerSettings
from mailfront.outgoing.sink import QueueingSink
from mailfront.queue.mail_queue import MailQueue
from mailfront.queue.operating import Request, perform
from mailfront.queue.spool import Spool
from mailfront.server.control import Answer
from mailfront.server.dkim_signing import DkimSigning
from mailfront.server.sending import Sending, build_resolver
from mailfront.server.standing_policies import StandingPolicies

# How long after the disk kept the queue from being opened it is tried again.
OPEN_AGAIN_SECONDS = 10.0
_HOUR = 3600.0

_log = logging.getLogger("mailfront.queue")


def queue_spool(root: ServerRoot, configuration: Configuration) -> Spool:
    """The directories of the queue, which need not be there yet."""
    return Spool(
        root.queue_directory,
        most_messages=configuration.integer("queue.maxmessages"),
        reserve=configuration.integer("queue.diskreserve"),
    )


def retry_settings(configuration: Configuration) -> RetrySettings:
    """When again, out of the options."""
    hours = (configuration.integer("queue.warnafter"), configuration.integer("queue.warnagain"))
    first = configuration.integer("queue.firstretry")
    return RetrySettings(
        first=first,
        longest=max(first, configuration.integer("queue.longestretry")),
        warnings=tuple(sorted(_HOUR * each for each in hours if each)),
        expiry=_HOUR * configuration.integer("queue.expiry"),
    )


class OutgoingMail:
    """The whole path. `sink` takes mail in place of `local`; `start` begins to deliver, in the one
    worker that does."""

    def __init__(
        self,
        root: ServerRoot,
        configuration: Configuration,
        hostname: str,
        local: MessageSink,
        on_counter: Callable[[str, int], None],
        channels: Callable[[], ChannelTable],
    ) -> None:
        self._root = root
        self._configuration = configuration
        self._channels = channels
        self._sending: Sending | None = None
        self._hostname = hostname
        self._count = on_counter
        self._spool = queue_spool(root, configuration)
        self.sink = QueueingSink(local, self._spool, hostname)
        self._queue: MailQueue | None = None
        self._scheduler: Scheduler | None = None
        self._opening: asyncio.Task[None] | None = None
        self._standing: StandingPolicies | None = None
        self._signing: DkimSigning | None = None
        self._problem = ""
        try:
            self._spool.create()
        except OSError as failure:
            # Mail to users here is taken all the same.
            self._problem = f"queue: {failure}"

    def sign_with(self, token: InternalToken) -> None:
        """Sign what goes out; every worker does. Raises `ConfigurationError`."""
        self._signing = DkimSigning(self._configuration, token)
        self.sink.sign = self._signing.sign

    def start(self, token: InternalToken, credentials: Callable[[str], Credentials]) -> None:
        """Open the queue and deliver; where the disk does not let us, try again.

        Raises `ConfigurationError` for a file that is wrong.
        """
        resolver = build_resolver(self._configuration)
        standing = StandingPolicies(
            self._root, self._configuration, resolver, token, self.sink.send
        )
        self._standing = standing
        standing.start()
        self._sending = Sending(
            self._root, self._configuration, self._hostname, resolver,
            token, credentials, standing.policies, standing.reports,
        )  # fmt: skip
        self._start(self._sending.deliverer, lambda domain: self._channels().route(domain))

    def follow(self, token: InternalToken) -> None:
        """Trust whom the keystore trusts now."""
        if self._sending is not None:
            self._sending.follow(token)
        if self._standing is not None:
            self._standing.follow(token)
        if self._signing is not None:
            self._signing.follow(token)

    def _start(self, deliverer: Deliverer, route: Callable[[str], NextHop]) -> None:
        retry = retry_settings(self._configuration)
        routing = Routing(route, retry)
        queue = MailQueue(self._spool, routing.hop_of, routing.first_notice)
        settings = SchedulerSettings(
            most_jobs=self._configuration.integer("queue.maxjobs"),
            most_recipients=self._configuration.integer("queue.maxrecipients"),
            retry=retry,
        )
        reporter = Reporter(queue, self.sink, self._hostname)
        scheduler = Scheduler(queue, deliverer, reporter, routing, settings, self._count)
        self._opening = start_task(self._open(queue, scheduler), name="opening the queue")

    def problems(self) -> list[str]:
        """What is wrong, for the status."""
        found = [self._problem] if self._problem else []
        found += self._signing.problems if self._signing is not None else []
        if self._standing is not None and self._standing.problem:
            found.append(self._standing.problem)
        return found + (self._queue.problems if self._queue is not None else [])

    def status(self) -> QueueStatus | None:
        """What waits; None where another process delivers."""
        if self._scheduler is None:
            return None
        size = self._scheduler.size
        resting = tuple(sorted(hop.name for hop in self._scheduler.hops.resting))
        return QueueStatus(size.messages + size.incoming, size.waiting, size.held, resting)

    async def operate(self, text: str) -> Answer:
        """Do what `mailfront queue` asks for; return what was done, or `error`."""
        if self._queue is None or self._scheduler is None:
            return {"error": self._problem or "this server does not deliver to other servers"}
        try:
            request = Request.parse(text)
            done = await perform(self._queue, request)
        except (OperatorError, BackendError) as failure:
            return {"error": str(failure)}
        self._scheduler.try_again()
        await self._scheduler.look_at_everything()
        return {
            "messages": done.messages,
            "recipients": done.recipients,
            "unknown": list(done.unknown),
        }

    async def close(self) -> None:
        """End: jobs under way have as long as sessions; the rest stays in the queue."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._scheduler is not None:
            await self._scheduler.stop(self._configuration.integer("service.draintimeout"))
        if self._standing is not None:
            await self._standing.close()
        if self._sending is not None:
            self._sending.deliverer.close()
        if self._queue is not None:
            await self._queue.close()
        self.sink.close()

    async def _open(self, queue: MailQueue, scheduler: Scheduler) -> None:
        while True:
            try:
                await queue.start()
                await scheduler.start()
            except BackendError as failure:
                if str(failure) != self._problem:
                    _log.error("%s", failure)
                self._problem = str(failure)
                await asyncio.sleep(OPEN_AGAIN_SECONDS)
            else:
                break
        self._problem = ""
        self._queue, self._scheduler = queue, scheduler
        self.sink.on_accepted = scheduler.notice
