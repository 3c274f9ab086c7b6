"""COPY and MOVE."""

from __future__ import annotations

import re

from tests.support.imap_session import ImapSession


async def test_copy_keeps_flags_date_and_bytes(session: ImapSession) -> None:
    message = b"Subject: x\r\n\r\nwithout a final line end"
    await session.append(message, before=b'(\\Flagged $Work) "17-Jul-1996 02:44:25 -0700"')
    await session.expect_ok(b"SELECT INBOX")
    answer = await session.ask(b"COPY 1 Archive")
    assert re.fullmatch(rb"OK \[COPYUID \d+ 1 1\] Copy completed", answer.tagged)
    await session.expect_ok(b"SELECT Archive")
    (line,) = await session.expect_ok(b"FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])")
    assert b"FLAGS (\\Flagged $Work" in line
    assert b'"17-Jul-1996 09:44:25 +0000"' in line
    assert line.endswith(message + b")")


async def test_a_missing_target_may_be_created_first(inbox: ImapSession) -> None:
    for command in (b"COPY 1 nowhere", b"UID MOVE 1 nowhere"):
        assert (await inbox.ask(command)).tagged.startswith(b"NO [TRYCREATE] ")


async def test_move_tells_the_new_uids_before_the_messages_go(inbox: ImapSession) -> None:
    lines = await inbox.expect_ok(b"MOVE 1,3 Archive")
    assert re.fullmatch(rb"OK \[COPYUID \d+ 1,3 1:2\] Moved", lines[0])
    assert lines[1:] == [b"3 EXPUNGE", b"1 EXPUNGE"]
    assert await inbox.expect_ok(b"STATUS Archive (MESSAGES)") == [b"STATUS Archive (MESSAGES 2)"]


async def test_by_uid_what_is_not_there_is_passed_over(inbox: ImapSession) -> None:
    assert (await inbox.ask(b"UID COPY 99 Archive")).tagged == b"OK Copy completed"
    assert (await inbox.ask(b"UID MOVE 99 Archive")).tagged == b"OK Move completed"
    assert re.match(rb"OK \[COPYUID \d+ 2:3 1:2\]", (await inbox.ask(b"UID COPY 2:* Sent")).tagged)
    assert (await inbox.ask(b"COPY 4 Archive")).tagged.startswith(b"BAD ")


async def test_a_copy_into_the_selected_mailbox_is_announced(inbox: ImapSession) -> None:
    assert b"4 EXISTS" in await inbox.expect_ok(b"COPY 1 INBOX")
