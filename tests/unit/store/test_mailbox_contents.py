from __future__ import annotations

import os

import pytest

from mailfront.store.account import Account
from mailfront.store.flags import FlagSet
from mailfront.store.index import Index
from mailfront.store.mailbox import FlagChange, Mailbox
from mailfront.store.mailbox_contents import portions

LETTER = b"Subject: x\r\n\r\nbody\r\n"


def test_uids_are_cut_into_portions() -> None:
    cut = list(portions(range(1201)))
    assert [len(part) for part in cut] == [500, 500, 201]
    assert [uid for part in cut for uid in part] == list(range(1201))


def test_records_come_in_the_order_asked_without_those_that_are_gone(inbox: Mailbox) -> None:
    for _ in range(3):
        inbox.append([LETTER])
    inbox.expunge([2])
    assert [record.uid for record in inbox.records([3, 2, 1])] == [3, 1]
    assert [record.uid for record in inbox.records(iter([1]))] == [1]


def test_columns_of_uids_and_sizes_are_copies(inbox: Mailbox) -> None:
    inbox.append([b"12345"])
    uids, sizes = inbox.uids_and_sizes()
    inbox.append([b"1"])
    assert (list(uids), list(sizes)) == ([1], [5])


def test_a_uid_is_synced_before_anybody_is_shown_it(
    inbox: Mailbox, other_process: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = Index.make_durable

    def record(index: Index) -> None:
        real(index)
        synced.append(len(inbox))

    watch = inbox.watch()
    with other_process.opened("INBOX") as other:
        other.append([LETTER])
        monkeypatch.setattr(Index, "make_durable", record)
        inbox.synchronise()
    assert synced == [0]
    assert watch.take().arrived == [1]


def test_flag_changes_wait_for_no_disk(inbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    uid = inbox.append([LETTER])

    def forbidden(*_: object) -> None:
        raise AssertionError("waited for the disk")

    monkeypatch.setattr(os, "fsync", forbidden)
    monkeypatch.setattr(os, "fdatasync", forbidden)
    inbox.store_flags([uid], FlagChange.ADD, FlagSet.of(["\\Seen"]))
    inbox.synchronise()


def test_a_mailbox_that_slept_through_forgotten_expunges_still_learns_them(
    inbox: Mailbox, other_process: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(6):
        inbox.append([LETTER])
    watch = inbox.watch()
    monkeypatch.setattr("mailfront.store.index.MOST_EXPUNGED", 1)
    with other_process.opened("INBOX") as other:
        for uid in (1, 2, 3):
            other.expunge([uid])
    inbox.synchronise()
    assert watch.take().expunged == [1, 2, 3]
    assert inbox.expunged_since(1) is None


def test_a_mailbox_removed_by_another_process_is_noticed(
    account: Account, other_process: Account
) -> None:
    account.create("Work")
    with account.opened("Work") as mailbox:
        other_process.delete("Work")
        mailbox.synchronise()
        assert not mailbox.exists
        other_process.create("Work")
        with account.opened("Work") as again:
            assert again is not mailbox
            assert again.uid_validity > mailbox.uid_validity
