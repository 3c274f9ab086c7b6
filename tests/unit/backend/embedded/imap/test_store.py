"""STORE."""

from __future__ import annotations

from tests.support.imap_session import ImapSession

from .conftest import NewSession


async def test_flags_are_added_removed_and_replaced(inbox: ImapSession) -> None:
    assert await inbox.expect_ok(b"STORE 1:2 +FLAGS (\\seen \\Flagged)") == [
        b"1 FETCH (FLAGS (\\Flagged \\Seen))",
        b"2 FETCH (FLAGS (\\Flagged \\Seen))",
    ]
    assert await inbox.expect_ok(b"STORE 1 -FLAGS \\Seen") == [b"1 FETCH (FLAGS (\\Flagged))"]
    assert await inbox.expect_ok(b"UID STORE 2 FLAGS ()") == [b"2 FETCH (UID 2 FLAGS ())"]


async def test_silent_means_silent(inbox: ImapSession) -> None:
    assert await inbox.expect_ok(b"STORE 1:3 +FLAGS.SILENT (\\Seen)") == []
    assert await inbox.expect_ok(b"NOOP") == []


async def test_a_new_keyword_is_announced_first_and_keeps_its_spelling(
    inbox: ImapSession,
) -> None:
    lines = await inbox.expect_ok(b"STORE 1 +FLAGS ($Work)")
    assert lines[0].startswith(b"FLAGS (")
    assert b"$Work" in lines[0]
    assert lines[1].startswith(b"OK [PERMANENTFLAGS (")
    assert lines[2] == b"1 FETCH (FLAGS ($Work))"
    assert await inbox.expect_ok(b"STORE 2 +FLAGS ($WORK)") == [b"2 FETCH (FLAGS ($Work))"]
    assert await inbox.expect_ok(b"SEARCH KEYWORD $work") == [b"SEARCH 1 2"]


async def test_recent_and_unknown_system_flags_cannot_be_stored(inbox: ImapSession) -> None:
    for flag in (b"\\Recent", b"\\Whatever", b"\\*"):
        assert (await inbox.ask(b"STORE 1 +FLAGS (" + flag + b")")).tagged.startswith(b"BAD ")


async def test_other_sessions_learn_of_it_with_the_next_command(
    inbox: ImapSession, new_session: NewSession
) -> None:
    other = await new_session()
    await other.expect_ok(b"SELECT INBOX")
    await inbox.expect_ok(b"STORE 2 +FLAGS.SILENT (\\Answered)")
    assert await other.expect_ok(b"NOOP") == [b"2 FETCH (UID 2 FLAGS (\\Answered))"]
    assert await inbox.expect_ok(b"NOOP") == []


async def test_a_silent_store_does_not_swallow_what_others_changed(
    inbox: ImapSession, new_session: NewSession
) -> None:
    other = await new_session()
    await other.expect_ok(b"SELECT INBOX")
    await other.expect_ok(b"STORE 1 +FLAGS.SILENT (\\Flagged)")
    lines = await inbox.expect_ok(b"STORE 1 +FLAGS.SILENT (\\Seen)")
    assert lines == [b"1 FETCH (UID 1 FLAGS (\\Flagged \\Seen))"]
