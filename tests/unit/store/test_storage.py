from __future__ import annotations

import time

import pytest

from mailfront.store import scan as scan_module
from mailfront.store.flags import NO_FLAGS, FlagSet
from mailfront.store.index import Index
from mailfront.store.mailbox import Mailbox
from mailfront.store.maildir import SpooledMessage
from mailfront.store.message_record import FlagChange
from mailfront.store.storage import Append, MailboxStorage


@pytest.fixture
def storage(inbox: Mailbox) -> MailboxStorage:
    return inbox._storage


def spooled(storage: MailboxStorage, data: bytes = b"x\r\n") -> SpooledMessage:
    return storage.maildir.spool([data])


def append(storage: MailboxStorage, flags: FlagSet = NO_FLAGS) -> int:
    return storage.append([Append(spooled(storage), flags, None)])[0]


def files(storage: MailboxStorage) -> list[str]:
    return storage.maildir.names_in(storage.maildir.cur)


def test_a_failed_commit_leaves_no_file(
    storage: MailboxStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[int]:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Index, "insert", fail)
    message = spooled(storage)
    with pytest.raises(OSError, match="No space"):
        storage.append([Append(message, NO_FLAGS, None)])
    assert files(storage) == []


def test_flag_letters_stand_in_the_file_name_and_keywords_do_not(storage: MailboxStorage) -> None:
    append(storage, FlagSet.of(["\\Seen", "\\Flagged", "$forwarded", "$Junk"]))
    assert files(storage)[0].endswith(":2,FPS")
    assert storage.index.keywords() == ("$Junk",)


def test_a_change_after_an_error_is_followed_by_a_scan(
    inbox: Mailbox, storage: MailboxStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = append(storage)
    with monkeypatch.context() as patch:
        patch.setattr(Index, "update_flags", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            storage.store_flags([uid], FlagChange.ADD, FlagSet.of(["\\Seen"]), None)
    assert files(storage)[0].endswith(":2,S")
    assert inbox.has_news()
    storage.scan()
    assert storage.index.file_rows([uid])[0].letters == "S"


def test_messages_not_where_the_index_says_are_reported(storage: MailboxStorage) -> None:
    one, two = append(storage), append(storage)
    for row in storage.index.file_rows([one]):
        storage.maildir.file(row.key, row.letters).unlink()
    outcome = storage.store_flags([one, two], FlagChange.ADD, FlagSet.of(["\\Seen"]), None)
    assert outcome == ([two], [], [one])
    assert storage.expunge([one, two]) == ([two], [one])


def test_an_empty_new_directory_is_listed_no_more_once_it_is_old(
    inbox: Mailbox, storage: MailboxStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.scan()
    assert inbox.has_news()
    later = time.time_ns() + 10 * scan_module.CLOCK_TICK
    monkeypatch.setattr(time, "time_ns", lambda: later)
    inbox.synchronise()
    assert not inbox.has_news()


def test_the_mailbox_is_absent_when_its_index_is(storage: MailboxStorage) -> None:
    assert storage.is_present()
    (storage.maildir.path / "mailfront-index.sqlite").unlink()
    assert not storage.is_present()
