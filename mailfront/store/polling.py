"""Looking once a second for changes that other processes made to mailboxes somebody waits on.

One timer for all mailboxes of the store, and none while nobody waits; each mailbox is looked at
once however many sessions wait on it.
"""

from __future__ import annotations

import asyncio
import logging

from mailfront.errors import BackendError
from mailfront.interfaces.tasks import start_task
from mailfront.store.mailbox_contents import MailboxContents

INTERVAL_SECONDS = 1.0
# A look costs some 30 microseconds; after so many, others get their turn.
LOOKS_AT_A_TIME = 100
_log = logging.getLogger("mailfront.store")


class ChangePoller:
    """Used from the event loop only."""

    def __init__(self) -> None:
        self._mailboxes: set[MailboxContents] = set()
        self._looking: set[MailboxContents] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, mailbox: MailboxContents) -> None:
        """Begin to look at a mailbox."""
        self._mailboxes.add(mailbox)
        self._schedule()

    def remove(self, mailbox: MailboxContents) -> None:
        """Look at it no more."""
        self._mailboxes.discard(mailbox)

    def stop(self) -> None:
        """Forget everything."""
        self._mailboxes.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        if self._timer is None and self._mailboxes:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(INTERVAL_SECONDS, self._look)

    def _look(self) -> None:
        self._look_at(list(self._mailboxes - self._looking))

    def _look_at(self, mailboxes: list[MailboxContents]) -> None:
        for mailbox in mailboxes[:LOOKS_AT_A_TIME]:
            if mailbox in self._mailboxes and mailbox.has_news():
                self._looking.add(mailbox)
                start_task(self._refresh(mailbox), name=f"refresh {mailbox.name}")
        rest = mailboxes[LOOKS_AT_A_TIME:]
        if rest:
            self._timer = asyncio.get_running_loop().call_later(0, self._look_at, rest)
        else:
            self._timer = None
            self._schedule()

    async def _refresh(self, mailbox: MailboxContents) -> None:
        try:
            await mailbox.refresh()
        except BackendError as failure:
            _log.warning("mailbox=%s could not be looked at: %s", mailbox.name, failure)
        finally:
            self._looking.discard(mailbox)
