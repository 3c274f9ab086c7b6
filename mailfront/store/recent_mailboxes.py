"""Mailboxes that nobody uses at the moment, kept open for the next one who does.

Opening a mailbox reads a row for each of its messages; a mailbox that is still open needs only a
look at whether something changed. How many are kept is bounded, and so are their messages; the one
used longest ago makes room.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from mailfront.store.mailbox_contents import MailboxContents

# Each holds a connection to its index: three file descriptors.
MOST_MAILBOXES = 32
# Some fifty octets of memory each.
MOST_MESSAGES = 100_000


class RecentMailboxes:
    """Usable from any thread."""

    def __init__(
        self, most_mailboxes: int = MOST_MAILBOXES, most_messages: int = MOST_MESSAGES
    ) -> None:
        self._most_mailboxes = most_mailboxes
        self._most_messages = most_messages
        self._kept: OrderedDict[MailboxContents, int] = OrderedDict()
        self._messages = 0
        self._lock = threading.Lock()

    def keep(self, mailbox: MailboxContents) -> list[MailboxContents]:
        """Keep a mailbox; returns those that have to go for it, perhaps this one."""
        leaving: list[MailboxContents] = []
        with self._lock:
            self._remove(mailbox)
            self._kept[mailbox] = len(mailbox)
            self._messages += len(mailbox)
            while len(self._kept) > self._most_mailboxes or self._messages > self._most_messages:
                oldest = next(iter(self._kept))
                self._remove(oldest)
                leaving.append(oldest)
        return leaving

    def forget(self, mailbox: MailboxContents) -> None:
        """Keep a mailbox no longer; harmless if it was not kept."""
        with self._lock:
            self._remove(mailbox)

    def _remove(self, mailbox: MailboxContents) -> None:
        self._messages -= self._kept.pop(mailbox, 0)
