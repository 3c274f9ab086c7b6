"""What tests of the queue share: next hops without DNS, servers without sockets, mail in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mailfront.channels.channel import Channel
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.interfaces.message_sink import Destination, Envelope, Message
from mailfront.outgoing.delivery_result import DeliveryJob, Outcome, RecipientResult
from mailfront.outgoing.reporting import Reporter
from mailfront.outgoing.retry import RetrySettings
from mailfront.outgoing.routing import Routing
from mailfront.outgoing.scheduler import Scheduler, SchedulerSettings
from mailfront.outgoing.sink import OctetMessage, QueueingSink
from mailfront.queue.mail_queue import MailQueue
from mailfront.queue.spool import Spool

ALICE = "alice@example.test"
BOB = "bob@example.test"
LETTER = b"Subject: hello\r\n\r\nbody\r\n"
HOSTNAME = "mail.example.test"
TCP_LOCAL = Channel("tcp_local", "tcp-daemon", 1)
SMARTHOST = Channel("tcp_out", "out-daemon", 2, daemon="relay.example")


@dataclass(frozen=True)
class Hop:
    channel: Channel
    domain: str


def route(domain: str) -> Hop:
    return Hop(SMARTHOST if domain.endswith(".far") else TCP_LOCAL, domain)


def routing(retry: RetrySettings | None = None) -> Routing:
    return Routing(route, retry or RetrySettings())


def letter_to(*recipients: str, sender: str = ALICE) -> Envelope:
    return Envelope(sender, recipients, sender or ALICE)


def letter() -> OctetMessage:
    return OctetMessage(LETTER)


def delivered(text: str = "2.0.0 taken") -> RecipientResult:
    return RecipientResult(Outcome.DELIVERED, RelayAnswer(250, (text,)), remote_host="mx.there")


def refused(text: str = "5.1.1 no such user") -> RecipientResult:
    return RecipientResult(Outcome.FAILED, RelayAnswer(550, (text,)), remote_host="mx.there")


def deferred(text: str = "4.7.1 later") -> RecipientResult:
    return RecipientResult(Outcome.DEFERRED, RelayAnswer(451, (text,)), remote_host="mx.there")


def unreachable() -> RecipientResult:
    return RecipientResult(Outcome.DEFERRED, text="no connection", host_down=True)


@dataclass
class MailboxesInMemory:
    """A `MessageSink` of the domain example.test."""

    taken: list[tuple[Envelope, bytes]] = field(default_factory=list)
    failure: Exception | None = None

    async def destination(self, recipient: str) -> Destination:
        here = recipient.endswith("@example.test")
        return Destination.LOCAL if here else Destination.FOREIGN

    async def accept(self, envelope: Envelope, message: Message) -> None:
        if self.failure is not None:
            raise self.failure
        self.taken.append((envelope, b"".join(message.chunks())))


@dataclass
class ScriptedServers:
    """A `Deliverer`: what each recipient's attempts come to, one after the other, the last one for
    ever; delivered where nothing is said."""

    results: Mapping[str, list[RecipientResult]] = field(default_factory=dict)
    jobs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)

    async def deliver(self, job: DeliveryJob) -> Mapping[str, RecipientResult]:
        self.jobs.append((job.route.domain, job.envelope.recipients))
        self.contents.append(b"".join(job.message.chunks()))
        return {each: self._result(each) for each in job.envelope.recipients}

    def _result(self, recipient: str) -> RecipientResult:
        left = self.results.get(recipient)
        if not left:
            return delivered()
        return left.pop(0) if len(left) > 1 else left[0]


@dataclass
class QueueSite:
    """A queue with everything around it, over a directory."""

    spool: Spool
    queue: MailQueue
    sink: QueueingSink
    scheduler: Scheduler
    mailboxes: MailboxesInMemory
    servers: ScriptedServers
    counted: dict[str, int]


@asynccontextmanager
async def queue_site(
    directory: Path,
    servers: ScriptedServers,
    *,
    retry: RetrySettings | None = None,
    start: bool = True,
) -> AsyncIterator[QueueSite]:
    spool = Spool(directory)
    spool.create()
    mailboxes = MailboxesInMemory()
    sink = QueueingSink(mailboxes, spool, HOSTNAME)
    rules = routing(retry)
    queue = MailQueue(spool, rules.hop_of, rules.first_notice)
    await queue.start()
    counted: dict[str, int] = {}

    def count(name: str, number: int) -> None:
        counted[name] = counted.get(name, 0) + number

    settings = SchedulerSettings(retry=retry or RetrySettings())
    reporter = Reporter(queue, sink, HOSTNAME)
    scheduler = Scheduler(queue, servers, reporter, rules, settings, count)
    sink.on_accepted = scheduler.notice
    if start:
        await scheduler.start()
    try:
        yield QueueSite(spool, queue, sink, scheduler, mailboxes, servers, counted)
    finally:
        await scheduler.stop(10)
        await queue.close()
        sink.close()
