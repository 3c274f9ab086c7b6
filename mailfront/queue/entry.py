"""What is known of a message in the queue: the records that its file and the database share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

from mailfront.interfaces.message_sink import Envelope, MailOptions, RecipientOptions


class State(IntEnum):
    """What is to be done for a recipient. The numbers are in the database."""

    WAITING = 0
    HELD = 1
    DELIVERED = 2
    FAILED = 3

    @property
    def word(self) -> str:
        """The state's name, as people read it."""
        return self.name.lower()


class Report(StrEnum):
    """What the sender is still to be told of a recipient (the actions of RFC 3464 section 2.3.3);
    NONE for nothing."""

    NONE = ""
    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"


@dataclass(frozen=True, slots=True)
class QueuedRecipient:
    """One recipient of a message in the queue.

    `row` is its number in the database, `next_attempt` and `next_notice` are Unix times: when it is
    tried again, and when its sender is told of the delay or it is given up. `notices` counts what
    the sender was told of delays. `text` and `status` are the last answer or what kept us from
    getting one; `report` is what the sender is still to be told.
    """

    row: int
    address: str
    options: RecipientOptions
    state: State
    hop: str
    next_attempt: float
    attempts: int = 0
    next_notice: float = 0.0
    notices: int = 0
    text: str = ""
    status: str = ""
    remote_host: str = ""
    report: Report = Report.NONE


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A message in the queue with some or all of its recipients. `arrived` is a Unix time, `size`
    in octets."""

    identifier: str
    sender: str
    options: MailOptions
    arrived: float
    size: int
    authenticated_user: str | None
    recipients: tuple[QueuedRecipient, ...]

    def envelope(self) -> Envelope:
        """The envelope for these recipients."""
        return Envelope(
            self.sender,
            tuple(each.address for each in self.recipients),
            self.authenticated_user,
            options=self.options,
            recipient_options={each.address: each.options for each in self.recipients},
        )


@dataclass(frozen=True, slots=True)
class RecipientUpdate:
    """What an attempt, or the passing of time, changes of a recipient."""

    row: int
    state: State
    next_attempt: float
    attempts: int
    next_notice: float
    notices: int
    text: str
    status: str
    remote_host: str
    report: Report


@dataclass(frozen=True, slots=True)
class QueueSize:
    """How many messages there are, and how many recipients in each state that waits for anything;
    `incoming` are messages that were accepted and are not taken in yet."""

    messages: int
    waiting: int
    held: int
    incoming: int = 0
