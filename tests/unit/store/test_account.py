from __future__ import annotations

import pytest

from mailfront.errors import MailboxError
from mailfront.store.account import Account
from mailfront.store.flags import FlagSet
from mailfront.store.mailbox import Mailbox

LETTER = b"Subject: x\r\n\r\nbody\r\n"


def names(account: Account) -> list[str]:
    return [entry.name for entry in account.list_mailboxes()]


def test_a_new_account_has_the_special_mailboxes_subscribed(account: Account) -> None:
    entries = account.list_mailboxes()
    assert [(entry.name, entry.special_use) for entry in entries] == [
        ("INBOX", ""),
        ("Archive", "\\Archive"),
        ("Drafts", "\\Drafts"),
        ("Junk", "\\Junk"),
        ("Sent", "\\Sent"),
        ("Trash", "\\Trash"),
    ]
    assert all(entry.subscribed and entry.selectable for entry in entries)
    assert account.special_mailbox("\\sent") == "Sent"
    assert account.special_mailbox("\\All") is None


def test_a_missing_parent_is_listed_but_cannot_be_opened(account: Account) -> None:
    account.create("a/b/c/")
    listed = {entry.name: entry for entry in account.list_mailboxes()}
    assert [(listed[n].selectable, listed[n].has_children) for n in ("a", "a/b", "a/b/c")] == [
        (False, True),
        (False, True),
        (True, False),
    ]
    for work in (account.open, account.delete):
        with pytest.raises(MailboxError) as refusal:
            work("a/b")
        assert refusal.value.code == "NONEXISTENT"


def test_a_mailbox_object_is_shared_by_its_users(account: Account) -> None:
    first, second = account.open("INBOX"), account.open("inbox")
    assert first is second
    first.close()
    second.append([LETTER])
    second.close()
    with account.opened("INBOX") as third:
        assert len(third) == 1


def test_delivered_mail_is_seen_at_once_by_those_who_watch(
    account: Account, inbox: Mailbox
) -> None:
    watch = inbox.watch()
    account.deliver([LETTER])
    assert watch.take().arrived == [1]
    assert inbox.read(1) == LETTER


def test_delivery_with_flags_and_date_into_another_mailbox(account: Account) -> None:
    account.deliver([LETTER], "Sent", FlagSet.of(["\\Seen"]), 4711)
    with account.opened("Sent") as sent:
        record = sent.record(1)
        assert record is not None
        assert (record.flags.names(), record.internal_date) == (["\\Seen"], 4711)
    with pytest.raises(MailboxError):
        account.deliver([LETTER], "None such")


def test_renaming_an_open_mailbox_takes_its_sessions_along(account: Account) -> None:
    account.create("Work/2024")
    with account.opened("Work/2024") as mailbox:
        validity, uid = mailbox.uid_validity, mailbox.append([LETTER])
        account.rename("Work", "Old")
        assert mailbox.name == "Old/2024"
        assert mailbox.read(uid) == LETTER
        mailbox.append([LETTER])
        mailbox.synchronise()
        with account.opened("Old/2024") as again:
            assert again is mailbox
            assert (again.uid_validity, len(again)) == (validity, 2)


def test_renaming_inbox_moves_its_messages_and_leaves_it_empty(
    account: Account, inbox: Mailbox
) -> None:
    inbox.append([LETTER], FlagSet.of(["\\Flagged"]))
    account.create("INBOX/child")
    account.rename("INBOX", "Old")
    assert len(inbox) == 0
    with account.opened("Old") as old:
        assert len(old) == 1
    assert {"INBOX", "INBOX/child", "Old"} <= set(names(account))


def test_a_mailbox_made_again_has_a_larger_uid_validity(account: Account) -> None:
    account.create("Work")
    with account.opened("Work") as mailbox:
        before = mailbox.uid_validity
    account.delete("Work")
    account.create("Work")
    with account.opened("Work") as mailbox:
        assert mailbox.uid_validity > before


def test_subscriptions_are_independent_of_mailboxes(account: Account) -> None:
    account.subscribe("Not/There")
    account.unsubscribe("Trash")
    assert "Not/There" in account.subscriptions()
    assert "Trash" not in account.subscriptions()
    assert "Not/There" not in names(account)


def test_a_role_is_given_at_creation(account: Account) -> None:
    account.create("Everything", "\\All")
    assert account.special_mailbox("\\All") == "Everything"


def test_one_pop_session_at_a_time_in_any_process(account: Account, other_process: Account) -> None:
    lock = account.try_lock_for_pop()
    assert lock is not None
    assert account.try_lock_for_pop() is None
    assert other_process.try_lock_for_pop() is None
    lock.release()
    again = other_process.try_lock_for_pop()
    assert again is not None
    again.release()
