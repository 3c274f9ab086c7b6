"""A selected mailbox as one session sees it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.backend.embedded.imap.view import View
from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.sequence_set import SequenceSet, sequence_set
from mailfront.store.flags import FLAGGED, FlagSet
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import FlagChange, Mailbox


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    store = MailStore(tmp_path)
    opened = store.account("alice@example.test").open("INBOX")
    for _ in range(5):
        opened.append([b"a: b\r\n\r\n"])
    yield opened
    store.close()


@pytest.fixture
def view(mailbox: Mailbox) -> View:
    return View(mailbox, read_only=False)


def messages(text: bytes) -> SequenceSet:
    return sequence_set(Cursor(text))


def test_numbers_and_uids(view: View, mailbox: Mailbox) -> None:
    mailbox.expunge([2, 3])
    assert list(view.updates(expunges=True)) == [b"* 3 EXPUNGE\r\n", b"* 2 EXPUNGE\r\n"]
    assert view.by_numbers(messages(b"2:*")) == [4, 5]
    assert view.by_uids(messages(b"2:4,9")) == [4]
    assert view.by_present_numbers(messages(b"3:7")) == [5]
    assert view.number(4) == 2
    assert view.number(2) is None
    with pytest.raises(ImapSyntaxError):
        view.by_numbers(messages(b"4"))


def test_numbers_stay_until_an_expunge_may_be_told(view: View, mailbox: Mailbox) -> None:
    mailbox.expunge([1])
    assert list(view.updates(expunges=False)) == []
    assert view.number(5) == 5
    assert list(view.updates(expunges=True)) == [b"* 1 EXPUNGE\r\n"]
    assert view.number(5) == 4


def test_what_came_and_went_unseen_is_never_told(view: View, mailbox: Mailbox) -> None:
    mailbox.append([b"a: b\r\n\r\n"])
    view.collect()
    mailbox.expunge([6])
    assert list(view.updates(expunges=True)) == []


def test_arrivals_come_with_the_count_of_recent_messages(view: View, mailbox: Mailbox) -> None:
    mailbox.append([b"a: b\r\n\r\n"])
    assert list(view.updates(expunges=False)) == [b"* 6 EXISTS\r\n* 6 RECENT\r\n"]


def test_the_first_session_claims_recent_messages(view: View, mailbox: Mailbox) -> None:
    second = View(mailbox, read_only=False)
    assert view.recent == {1, 2, 3, 4, 5}
    assert second.recent == set()
    assert view.flags(FlagSet(FLAGGED), 1) == b"FLAGS (\\Flagged \\Recent)"
    assert second.flags(FlagSet(FLAGGED), 1) == b"FLAGS (\\Flagged)"


def test_flags_that_were_told_are_not_told_again(view: View, mailbox: Mailbox) -> None:
    mailbox.store_flags([1, 2], FlagChange.ADD, FlagSet(FLAGGED))
    view.collect()
    view.told([1])
    assert list(view.updates(expunges=True)) == [
        b"* 2 FETCH (UID 2 FLAGS (\\Flagged \\Recent))\r\n"
    ]


def test_new_keywords_are_announced_before_the_flags(view: View, mailbox: Mailbox) -> None:
    mailbox.store_flags([1], FlagChange.ADD, FlagSet(0, frozenset({"$Work"})))
    lines = list(view.updates(expunges=True))
    assert lines[0].startswith(b"* FLAGS (")
    assert b"$Work" in lines[0]
    assert lines[1].startswith(b"* OK [PERMANENTFLAGS (")
    assert lines[2].startswith(b"* 1 FETCH ")
    assert list(view.new_keywords()) == []
