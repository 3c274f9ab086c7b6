"""The mail of all users under one directory, and the threads in which long work is done."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from mailfront.store.account import Account
from mailfront.store.delivery import deliver_to_all
from mailfront.store.failure import storage_failures
from mailfront.store.folder_name import account_directory
from mailfront.store.mailbox_contents import MailboxContents
from mailfront.store.polling import ChangePoller

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# Work on more messages than this is done in a thread; a thread costs about 0.1 ms, a message
# about 0.05 ms.
INLINE_MESSAGES = 20
# Most of the time a thread waits for the disk, so there are more of them than cores.
THREADS = 16
MAILDIR = "Maildir"


class MailStore:
    """Takes the directory; `<root>/<domain>/<local part>/Maildir` is made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")
        self._poller = ChangePoller()
        self._accounts: WeakValueDictionary[str, Account] = WeakValueDictionary()
        self._lock = threading.Lock()
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
                    user, root, self.run, self._run_in_background, self._watch_outside
                )
                self._accounts[user] = account
            return account

    @storage_failures
    def deliver(self, users: Sequence[str], chunks: Iterable[bytes]) -> None:
        """Deliver one message to the INBOX of every user: all or none, durable on return."""
        accounts = [self.account(user) for user in dict.fromkeys(users)]
        deliver_to_all([account.maildir() for account in accounts], chunks)
        for account in accounts:
            account.notice()

    async def run(
        self,
        function: Callable[Parameters, Result],
        /,
        *arguments: Parameters.args,
        **named: Parameters.kwargs,
    ) -> Result:
        """Call a blocking function in one of the store's threads."""
        work = functools.partial(function, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

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
