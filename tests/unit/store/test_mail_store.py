from __future__ import annotations

import threading
from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.store.mail_store import INLINE_MESSAGES, MailStore

ALICE, BOB = "alice@example.test", "bob@example.test"


def test_an_account_is_made_when_first_needed_and_shared(store: MailStore) -> None:
    assert not store.root.exists()
    account = store.account(ALICE)
    assert account.user == ALICE
    assert store.account(ALICE) is account
    assert (store.root / "example.test" / "alice" / "Maildir" / "cur").is_dir()


def test_what_is_no_address_has_no_account(store: MailStore) -> None:
    with pytest.raises(BackendError) as refusal:
        store.account("../../etc/passwd")
    assert not refusal.value.temporary


def test_everything_is_private(store: MailStore) -> None:
    store.deliver([ALICE], [b"x"])
    for path in store.root.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_one_message_goes_to_several_users_once_each(store: MailStore) -> None:
    store.deliver([ALICE, BOB, ALICE], [b"Subject: x\r\n", b"\r\n"])
    for user in (ALICE, BOB):
        with store.account(user).opened("INBOX") as inbox:
            assert [inbox.read(uid) for uid in inbox.uids()] == [b"Subject: x\r\n\r\n"]


def test_a_store_that_cannot_be_written_fails_for_a_while(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the directory should be")
    store = MailStore(tmp_path / "store")
    with pytest.raises(BackendError) as failure:
        store.account(ALICE)
    assert failure.value.temporary
    store.close()


async def test_long_work_is_done_in_a_thread_and_short_work_inline(store: MailStore) -> None:
    here = threading.get_ident()
    assert await store.perform(INLINE_MESSAGES, threading.get_ident) == here
    assert await store.perform(INLINE_MESSAGES + 1, threading.get_ident) != here
    assert await store.run(threading.get_ident) != here
