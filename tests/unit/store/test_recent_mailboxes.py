from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.interfaces.tasks import start_task
from mailfront.store import storage
from mailfront.store.account import Account
from mailfront.store.index import Index
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import Mailbox
from mailfront.store.recent_mailboxes import RecentMailboxes

LETTER = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def count_loads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Tells how often all messages of a mailbox were read from its index."""
    loads = 0
    real = Index.all_summaries

    def counted(index: Index) -> list[tuple[int, int, int, str, str, int]]:
        nonlocal loads
        loads += 1
        return real(index)

    monkeypatch.setattr(Index, "all_summaries", counted)
    return lambda: loads


def appended(account: Account, messages: int = 1, name: str = "INBOX") -> Mailbox:
    """The object of a mailbox with so many messages, given back already."""
    with account.opened(name) as mailbox:
        for _ in range(messages):
            mailbox.append([LETTER])
    return mailbox


def is_closed(mailbox: Mailbox) -> bool:
    try:
        mailbox.uids_and_sizes()
        mailbox.cached_values([1])
    except BackendError:
        return True
    return False


def test_the_mailbox_used_longest_ago_makes_room(account: Account) -> None:
    recent = RecentMailboxes(most_mailboxes=2)
    one, two, three = (appended(account, 0, name) for name in ("INBOX", "Sent", "Trash"))
    assert recent.keep(one) == recent.keep(two) == recent.keep(one) == []
    assert recent.keep(three) == [two]
    recent.forget(one)
    recent.forget(one)
    assert recent.keep(two) == []


def test_the_messages_of_all_that_are_kept_are_bounded(account: Account) -> None:
    recent = RecentMailboxes(most_messages=3)
    small, large = appended(account, 2), appended(account, 4, "Sent")
    assert recent.keep(small) == []
    assert recent.keep(large) == [small, large]
    assert recent.keep(small) == []


def test_a_kept_mailbox_is_opened_again_without_reading_its_messages(
    account: Account, count_loads: Callable[[], int]
) -> None:
    for _ in range(5):
        appended(account)
    assert count_loads() == 1
    with account.opened("INBOX") as inbox:
        assert len(inbox) == 5


def test_a_delivery_leaves_a_kept_mailbox_alone_until_somebody_opens_it(
    account: Account, count_scans: Callable[[], int], count_loads: Callable[[], int]
) -> None:
    kept = appended(account)
    account.deliver([LETTER])
    assert len(kept) == 1
    with account.opened("INBOX") as inbox:
        assert inbox is kept
        assert len(inbox) == 2
    assert count_loads() == 1


def test_what_other_processes_did_to_a_kept_mailbox_is_seen(
    account: Account, other_process: Account
) -> None:
    kept = appended(account, 1, "Sent")
    appended(other_process, 1, "Sent")
    with account.opened("Sent") as sent:
        assert sent is kept
        assert len(sent) == 2
    other_process.delete("Sent")
    other_process.create("Sent")
    with account.opened("Sent") as sent:
        assert len(sent) == 0
        assert sent.uid_validity > kept.uid_validity


def test_deleting_and_renaming_reach_a_kept_mailbox(account: Account) -> None:
    kept, deleted = appended(account, 1, "Sent"), appended(account, 1, "Trash")
    account.rename("Sent", "Posted")
    with account.opened("Posted") as posted:
        assert posted is kept
        assert posted.read(1) == LETTER
    account.delete("Trash")
    assert not deleted.exists


def test_a_kept_mailbox_that_cannot_be_used_is_opened_anew(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = appended(account)

    def fail(index: Index) -> object:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as broken:
        broken.setattr(Index, "counters", fail)
        assert account.open_at_once("INBOX") is None
        with pytest.raises(BackendError):
            account.open("INBOX")
    with account.opened("INBOX") as inbox:
        assert inbox is not kept
        assert inbox.read(1) == LETTER


def test_at_once_opens_only_what_is_open_and_unchanged(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the directories had last changed long before they were looked at.
    monkeypatch.setattr(storage, "CLOCK_TICK", 0)
    assert account.open_at_once("INBOX") is None
    with account.opened("INBOX") as inbox:
        same = account.open_at_once("inbox")
        assert same is inbox
        same.close()
        (inbox._storage.maildir.new / "1.a").write_bytes(LETTER)
        assert account.open_at_once("INBOX") is None


def test_closing_the_store_closes_what_was_kept(tmp_path: Path) -> None:
    store = MailStore(tmp_path)
    kept = appended(store.account("alice@example.test"))
    assert not is_closed(kept)
    store.close()
    assert is_closed(kept)


def test_a_mailbox_may_be_given_back_after_the_store_was_closed(tmp_path: Path) -> None:
    store = MailStore(tmp_path)
    mailbox = store.account("alice@example.test").open("INBOX")
    store.close()
    mailbox.close()


async def test_a_mailbox_whose_opener_was_cancelled_is_given_back(
    store: MailStore, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    appended(account)
    opening, go_on, given_back = threading.Event(), threading.Event(), threading.Event()
    real_open, real_close = Account.open, Mailbox.close

    def slow(account: Account, name: str) -> Mailbox:
        opening.set()
        go_on.wait(20)
        return real_open(account, name)

    def closed(mailbox: Mailbox) -> None:
        real_close(mailbox)
        given_back.set()

    monkeypatch.setattr(Account, "open", slow)
    monkeypatch.setattr(Account, "open_at_once", lambda account, name: None)
    monkeypatch.setattr(Mailbox, "close", closed)
    opener = start_task(store.open_mailbox(account, "INBOX"), name="opener")
    await asyncio.to_thread(opening.wait, 20)
    opener.cancel()
    await asyncio.wait({opener})
    assert opener.cancelled()
    go_on.set()
    assert await asyncio.to_thread(given_back.wait, 20)
    assert account._users == {}
