"""One user's mail: the hierarchy of mailboxes in a Maildir++, subscriptions, delivery."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mailfront.errors import BackendError
from mailfront.store.delivery import deliver_to_all
from mailfront.store.failure import storage_failures
from mailfront.store.file_lock import ExclusiveLock
from mailfront.store.flags import NO_FLAGS, FlagSet
from mailfront.store.folder_name import INBOX, SEPARATOR, canonical_name
from mailfront.store.mailbox import Mailbox
from mailfront.store.mailbox_contents import MailboxContents
from mailfront.store.mailboxes import DEFAULT_ROLES, Mailboxes
from mailfront.store.maildir import Maildir
from mailfront.store.recent_mailboxes import RecentMailboxes
from mailfront.store.subscriptions import Subscriptions

POP_LOCK_FILE = "mailfront-pop.lock"

__all__ = ["INBOX", "SEPARATOR", "Account", "MailboxEntry"]


class MailboxEntry(NamedTuple):
    r"""One line of a listing.

    `special_use` is an attribute of RFC 6154 (`\Sent`) or empty; `selectable` is False for a name
    that exists only because it has children.
    """

    name: str
    special_use: str
    has_children: bool
    subscribed: bool
    selectable: bool


class Account:
    """Made by `MailStore.account`. Names are Unicode with `/` between levels; INBOX in any case.

    Every method may block on the disk; those that change something return when it is durable.
    They raise `MailboxError` (NONEXISTENT, ALREADYEXISTS, CANNOT, LIMIT) and `BackendError`.
    """

    def __init__(
        self,
        user: str,
        root: Path,
        in_thread: Callable[[Callable[[], None]], Awaitable[None]],
        in_background: Callable[[Callable[[], None]], None],
        watch_outside: Callable[[MailboxContents, bool], None],
        recent: RecentMailboxes,
    ) -> None:
        self._user = user
        self._mailboxes = Mailboxes(root)
        self._subscriptions = Subscriptions(root)
        self._in_thread = in_thread
        self._in_background = in_background
        self._watch_outside = watch_outside
        self._recent = recent
        self._lock = threading.RLock()
        # In use, or kept for the next user.
        self._open: dict[str, Mailbox] = {}
        self._users: dict[MailboxContents, int] = {}
        self.prepare()

    @property
    def user(self) -> str:
        """The canonical address."""
        return self._user

    def is_present(self) -> bool:
        """Whether the account has its directories."""
        return self._mailboxes.is_present()

    def prepare(self) -> None:
        """Make the directories, with the default mailboxes, if there are none."""
        if not self.is_present() and self._mailboxes.prepare():
            self._subscriptions.change(add=(INBOX, *DEFAULT_ROLES))

    @storage_failures
    def list_mailboxes(self) -> list[MailboxEntry]:
        """All mailboxes and their missing parents: INBOX first, then in alphabetical order."""
        present = self._mailboxes.directories()
        roles = self._mailboxes.roles()
        subscribed = set(self._subscriptions.names())
        parents = {
            SEPARATOR.join(levels[:depth])
            for levels in (name.split(SEPARATOR) for name in present)
            for depth in range(1, len(levels))
        }
        names = sorted(
            {*present, *parents},
            key=lambda name: (name != INBOX, [(p.casefold(), p) for p in name.split(SEPARATOR)]),
        )
        return [
            MailboxEntry(
                name=name,
                special_use=roles.get(name, "") if name in present else "",
                has_children=name in parents,
                subscribed=name in subscribed,
                selectable=name in present,
            )
            for name in names
        ]

    @storage_failures
    def subscriptions(self) -> list[str]:
        """Subscribed names, whether or not such a mailbox exists (RFC 9051 section 6.3.7)."""
        return self._subscriptions.names()

    @storage_failures
    def subscribe(self, name: str) -> None:
        """Add a name to the subscriptions."""
        self._subscriptions.change(add=(canonical_name(name),))

    @storage_failures
    def unsubscribe(self, name: str) -> None:
        """Take a name from the subscriptions; no error if it was not there."""
        self._subscriptions.change(remove=(canonical_name(name),))

    @storage_failures
    def create(self, name: str, special_use: str = "") -> None:
        r"""Create a mailbox; a trailing separator is dropped. `special_use` such as `\Trash`."""
        name = canonical_name(name)
        self._mailboxes.create(name)
        if special_use:
            self._mailboxes.set_role(name, special_use)

    @storage_failures
    def delete(self, name: str) -> None:
        """Delete a mailbox and its messages; its children stay. INBOX cannot be deleted."""
        name = canonical_name(name)
        with self._lock:
            self._mailboxes.remove(name)
            mailbox = self._open.pop(name, None)
        if mailbox is not None:
            mailbox.mark_deleted()
            self.let_go(mailbox)

    @storage_failures
    def rename(self, name: str, new_name: str) -> None:
        """Rename with all children; renaming INBOX moves its messages (RFC 9051 6.3.6)."""
        name, new_name = canonical_name(name), canonical_name(new_name)
        if name == INBOX:
            self._empty_inbox_into(new_name)
            return
        with self._lock:
            self._mailboxes.rename(name, new_name, self._rename_open)

    def _rename_open(self, name: str, new_name: str, path: Path, move: Callable[[], None]) -> None:
        mailbox = self._open.get(name)
        if mailbox is None:
            move()
            return
        mailbox.relocate(new_name, path, move)
        self._open[new_name] = self._open.pop(name)

    def _empty_inbox_into(self, new_name: str) -> None:
        self.create(new_name)
        with self.opened(INBOX) as inbox, self.opened(new_name) as target:
            inbox.move_to(inbox.uids(), target)

    @storage_failures
    def open(self, name: str) -> Mailbox:
        """The shared object of a mailbox, synchronised; give it back with `close`."""
        name = canonical_name(name)
        mailbox = self._use_synchronised(name)
        if not mailbox.exists:
            # Deleted, and perhaps made again, by another process since we last looked.
            mailbox.close()
            mailbox = self._use_synchronised(name)
        return mailbox

    def open_at_once(self, name: str) -> Mailbox | None:
        """Like `open` without waiting for anything: None if the mailbox is not open already, if
        something changed in it, or if another thread is at work here. Then call `open`."""
        name = canonical_name(name)
        if not self._lock.acquire(blocking=False):
            return None
        try:
            mailbox = self._open.get(name)
            if mailbox is None or not mailbox.exists or mailbox.has_news():
                return None
            self._users[mailbox] = self._users.get(mailbox, 0) + 1
            return mailbox
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[Mailbox]:
        """`open` for the length of a `with` block."""
        mailbox = self.open(name)
        try:
            yield mailbox
        finally:
            mailbox.close()

    def special_mailbox(self, special_use: str) -> str | None:
        r"""The name of the mailbox with this role (`\Sent`), if there is one."""
        for entry in self.list_mailboxes():
            if entry.special_use.lower() == special_use.lower():
                return entry.name
        return None

    def try_lock_for_pop(self) -> ExclusiveLock | None:
        """The exclusive access that a POP3 session needs (RFC 1939 section 4), or None while
        another one has it, in any process."""
        return ExclusiveLock.try_acquire(self._mailboxes.root / POP_LOCK_FILE)

    @storage_failures
    def deliver(
        self,
        chunks: Iterable[bytes],
        mailbox: str = INBOX,
        flags: FlagSet = NO_FLAGS,
        internal_date: int | None = None,
    ) -> None:
        """Place a message durably; sessions that watch the mailbox learn of it at once."""
        name = canonical_name(mailbox)
        if flags == NO_FLAGS:
            deliver_to_all([self.maildir(name)], chunks, internal_date)
            self.notice(name)
            return
        with self.opened(name) as target:
            target.append(chunks, flags, internal_date)

    def maildir(self, name: str = INBOX) -> Maildir:
        """The Maildir of an existing mailbox, for delivery."""
        return Maildir(self._mailboxes.path_of(name))

    def notice(self, name: str = INBOX) -> None:
        """Something was delivered: if sessions of this process use the mailbox, they learn it."""
        with self._lock:
            mailbox = self._open.get(name)
            if mailbox is None or mailbox not in self._users:
                return
            self._users[mailbox] += 1
        try:
            # Whatever goes wrong here, the message is stored; the next look finds it.
            with contextlib.suppress(BackendError):
                mailbox.synchronise()
        finally:
            self.mailbox_closed(mailbox)

    def _use_synchronised(self, name: str) -> Mailbox:
        mailbox = self._use(name)
        try:
            mailbox.synchronise()
        except BaseException:
            # Not kept: the next one opens it anew.
            if self._given_back(mailbox):
                self.let_go(mailbox)
            raise
        return mailbox

    def _use(self, name: str) -> Mailbox:
        with self._lock:
            mailbox = self._open.get(name)
            if mailbox is None or not mailbox.exists:
                mailbox = Mailbox(
                    self, name, self._mailboxes.path_of(name), self._mailboxes.new_uid_validity
                )
                mailbox.forget_abandoned()
                self._open[name] = mailbox
            self._users[mailbox] = self._users.get(mailbox, 0) + 1
            return mailbox

    # What a mailbox needs of its account (`mailbox.MailboxOwner`).

    async def in_thread(self, work: Callable[[], None]) -> None:
        """Do long work in one of the store's threads."""
        await self._in_thread(work)

    def mailbox_closed(self, mailbox: MailboxContents) -> None:
        """Count one user of the mailbox less; after the last one it is kept for a while."""
        if not self._given_back(mailbox):
            return
        if not mailbox.exists or self._open.get(mailbox.name) is not mailbox:
            self.let_go(mailbox)
            return
        mailbox.rest()
        for leaving in self._recent.keep(mailbox):
            leaving.let_go()

    def let_go(self, mailbox: MailboxContents) -> None:
        """Close a mailbox that was kept, unless somebody uses it again."""
        with self._lock:
            if mailbox in self._users:
                return
            if self._open.get(mailbox.name) is mailbox:
                del self._open[mailbox.name]
        self._recent.forget(mailbox)
        # Closing the index may wait for the disk.
        self._in_background(mailbox.release)

    def _given_back(self, mailbox: MailboxContents) -> bool:
        """Count one user less; True if it was the last one."""
        with self._lock:
            if mailbox not in self._users:
                # The store has been closed under its users.
                return False
            self._users[mailbox] -= 1
            if self._users[mailbox]:
                return False
            del self._users[mailbox]
            return True

    def watch_outside(self, mailbox: MailboxContents, *, waiting: bool) -> None:
        """Begin or end polling a mailbox."""
        self._watch_outside(mailbox, waiting)

    def release(self) -> None:
        """Close all mailboxes; for the end of the process."""
        with self._lock:
            for mailbox in {*self._users, *self._open.values()}:
                mailbox.release()
            self._users.clear()
            self._open.clear()
