"""A store in a temporary directory, one account in it, and its INBOX opened."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import pytest

from mailfront.store.account import Account
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import Mailbox
from mailfront.store.maildir import Maildir

KILLED = 9
ALICE = "alice@example.test"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MailStore]:
    store = MailStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def account(store: MailStore) -> Account:
    return store.account(ALICE)


@pytest.fixture
def inbox(account: Account) -> Iterator[Mailbox]:
    with account.opened("INBOX") as mailbox:
        yield mailbox


@pytest.fixture
def other_process(store: MailStore) -> Iterator[Account]:
    """The same account as another process has it: nothing shared but the disk."""
    other = MailStore(store.root)
    yield other.account(ALICE)
    other.close()


@pytest.fixture
def count_scans(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Tells how often `cur/` was listed."""
    listings = 0
    real = Maildir.names_in

    def counted(maildir: Maildir, directory: Path) -> list[str]:
        nonlocal listings
        listings += directory.name == "cur"
        return real(maildir, directory)

    monkeypatch.setattr(Maildir, "names_in", counted)
    return lambda: listings


STEPS = frozenset(
    {"fsync", "fdatasync", "rename", "link", "unlink", "utime", "write", "open", "execute"}
    | {"executemany"}
)


class Killed(NamedTuple):
    """A process that was killed before its step number `step`, or ran to its end."""

    step: int
    finished: bool


def killed_before_each_step(
    work: Callable[[], None], runners_threads: Collection[threading.Thread]
) -> Iterator[Killed]:
    """Run `work` in a process of its own again and again, killed before its first, second, …
    call into the operating system or the index, until it comes to its end."""
    for step in range(1, 400):
        # A lock that another thread holds at the fork would never be released in the child. The
        # threads of the test runner hold none that `work` needs.
        running = set(threading.enumerate()).difference(runners_threads)
        assert not running, "close every store before the next step"
        child = os.fork()
        if child == 0:
            left = step

            def count(frame: FrameType, event: str, argument: object) -> None:
                nonlocal left
                if event == "c_call" and getattr(argument, "__name__", "") in STEPS:
                    left -= 1
                    if left == 0:
                        os._exit(KILLED)

            sys.setprofile(count)
            try:
                work()
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status in (0, KILLED)
        yield Killed(step, finished=status == 0)
        if status == 0:
            return
    raise AssertionError("the work has too many steps")


@pytest.fixture
def crashes() -> Callable[[Callable[[], None]], Iterator[Killed]]:
    return partial(killed_before_each_step, runners_threads=threading.enumerate())
