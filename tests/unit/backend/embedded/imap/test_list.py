"""LIST and LSUB."""

from __future__ import annotations

from tests.support.imap_session import ImapSession


async def test_list_shows_children_and_special_use(session: ImapSession) -> None:
    await session.expect_ok(b"CREATE Sent/2026")
    lines = await session.expect_ok(b'LIST "" *')
    assert lines[0] == b'LIST (\\HasNoChildren) "/" INBOX'
    assert b'LIST (\\HasChildren \\Sent) "/" Sent' in lines
    assert b'LIST (\\HasNoChildren) "/" Sent/2026' in lines


async def test_a_percent_stays_within_a_level(session: ImapSession) -> None:
    await session.expect_ok(b"CREATE a/b")
    assert await session.expect_ok(b'LIST "" a%') == [b'LIST (\\Noselect \\HasChildren) "/" a']
    assert await session.expect_ok(b'LIST "a/" %') == [b'LIST (\\HasNoChildren) "/" a/b']


async def test_an_empty_pattern_asks_for_the_delimiter(session: ImapSession) -> None:
    assert await session.expect_ok(b'LIST "" ""') == [b'LIST (\\Noselect) "/" ""']
    assert await session.expect_ok(b'LSUB "" ""') == [b'LSUB (\\Noselect) "/" ""']


async def test_inbox_is_found_in_any_case(session: ImapSession) -> None:
    for pattern in (b"inbox", b"InB%"):
        lines = await session.expect_ok(b'LIST "" ' + pattern)
        assert lines == [b'LIST (\\HasNoChildren) "/" INBOX']


async def test_lsub_shows_a_level_above_a_subscription(session: ImapSession) -> None:
    await session.expect_ok(b"SUBSCRIBE x/y")
    assert await session.expect_ok(b'LSUB "" x%') == [b'LSUB (\\Noselect) "/" x']
    assert await session.expect_ok(b'LSUB "" x*') == [b'LSUB () "/" x/y']
