from __future__ import annotations

import threading

import pytest

from mailfront.errors import BackendError, MailboxError, MessageGoneError
from mailfront.store import index as index_module
from mailfront.store import mailbox as mailbox_module
from mailfront.store.account import Account
from mailfront.store.flags import DELETED, NO_FLAGS, SEEN, FlagSet
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import Append, CachedValues, FlagChange, Mailbox
from mailfront.store.maildir import SpooledMessage

ALICE = "alice@example.test"
LETTER = b"Subject: x\r\n\r\nbody\r\n"
AWKWARD = [b"", b"no end", b"bare\nlf\n", b"\r", b"\0\r\n", b"From x\r\n..\r\n", b"\xff\xfe\r\n"]


def flags_of(mailbox: Mailbox, uid: int) -> FlagSet:
    record = mailbox.record(uid)
    assert record is not None
    return record.flags


@pytest.mark.parametrize("message", AWKWARD)
def test_what_was_appended_is_served_byte_for_byte(inbox: Mailbox, message: bytes) -> None:
    uid = inbox.append([message])
    inbox.synchronise()
    assert inbox.read(uid) == message
    record = inbox.record(uid)
    assert record is not None
    assert record.size == len(message)


def test_flags_keywords_date_and_uid_survive_a_restart(store: MailStore, inbox: Mailbox) -> None:
    flags = FlagSet.of(["\\Seen", "\\Draft", "$Junk", "$Forwarded"])
    uid = inbox.append([LETTER], flags, 123_456)
    validity = inbox.uid_validity
    again = MailStore(store.root)
    with again.account(ALICE).opened("INBOX") as mailbox:
        record = mailbox.record(uid)
        assert record is not None
        assert (record.flags, record.internal_date) == (flags, 123_456)
        assert mailbox.uid_validity == validity
        assert mailbox.keywords == ("$Junk",)
    again.close()


def test_changes_reach_every_watch_of_the_process_at_once(inbox: Mailbox) -> None:
    first, second = inbox.watch(), inbox.watch()
    uid = inbox.append([LETTER])
    for watch in (first, second):
        assert watch.take().arrived == [uid]
    inbox.unwatch(second)
    inbox.store_flags([uid], FlagChange.ADD, FlagSet.of(["\\Seen"]))
    inbox.expunge([uid])
    assert first.take().expunged == [uid]
    assert not second.take()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (FlagChange.ADD, ["\\Flagged", "\\Seen", "one", "two"]),
        (FlagChange.REMOVE, ["\\Flagged"]),
        (FlagChange.REPLACE, ["\\Seen", "one", "two"]),
    ],
)
def test_flags_are_added_removed_and_replaced(
    inbox: Mailbox, change: FlagChange, expected: list[str]
) -> None:
    uid = inbox.append([LETTER], FlagSet.of(["\\Flagged", "\\Seen", "one"]))
    inbox.store_flags([uid], change, FlagSet.of(["\\Seen", "ONE", "two"]))
    assert flags_of(inbox, uid).names() == expected


def test_a_change_that_changes_nothing_is_not_told(inbox: Mailbox) -> None:
    uid = inbox.append([LETTER], FlagSet.of(["\\Seen"]))
    before = inbox.highest_modseq
    watch = inbox.watch()
    outcome = inbox.store_flags([uid, 99], FlagChange.ADD, FlagSet.of(["\\Seen"]))
    assert outcome == ([], [])
    assert not watch.pending
    assert inbox.highest_modseq == before


def test_a_conditional_change_is_refused_after_a_newer_one(inbox: Mailbox) -> None:
    one, two = inbox.append([LETTER]), inbox.append([LETTER])
    seen = inbox.highest_modseq
    inbox.store_flags([two], FlagChange.ADD, FlagSet.of(["\\Flagged"]))
    outcome = inbox.store_flags(
        [one, two], FlagChange.ADD, FlagSet.of(["\\Seen"]), unchanged_since=seen
    )
    assert outcome == ([one], [two])
    assert inbox.uids_changed_since(seen) == [one, two]


def test_counts_follow_the_flags(inbox: Mailbox) -> None:
    uids = [inbox.append([LETTER]) for _ in range(3)]
    inbox.store_flags(uids[:1], FlagChange.ADD, FlagSet.of(["\\Seen"]))
    inbox.store_flags(uids[1:2], FlagChange.ADD, FlagSet.of(["\\Deleted"]))
    status = inbox.status()
    assert (status.messages, status.unseen, status.deleted) == (3, 2, 1)
    assert status.size == 3 * len(LETTER)
    assert inbox.uids_with(DELETED) == uids[1:2]
    assert inbox.uids_without(SEEN) == uids[1:]


def test_an_expunged_message_is_gone_and_its_uid_never_comes_back(inbox: Mailbox) -> None:
    uid = inbox.append([LETTER])
    before = inbox.highest_modseq
    assert inbox.expunge([uid, 99]) == [uid]
    assert inbox.expunge([uid]) == []
    with pytest.raises(MessageGoneError):
        inbox.read(uid)
    assert inbox.record(uid) is None
    assert inbox.expunged_since(before) == [uid]
    assert inbox.append([LETTER]) == uid + 1


def test_an_open_message_stays_readable_while_it_is_expunged(inbox: Mailbox) -> None:
    uid = inbox.append([LETTER])
    with inbox.open_message(uid) as file:
        inbox.expunge([uid])
        assert file.read() == LETTER


def test_recent_messages_are_claimed_by_one_session_only(
    inbox: Mailbox, other_process: Account
) -> None:
    inbox.append([LETTER])
    inbox.append([LETTER])
    assert inbox.status().recent == 2
    assert list(inbox.claim_recent()) == [1, 2]
    assert list(inbox.claim_recent()) == []
    with other_process.opened("INBOX") as mailbox:
        assert list(mailbox.claim_recent()) == []


def test_appending_several_is_all_or_none(inbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def spooled() -> SpooledMessage:
        message = inbox.spool()
        message.write(LETTER)
        return message

    assert inbox.append_files([Append(spooled(), NO_FLAGS, None) for _ in range(2)]) == [1, 2]
    monkeypatch.setattr(index_module, "MOST_KEYWORDS", 0)
    with pytest.raises(MailboxError) as refusal:
        inbox.append_files(
            [Append(spooled(), NO_FLAGS, None), Append(spooled(), FlagSet.of(["label"]), None)]
        )
    assert refusal.value.code == "LIMIT"
    inbox.synchronise()
    assert len(inbox) == 2
    assert list(inbox._storage.maildir.tmp.iterdir()) == []


def test_an_append_that_the_disk_refuses_at_last_is_not_there(
    inbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise OSError(5, "Input/output error")

    watch = inbox.watch()
    monkeypatch.setattr(mailbox_module, "sync_directory", refuse)
    with pytest.raises(BackendError) as failure:
        inbox.append([LETTER])
    assert failure.value.temporary
    assert len(inbox) == 0
    assert not watch.take()


def test_cached_values_are_kept(inbox: Mailbox) -> None:
    uid = inbox.append([LETTER])
    inbox.set_cached_values({uid: CachedValues(b"ENVELOPE", b"STRUCTURE", b"HEADER")})
    assert inbox.cached_values([uid, 99]) == {
        uid: CachedValues(b"ENVELOPE", b"STRUCTURE", b"HEADER")
    }


def test_another_process_changes_the_same_mailbox(inbox: Mailbox, other_process: Account) -> None:
    uid = inbox.append([LETTER])
    watch = inbox.watch()
    with other_process.opened("INBOX") as other:
        second = other.append([LETTER], FlagSet.of(["$Junk"]))
        other.store_flags([uid], FlagChange.ADD, FlagSet.of(["label"]))
        assert inbox.has_news()
        inbox.synchronise()
        assert watch.take() == ([], [second], [uid])
        assert flags_of(inbox, second) == FlagSet.of(["$Junk"])
        other.expunge([uid])
        with pytest.raises(MessageGoneError):
            inbox.read(uid)
        inbox.synchronise()
        assert watch.take().expunged == [uid]


def test_two_sessions_that_write_at_once_lose_nothing(
    store: MailStore, inbox: Mailbox, other_process: Account
) -> None:
    failures: list[BaseException] = []

    def write(mailbox: Mailbox) -> None:
        try:
            for _ in range(25):
                uid = mailbox.append([LETTER])
                mailbox.store_flags([uid], FlagChange.ADD, FlagSet.of(["\\Seen"]))
        except BaseException as failure:
            failures.append(failure)

    with other_process.opened("INBOX") as other:
        threads = [threading.Thread(target=write, args=(m,)) for m in (inbox, other, inbox)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert failures == []
        for mailbox in (inbox, other):
            mailbox.synchronise()
            assert list(mailbox.uids()) == list(range(1, 76))
            assert mailbox.status().unseen == 0


def test_a_file_that_another_program_renames_under_us_is_found_again(inbox: Mailbox) -> None:
    uid = inbox.append([LETTER])
    maildir = inbox._storage.maildir

    def rename_outside(letters: str) -> None:
        (name,) = maildir.names_in(maildir.cur)
        (maildir.cur / name).rename(maildir.cur / (name.partition(":2,")[0] + ":2," + letters))

    rename_outside("F")
    assert inbox.read(uid) == LETTER
    rename_outside("R")
    outcome = inbox.store_flags([uid], FlagChange.ADD, FlagSet.of(["\\Seen"]))
    assert outcome.changed == [uid]
    assert flags_of(inbox, uid).names() == ["\\Answered", "\\Seen"]
    rename_outside("D")
    assert inbox.expunge([uid]) == [uid]
    assert maildir.names_in(maildir.cur) == []


def test_after_deletion_nothing_works_and_nothing_breaks(account: Account) -> None:
    account.create("Work")
    with account.opened("Work") as mailbox:
        uid = mailbox.append([LETTER])
        account.delete("Work")
        assert not mailbox.exists
        for work in (
            lambda: mailbox.append([LETTER]),
            lambda: mailbox.store_flags([uid], FlagChange.ADD, NO_FLAGS),
            lambda: mailbox.expunge([uid]),
        ):
            with pytest.raises(MailboxError) as refusal:
                work()
            assert refusal.value.code == "NONEXISTENT"
        mailbox.synchronise()
        with pytest.raises(BackendError):
            mailbox.read(uid)


async def test_refresh_takes_in_what_came_from_outside(store: MailStore) -> None:
    with store.account(ALICE).opened("INBOX") as mailbox:
        (mailbox._storage.maildir.new / "1.a").write_bytes(LETTER)
        await mailbox.refresh()
        assert len(mailbox) == 1
