"""A store in a temporary directory, one account in it, and its INBOX opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mailfront.store.account import Account
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import Mailbox
from mailfront.store.maildir import Maildir

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
