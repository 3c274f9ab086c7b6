"""The mail of all users under one directory, and the threads in which long work is done."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from mailfront.store.account import Account
from mailfront.store.delivery import deliver_to_all
from mailfront.store.failure import storage_failures
from mailfront.store.folder_name import account_directory
from mailfront.store.mailbox import Mailbox
from mailfront.store.mailbox_contents import MailboxContents
from mailfront.store.maildir import Maildir, is_maildir
from mailfront.store.polling import ChangePoller
from mailfront.store.recent_mailboxes import RecentMailboxes
from mailfront.store.worker_threads import WorkerThreads

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Work on more messages than this is done in a thread; a thread costs about 0.1 ms, a message
# about 0.05 ms.
INLINE_MESSAGES = 20
# Most of the time a thread waits for the disk, so there are more of them than cores.
THREADS = 16
# So many accounts, a few KiB each, wait for the next login.
RECENT_ACCOUNTS = 500
MAILDIR = "Maildir"


class MailStore:
    """Takes the directory; `<root>/<domain>/<local part>/Maildir` is made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._workers = WorkerThreads(THREADS, "store-worker")
        self._inbox_of = functools.lru_cache(RECENT_ACCOUNTS)(
            lambda user: Maildir(root / account_directory(user) / MAILDIR)
        )
        self._poller = ChangePoller()
        self._accounts: WeakValueDictionary[str, Account] = WeakValueDictionary()
        self._recent_accounts: deque[Account] = deque(maxlen=RECENT_ACCOUNTS)
        self._recent = RecentMailboxes()
        self._lock = threading.RLock()
        self._closed = False

    @storage_failures
    def account(self, user: str) -> Account:
        """The account of a canonical address; made on disk if it is new (blocks).

        Raises `BackendError` if `user` cannot be a directory name.
        """
        with self._lock:
            account = self._accounts.get(user)
            if account is None:
                root = self.root / account_directory(user) / MAILDIR
                account = Account(
                    user, root, self.run, self._run_in_background, self._watch_outside, self._recent
                )
                self._accounts[user] = account
                self._recent_accounts.append(account)
            else:
                account.prepare()
            return account

    async def open_account(self, user: str) -> Account:
        """`account`, in a thread only if it has to be made on disk."""
        account = self._account_at_once(user)
        return account if account is not None else await self.run(self.account, user)

    async def open_mailbox(self, account: Account, name: str) -> Mailbox:
        """`Account.open`, in a thread unless the mailbox is open already and nothing changed. If
        the caller is cancelled meanwhile, the mailbox is given back."""
        mailbox = account.open_at_once(name)
        if mailbox is None:
            mailbox = await self.obtain(Mailbox.close, account.open, name)
        return mailbox

    @storage_failures
    def _account_at_once(self, user: str) -> Account | None:
        # Another thread may hold the lock while it makes an account on disk.
        if not self._lock.acquire(blocking=False):
            return None
        try:
            known = self._accounts.get(user)
            if known is not None:
                return known if known.is_present() else None
            if is_maildir(self.root / account_directory(user) / MAILDIR):
                return self.account(user)
            return None
        finally:
            self._lock.release()

    @storage_failures
    def deliver(self, users: Sequence[str], chunks: Iterable[bytes]) -> None:
        """Deliver one message to the INBOX of every user: all or none, durable on return."""
        once = dict.fromkeys(users)
        deliver_to_all([self._inbox(user) for user in once], chunks)
        for user in once:
            # Without an account in memory nobody is there to be told.
            account = self._accounts.get(user)
            if account is not None:
                account.notice()

    def _inbox(self, user: str) -> Maildir:
        """Where mail for a user goes; an account is made only if there is none on disk."""
        inbox = self._inbox_of(user)
        if not is_maildir(inbox.path):
            self.account(user)
        return inbox

    async def run(
        self,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Call a blocking function in one of the store's threads."""
        work = functools.partial(function, *arguments, **named)
        return await self._workers.submit(work)

    async def obtain(
        self,
        give_back: Callable[[Result], None],
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """`run` for what has to be given back: when the caller is cancelled while a thread still
        works for it, what comes out in the end goes to `give_back` (in that thread)."""
        work = self._threads.submit(function, *arguments, **named)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            work.add_done_callback(functools.partial(_give_back, give_back))
            raise

    async def perform(
        self,
        messages: int,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Call a function that touches so many messages: inline if they are few, else `run`."""
        if messages <= INLINE_MESSAGES:
            return function(*arguments, **named)
        return await self.run(function, *arguments, **named)

    def close(self) -> None:
        """Stop the threads and close every mailbox; from the event loop, or without one."""
        self._poller.stop()
        self._closed = True
        self._workers.close()
        self._threads.shutdown(wait=True, cancel_futures=False)
        for account in list(self._accounts.values()):
            account.release()

    def _run_in_background(self, work: Callable[[], None]) -> None:
        if self._closed:
            work()
        else:
            self._threads.submit(work)

    def _watch_outside(self, mailbox: MailboxContents, waiting: bool) -> None:
        if waiting:
            self._poller.add(mailbox)
        else:
            self._poller.remove(mailbox)


def _give_back(give_back: Callable[[Result], None], work: Future[Result]) -> None:
    if not work.cancelled() and work.exception() is None:
        give_back(work.result())
