"""EXPUNGE and UID EXPUNGE."""

from __future__ import annotations

from tests.support.imap_session import ImapSession


async def test_expunge_removes_deleted_messages_and_says_so(inbox: ImapSession) -> None:
    await inbox.expect_ok(b"STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    assert await inbox.expect_ok(b"EXPUNGE") == [b"3 EXPUNGE", b"1 EXPUNGE"]
    assert await inbox.expect_ok(b"FETCH 1:* UID") == [b"1 FETCH (UID 2)"]
    assert await inbox.expect_ok(b"EXPUNGE") == []


async def test_uid_expunge_removes_only_what_is_named_and_deleted(inbox: ImapSession) -> None:
    await inbox.expect_ok(b"STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    assert await inbox.expect_ok(b"UID EXPUNGE 2:4") == [b"3 EXPUNGE"]


async def test_many_removals_are_numbered_as_the_client_counts(session: ImapSession) -> None:
    for _ in range(30):
        await session.append(b"a: b\r\n\r\n")
    await session.expect_ok(b"SELECT INBOX")
    await session.expect_ok(b"UID STORE 1:29 +FLAGS.SILENT (\\Deleted)")
    lines = await session.expect_ok(b"EXPUNGE")
    present = list(range(1, 31))
    for line in lines:
        present.pop(int(line.split()[0]) - 1)
    assert present == [30]
