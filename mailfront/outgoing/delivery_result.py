"""The seam between the queue and what speaks to other servers: a job in, a result each out.

A job is one message for some recipients who share a next hop. Its results say who is responsible
for each recipient now (RFC 5321 section 4.2.5): the next hop, we for a later attempt, or nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mailfront.channels.channel import Channel
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.interfaces.message_sink import Envelope, Message


class Outcome(Enum):
    """What an attempt came to for one recipient."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    FAILED = "failed"


class NextHop(Protocol):
    """Where a recipient's domain leads: `channels` gives it as its `Route`."""

    @property
    def channel(self) -> Channel:
        """The channel, whose keywords say how its servers are spoken to."""
        ...

    @property
    def domain(self) -> str:
        """The domain whose servers take the mail, in lower-case A-labels, unless the channel has
        a daemon."""
        ...


@dataclass(frozen=True, slots=True)
class DeliveryJob:
    """One attempt: `envelope` has only the recipients of this job, in no more than the number that
    a transaction may have."""

    queue_id: str
    envelope: Envelope
    message: Message
    route: NextHop


@dataclass(frozen=True, slots=True)
class RecipientResult:
    """What became of one recipient.

    `reply` is the server's answer where it gave one that decides; `text` says in our words what
    happened, for the log, the queue and the sender. `remote_host` is who was spoken to, empty for
    nobody. `tls` describes the protection (version and suite, `clear`, or empty), `policy` which
    rule asked for it and whether the server was verified. `relayed` tells that a next hop took the
    mail that offers no notifications (RFC 3461 section 5.2.2). `host_down` tells that it was the
    way there that failed, so that other mail for this next hop need not be tried now.
    `status` is the enhanced status code of our own judgement (RFC 3463), empty for the default.
    """

    outcome: Outcome
    reply: RelayAnswer | None = None
    text: str = ""
    remote_host: str = ""
    tls: str = ""
    policy: str = ""
    relayed: bool = False
    host_down: bool = False
    status: str = ""


class Deliverer(Protocol):
    """Speaks to other servers."""

    async def deliver(self, job: DeliveryJob) -> Mapping[str, RecipientResult]:
        """Make one attempt; return a result for every recipient of the job.

        Raises nothing on purpose: what it cannot do is a result. If it is cancelled, or raises,
        all recipients count as deferred.
        """
        ...
