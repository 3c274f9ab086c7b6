"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE."""

from __future__ import annotations

from tests.support.imap_session import ImapSession


async def names(session: ImapSession, pattern: bytes = b"*") -> list[bytes]:
    lines = await session.expect_ok(b'LIST "" ' + pattern)
    return [line.split(b' "/" ')[1] for line in lines]


async def test_create_makes_a_mailbox_and_its_parents_show(session: ImapSession) -> None:
    await session.expect_ok(b"CREATE a/b/c")
    assert await names(session, b"a*") == [b"a", b"a/b", b"a/b/c"]
    await session.expect_ok(b"CREATE a/d/")
    assert b"a/d" in await names(session)


async def test_names_beyond_ascii_are_kept(session: ImapSession) -> None:
    await session.expect_ok(b"CREATE Entw&APw-rfe")
    assert await names(session, b"E*") == [b"Entw&APw-rfe"]
    assert (await session.ask(b'CREATE "Entw\xc3\xbcrfe"')).tagged.startswith(b"BAD ")


async def test_refusals_carry_their_codes(session: ImapSession) -> None:
    await session.expect_ok(b"CREATE a")
    for command, code in (
        (b"CREATE a", b"ALREADYEXISTS"),
        (b"CREATE INBOX", b"ALREADYEXISTS"),
        (b"DELETE nowhere", b"NONEXISTENT"),
        (b"DELETE INBOX", b"CANNOT"),
        (b"RENAME nowhere b", b"NONEXISTENT"),
        (b"RENAME a INBOX", b"ALREADYEXISTS"),
        (b'CREATE "a//b"', b"CANNOT"),
        (b'CREATE "a*"', b"CANNOT"),
        (b"SELECT ../../bob", b"NONEXISTENT"),
    ):
        answer = await session.ask(command)
        assert answer.tagged.startswith(b"NO [" + code + b"]"), (command, answer)


async def test_rename_takes_children_along(session: ImapSession) -> None:
    await session.expect_ok(b"CREATE a/b")
    await session.expect_ok(b"CREATE a")
    await session.append(b"x: y\r\n\r\n", b"a/b")
    await session.expect_ok(b"RENAME a z")
    assert await names(session, b"z*") == [b"z", b"z/b"]
    assert await session.expect_ok(b"STATUS z/b (MESSAGES)") == [b"STATUS z/b (MESSAGES 1)"]


async def test_renaming_inbox_moves_its_messages_and_keeps_it(inbox: ImapSession) -> None:
    await inbox.expect_ok(b"RENAME INBOX old")
    assert await inbox.expect_ok(b"STATUS old (MESSAGES)") == [b"STATUS old (MESSAGES 3)"]
    assert await inbox.expect_ok(b"STATUS INBOX (MESSAGES)") == [b"STATUS INBOX (MESSAGES 0)"]


async def test_a_session_may_delete_the_mailbox_it_has_selected(session: ImapSession) -> None:
    await session.expect_ok(b"CREATE a")
    await session.expect_ok(b"SELECT a")
    await session.expect_ok(b"DELETE a")
    assert (await session.ask(b"FETCH 1 FLAGS")).tagged == b"BAD No mailbox selected"


async def test_subscriptions_are_listed_by_lsub(session: ImapSession) -> None:
    await session.expect_ok(b"SUBSCRIBE not/there")
    assert b'LSUB () "/" not/there' in await session.expect_ok(b'LSUB "" *')
    await session.expect_ok(b"UNSUBSCRIBE not/there")
    assert b'LSUB () "/" not/there' not in await session.expect_ok(b'LSUB "" *')
