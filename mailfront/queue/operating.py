"""What an operator does with messages in the queue: chosen by name, by destination, or all.

Takes one request as the command line and the control socket spell it, `retry ID…`,
`hold --destination example.org`, `delete --all`; returns what was done. The same code acts in the
running server and on the disk of one that does not run.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from mailfront.errors import OperatorError
from mailfront.queue.mail_queue import MailQueue
from mailfront.queue.spool import IDENTIFIER

ALL = "--all"
DESTINATION = "--destination"
_DOMAIN = re.compile(r"[^\s@%]{1,255}")

_log = logging.getLogger("mailfront.queue")


class Action(StrEnum):
    """What can be done."""

    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be done with which messages: `names`, or those for `destination`, or `everything`;
    exactly one of them. Raises `OperatorError` for anything else."""

    action: Action
    names: tuple[str, ...] = ()
    destination: str = ""
    everything: bool = False

    def __post_init__(self) -> None:
        if [bool(self.names), bool(self.destination), self.everything].count(True) != 1:
            raise OperatorError("not a request about the queue")
        if not all(map(IDENTIFIER.fullmatch, self.names)):
            raise OperatorError("not the name of a message", remedy="mailfront queue list")
        if self.destination and not _DOMAIN.fullmatch(self.destination):
            raise OperatorError("not a domain")

    @classmethod
    def parse(cls, text: str) -> Request:
        """Read a request. Raises `OperatorError`."""
        action, *rest = text.split() or [""]
        if action not in tuple(Action):
            raise OperatorError("not a request about the queue")
        if rest == [ALL]:
            return cls(Action(action), everything=True)
        if rest[:1] == [DESTINATION] and len(rest) == 2:
            return cls(Action(action), destination=rest[1].lower())
        return cls(Action(action), tuple(rest))

    def text(self) -> str:
        """The request as `parse` reads it."""
        if self.everything:
            return f"{self.action.value} {ALL}"
        if self.destination:
            return f"{self.action.value} {DESTINATION} {self.destination}"
        return " ".join((self.action.value, *self.names))


@dataclass(frozen=True, slots=True)
class Done:
    """How many messages were chosen, how many recipients that changed, and which names nobody
    has."""

    messages: int
    recipients: int
    unknown: tuple[str, ...] = ()


async def perform(queue: MailQueue, request: Request) -> Done:
    """Do it. Raises `BackendError` when the disk fails."""
    if request.names:
        chosen = [name for name in request.names if await queue.find(name) is not None]
    else:
        chosen = await queue.select("" if request.everything else request.destination)
    change: dict[Action, Callable[[list[str]], Awaitable[int]]] = {
        Action.RETRY: queue.retry,
        Action.HOLD: queue.hold,
        Action.RELEASE: queue.release,
        Action.DELETE: queue.delete,
    }
    recipients = await change[request.action](chosen)
    _log.info(
        "queue: %s by the administrator: %d messages, %d recipients",
        request.text(), len(chosen), recipients,
    )  # fmt: skip
    return Done(len(chosen), recipients, tuple(set(request.names) - set(chosen)))
