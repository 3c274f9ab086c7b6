"""SELECT, EXAMINE, CLOSE, UNSELECT."""

from __future__ import annotations

import pytest

from mailfront.store import scan, storage
from mailfront.store.index import Index
from mailfront.store.mail_store import MailStore
from mailfront.store.maildir import Maildir
from tests.support.imap_session import ImapSession


async def test_select_tells_what_a_client_needs(inbox: ImapSession) -> None:
    answer = await inbox.ask(b"SELECT inbox")
    assert answer.tagged == b"OK [READ-WRITE] Select completed"
    assert answer.untagged[:3] == [
        b"FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)",
        b"OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags that stay",
        b"3 EXISTS",
    ]
    codes = [line.split(b"]")[0].split()[1] for line in answer.untagged[4:]]
    assert codes == [b"[UNSEEN", b"[UIDVALIDITY", b"[UIDNEXT"]


async def test_unseen_is_the_number_of_the_first_unseen_message(inbox: ImapSession) -> None:
    await inbox.expect_ok(b"STORE 1 +FLAGS (\\Seen)")
    assert b"OK [UNSEEN 2] First unseen message" in await inbox.expect_ok(b"SELECT INBOX")
    await inbox.expect_ok(b"STORE 1:3 +FLAGS (\\Seen)")
    assert not [x for x in await inbox.expect_ok(b"SELECT INBOX") if b"UNSEEN" in x]


async def test_recent_is_claimed_once_and_never_by_examine(session: ImapSession) -> None:
    await session.append(b"a: b\r\n\r\n")
    assert b"1 RECENT" not in await session.expect_ok(b"EXAMINE INBOX")
    assert b"1 RECENT" in await session.expect_ok(b"SELECT INBOX")
    assert await session.expect_ok(b"FETCH 1 FLAGS") == [b"1 FETCH (FLAGS (\\Recent))"]
    assert b"0 RECENT" in await session.expect_ok(b"SELECT INBOX")


async def test_an_examined_mailbox_cannot_be_changed(inbox: ImapSession) -> None:
    answer = await inbox.ask(b"EXAMINE INBOX")
    assert answer.tagged == b"OK [READ-ONLY] Examine completed"
    assert b"OK [PERMANENTFLAGS ()] Flags that stay" in answer.untagged
    for command in (b"STORE 1 FLAGS ()", b"EXPUNGE", b"MOVE 1 Sent", b"UID EXPUNGE 1"):
        assert (await inbox.ask(command)).tagged.startswith(b"NO [CANNOT]")
    assert await inbox.expect_ok(b"FETCH 1 (BODY[TEXT] FLAGS)") == [
        b"1 FETCH (FLAGS () BODY[TEXT] {8}\r\nBody 1\r\n)"
    ]


async def test_a_failed_select_leaves_nothing_selected(inbox: ImapSession) -> None:
    assert (await inbox.ask(b"SELECT nowhere")).tagged.startswith(b"NO [NONEXISTENT]")
    assert (await inbox.ask(b"FETCH 1 FLAGS")).tagged == b"BAD No mailbox selected"


async def test_close_removes_deleted_messages_silently(inbox: ImapSession) -> None:
    await inbox.expect_ok(b"STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    assert await inbox.expect_ok(b"CLOSE") == []
    assert b"1 EXISTS" in await inbox.expect_ok(b"SELECT INBOX")


async def test_unselect_and_examine_remove_nothing(inbox: ImapSession) -> None:
    await inbox.expect_ok(b"STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    assert await inbox.expect_ok(b"UNSELECT") == []
    await inbox.expect_ok(b"EXAMINE INBOX")
    await inbox.expect_ok(b"CLOSE")
    assert b"3 EXISTS" in await inbox.expect_ok(b"SELECT INBOX")
    assert (await inbox.ask(b"UNSELECT x")).tagged.startswith(b"BAD ")


async def test_selecting_what_did_not_change_lists_no_directory_reads_no_rows_and_needs_no_thread(
    session: ImapSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the directories had last changed long before they were looked at.
    monkeypatch.setattr(storage, "CLOCK_TICK", 0)
    monkeypatch.setattr(scan, "CLOCK_TICK", 0)
    await session.append(b"Subject: x\r\n\r\n")
    await session.expect_ok(b"SELECT INBOX")
    await session.expect_ok(b"SELECT Sent")
    counted: list[str] = []
    work = [(Maildir, "names_in"), (Index, "all_summaries"), (MailStore, "run")]
    for owner, name in [*work, (MailStore, "obtain")]:
        monkeypatch.setattr(owner, name, lambda *_, name=name: counted.append(name))
    for command in (b"SELECT INBOX", b"NOOP", b"EXAMINE INBOX", b"STATUS INBOX (MESSAGES)"):
        await session.expect_ok(command)
    assert counted == []
