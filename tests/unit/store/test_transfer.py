from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mailfront.errors import BackendError
from mailfront.store.account import Account
from mailfront.store.flags import FlagSet
from mailfront.store.index import Index
from mailfront.store.mailbox import CachedValues, Mailbox

LETTER = b"Subject: x\r\n\r\nbody\r\n"


@pytest.fixture
def trash(account: Account) -> Iterator[Mailbox]:
    with account.opened("Trash") as mailbox:
        yield mailbox


def names(mailbox: Mailbox) -> list[str]:
    maildir = mailbox._storage.maildir
    return maildir.names_in(maildir.cur) + maildir.names_in(maildir.tmp)


@pytest.mark.parametrize("transfer", ["copy_to", "move_to"])
def test_flags_keywords_date_bytes_and_cached_values_come_along(
    inbox: Mailbox, trash: Mailbox, transfer: str
) -> None:
    flags = FlagSet.of(["\\Seen", "$Junk", "$Forwarded"])
    uid = inbox.append([b"bare\n"], flags, 777)
    inbox.set_cached_values({uid: CachedValues(b"E", b"B", None)})
    ((_, new_uid),) = getattr(inbox, transfer)([uid], trash)
    record = trash.record(new_uid)
    assert record is not None
    assert (record.flags, record.internal_date, record.size) == (flags, 777, 5)
    assert trash.read(new_uid) == b"bare\n"
    assert trash.cached_values([new_uid]) == {new_uid: CachedValues(b"E", b"B", None)}
    assert trash.keywords == ("$Junk",)


def test_a_converted_message_is_still_converted_after_a_copy(
    inbox: Mailbox, trash: Mailbox
) -> None:
    (inbox._storage.maildir.new / "1.a").write_bytes(b"x\ny\n")
    inbox.synchronise()
    ((_, uid),) = inbox.copy_to([1], trash)
    assert trash.read(uid) == b"x\r\ny\r\n"
    record = trash.record(uid)
    assert record is not None
    assert record.size == 6


def test_a_copy_shares_the_bytes_and_a_move_is_told_on_both_sides(
    inbox: Mailbox, trash: Mailbox
) -> None:
    uids = [inbox.append([LETTER]) for _ in range(3)]
    here, there = inbox.watch(), trash.watch()
    assert inbox.copy_to([3, 1, 99], trash) == [(1, 1), (3, 2)]
    assert not here.take()
    assert there.take().arrived == [1, 2]
    assert inbox.move_to(uids, trash) == [(1, 3), (2, 4), (3, 5)]
    assert here.take().expunged == uids
    assert there.take().arrived == [3, 4, 5]
    assert names(inbox) == []
    inodes = {(trash._storage.maildir.cur / name).stat().st_ino for name in names(trash)}
    assert len(inodes) == 3


def test_within_one_mailbox_copy_and_move_make_new_messages(inbox: Mailbox) -> None:
    uid = inbox.append([LETTER])
    assert inbox.copy_to([uid], inbox) == [(1, 2)]
    assert inbox.move_to([uid], inbox) == [(1, 3)]
    assert list(inbox.uids()) == [2, 3]


@pytest.mark.parametrize("transfer", ["copy_to", "move_to"])
def test_when_the_index_refuses_everything_stays_where_it_was(
    inbox: Mailbox, trash: Mailbox, monkeypatch: pytest.MonkeyPatch, transfer: str
) -> None:
    uids = [inbox.append([LETTER]) for _ in range(3)]

    def refuse(*_: object) -> list[int]:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Index, "insert", refuse)
        with pytest.raises(BackendError) as failure:
            getattr(inbox, transfer)(uids, trash)
    assert failure.value.temporary
    for mailbox in (inbox, trash):
        mailbox.synchronise()
    assert list(inbox.uids()) == uids
    assert all(inbox.read(uid) == LETTER for uid in uids)
    assert names(trash) == []


@pytest.mark.parametrize("transfer", ["copy_to", "move_to"])
def test_a_file_that_another_program_renamed_is_transferred_too(
    inbox: Mailbox, trash: Mailbox, transfer: str
) -> None:
    uids = [inbox.append([LETTER]) for _ in range(2)]
    first = sorted(names(inbox))[0]
    (inbox._storage.maildir.cur / first).rename(inbox._storage.maildir.cur / f"{first}F")
    pairs = getattr(inbox, transfer)(uids, trash)
    assert [uid for uid, _ in pairs] == uids
    assert len(trash) == 2


def test_moves_in_both_directions_at_once_do_not_block_each_other(
    inbox: Mailbox, trash: Mailbox
) -> None:
    for mailbox in (inbox, trash):
        for _ in range(10):
            mailbox.append([LETTER])

    def shuffle(source: Mailbox, target: Mailbox) -> None:
        for _ in range(10):
            source.move_to(source.uids()[:2], target)

    threads = [
        threading.Thread(target=shuffle, args=pair) for pair in ((inbox, trash), (trash, inbox))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert len(inbox) + len(trash) == 20
