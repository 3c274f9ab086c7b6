"""STATUS."""

from __future__ import annotations

from tests.support.imap_session import ImapSession


async def test_status_counts(inbox: ImapSession) -> None:
    await inbox.expect_ok(b"STORE 1 +FLAGS (\\Seen \\Deleted)")
    assert await inbox.expect_ok(b"STATUS inbox (MESSAGES UNSEEN UIDNEXT DELETED SIZE RECENT)") == [
        b"STATUS INBOX (MESSAGES 3 UNSEEN 2 UIDNEXT 4 DELETED 1 SIZE 156 RECENT 0)"
    ]


async def test_recent_counts_what_no_session_has_seen(session: ImapSession) -> None:
    await session.append(b"a: b\r\n\r\n")
    assert await session.expect_ok(b"STATUS INBOX (RECENT)") == [b"STATUS INBOX (RECENT 1)"]


async def test_a_name_is_answered_as_it_is_written(session: ImapSession) -> None:
    await session.expect_ok(b'CREATE "a b"')
    assert await session.expect_ok(b'STATUS "a b" (MESSAGES)') == [b'STATUS "a b" (MESSAGES 0)']
    assert (await session.ask(b"STATUS nowhere (MESSAGES)")).tagged.startswith(b"NO [NONEXISTENT]")
