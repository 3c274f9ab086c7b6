"""Options of mail to other servers: the queue, and when it is tried again."""

from __future__ import annotations

from mailfront.configuration.option import Option
from mailfront.configuration.option_types import Boolean, Integer, Size

OPTIONS = (
    Option(
        "queue.enable",
        Boolean(),
        "yes",
        "Whether users who have logged in may send mail to other domains: it goes through the "
        "queue, by the channels of imta.cnf. No: such recipients are refused, and what is in the "
        "queue stays there. Mail that strangers bring for other domains is refused either way.",
    ),
    Option(
        "queue.maxmessages",
        Integer(1, 10_000_000, "messages"),
        "100000",
        "How many messages may be in the queue; further ones are refused for the time being.",
    ),
    Option(
        "queue.diskreserve",
        Size(0, 2**40),
        str(64 * 2**20),
        "So much room on the disk of the queue is left free: messages are refused for the time "
        "being while there is less, so that what becomes of those in the queue can be written "
        "down.",
    ),
    Option(
        "queue.maxjobs",
        Integer(1, 10_000, "deliveries"),
        "100",
        "How many deliveries are under way at a time in all; how many to one destination says the "
        "keyword maxjobs of its channel.",
    ),
    Option(
        "queue.maxrecipients",
        Integer(1, 1000, "recipients"),
        "100",
        "How many recipients of a message are named to a server in one transaction.",
    ),
    Option(
        "queue.firstretry",
        Integer(1, 86_400, "seconds"),
        "300",
        "How long after a first attempt that did not succeed the next one follows; each further "
        "wait is twice as long. The keyword backoff of a channel takes precedence.",
    ),
    Option(
        "queue.longestretry",
        Integer(1, 7 * 86_400, "seconds"),
        "14400",
        "The longest wait between two attempts.",
    ),
    Option(
        "queue.warnafter",
        Integer(0, 720, "hours"),
        "3",
        "After how many hours the sender of a message hears that it still waits; 0: never. The "
        "keyword notices of a channel takes precedence over this and the next two.",
    ),
    Option(
        "queue.warnagain",
        Integer(0, 720, "hours"),
        "24",
        "After how many hours the sender hears so a second time; 0: never.",
    ),
    Option(
        "queue.expiry",
        Integer(1, 720, "hours"),
        "120",
        "After how many hours a message that could not be delivered goes back to its sender.",
    ),
)
