"""The mail store of a process that is killed anywhere: nothing torn, nothing acknowledged lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from mailfront.store.flags import FlagSet
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import FlagChange, Mailbox
from tests.support.crashes import Killed, killed_before_each_step

ALICE = "alice@example.test"
LETTER = b"Subject: x\r\n\r\nbody\r\n"
MESSAGE = [b"Subject: hello\r\n\r\n", b"x" * 300_000, b"\r\n"]
WHOLE = b"".join(MESSAGE)

Crashes = Callable[[Callable[[], None]], Iterator[Killed]]


@pytest.fixture
def crashes() -> Crashes:
    return partial(killed_before_each_step, runners_threads=threading.enumerate())


def flags_of(mailbox: Mailbox, uid: int) -> FlagSet:
    record = mailbox.record(uid)
    assert record is not None
    return record.flags


@contextmanager
def mailbox_of(root: Path, name: str = "INBOX") -> Iterator[Mailbox]:
    """A mailbox in a store of its own that is closed at the end, threads and all."""
    with closing(MailStore(root)) as store, store.account(ALICE).opened(name) as mailbox:
        yield mailbox


def test_an_append_killed_anywhere_is_there_whole_or_not_at_all(
    tmp_path: Path, crashes: Crashes
) -> None:
    def append() -> None:
        with mailbox_of(tmp_path) as mailbox:
            mailbox.append([LETTER], FlagSet.of(["\\Flagged"]))

    known: dict[int, int] = {}
    for killed in crashes(append):
        with mailbox_of(tmp_path) as inbox:
            found = {uid: len(inbox.read(uid)) for uid in inbox.uids()}
            assert set(found.values()) <= {len(LETTER)}, killed
            assert known.items() <= found.items()
            assert all(flags_of(inbox, uid).names() == ["\\Flagged"] for uid in found)
            assert killed.finished <= bool(found)
            known = found


def test_flags_killed_anywhere_are_the_old_or_the_new(tmp_path: Path, crashes: Crashes) -> None:
    old, new = FlagSet.of(["\\Answered"]), FlagSet.of(["\\Answered", "\\Seen"])
    with mailbox_of(tmp_path) as inbox:
        uid = inbox.append([LETTER], old)

    def change() -> None:
        with mailbox_of(tmp_path) as mailbox:
            mailbox.store_flags([uid], FlagChange.ADD, FlagSet.of(["\\Seen"]))

    for killed in crashes(change):
        with mailbox_of(tmp_path) as inbox:
            assert list(inbox.uids()) == [uid]
            assert inbox.read(uid) == LETTER
            flags = flags_of(inbox, uid)
            assert flags == new if killed.finished else flags in (old, new)
            inbox.store_flags([uid], FlagChange.REPLACE, old)


def test_a_move_killed_anywhere_leaves_the_message_in_exactly_one_mailbox(
    tmp_path: Path, crashes: Crashes
) -> None:
    with mailbox_of(tmp_path) as inbox:
        inbox.append([LETTER])

    def move() -> None:
        with closing(MailStore(tmp_path)) as store:
            account = store.account(ALICE)
            with account.opened("INBOX") as source, account.opened("Trash") as target:
                source.move_to(source.uids(), target)

    for killed in crashes(move):
        with closing(MailStore(tmp_path)) as store:
            account = store.account(ALICE)
            with account.opened("INBOX") as inbox, account.opened("Trash") as trash:
                assert len(inbox) + len(trash) == 1, killed
                for mailbox in (inbox, trash):
                    assert all(mailbox.read(uid) == LETTER for uid in mailbox.uids())
                assert killed.finished <= bool(len(trash))
                trash.move_to(trash.uids(), inbox)


def test_an_expunge_killed_anywhere_removes_what_was_named_or_less(
    tmp_path: Path, crashes: Crashes
) -> None:
    with mailbox_of(tmp_path) as inbox:
        kept, highest = inbox.append([b"kept"]), inbox.append([LETTER])

    def expunge() -> None:
        with mailbox_of(tmp_path) as mailbox:
            mailbox.expunge([uid for uid in mailbox.uids() if uid != kept])

    for killed in crashes(expunge):
        with mailbox_of(tmp_path) as inbox:
            assert inbox.read(kept) == b"kept"
            assert not killed.finished or list(inbox.uids()) == [kept]
            if len(inbox) == 1:
                uid = inbox.append([LETTER])
                assert uid > highest
                highest = uid


def test_a_process_killed_anywhere_leaves_whole_messages_or_none(
    tmp_path: Path, crashes: Crashes
) -> None:
    users = ["alice@example.test", "bob@example.test"]

    def deliver() -> None:
        MailStore(tmp_path).deliver(users, MESSAGE)

    acknowledged = 0
    for killed in crashes(deliver):
        acknowledged += killed.finished
        with closing(MailStore(tmp_path)) as store:
            for user in users:
                with store.account(user).opened("INBOX") as inbox:
                    assert all(inbox.read(uid) == WHOLE for uid in inbox.uids()), killed
                    assert len(inbox) >= acknowledged
    assert acknowledged == 1
