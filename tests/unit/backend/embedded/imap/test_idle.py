"""IDLE."""

from __future__ import annotations

import asyncio

from mailfront.store.mail_store import MailStore
from tests.support.imap_session import USER, ImapSession

from .conftest import NewSession


async def begin(session: ImapSession) -> None:
    session.send(b"i IDLE\r\n")
    assert (await session.until(b"+ ")).untagged == []


async def test_changes_are_told_as_they_come(inbox: ImapSession, new_session: NewSession) -> None:
    other = await new_session()
    await other.expect_ok(b"SELECT INBOX")
    await begin(inbox)
    await other.append(b"a: b\r\n\r\n")
    assert await inbox.response() == b"* 4 EXISTS\r\n"
    assert (await inbox.response()).endswith(b" RECENT\r\n")
    await other.expect_ok(b"STORE 2 +FLAGS (\\Deleted)")
    assert await inbox.response() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted))\r\n"
    await other.expect_ok(b"EXPUNGE")
    assert await inbox.response() == b"* 2 EXPUNGE\r\n"
    inbox.send(b"done\r\n")
    assert (await inbox.until(b"i ")).tagged == b"OK Idle completed"


async def test_a_delivery_ends_the_wait_at_once(inbox: ImapSession, store: MailStore) -> None:
    await begin(inbox)
    await store.run(store.account(USER).deliver, [b"Subject: new\r\n\r\n"])
    assert await inbox.response() == b"* 4 EXISTS\r\n"


async def test_only_done_ends_it_well(inbox: ImapSession) -> None:
    await begin(inbox)
    inbox.send(b"x NOOP\r\n")
    assert (await inbox.until(b"i ")).tagged == b"BAD Expected DONE"
    assert (await inbox.ask(b"NOOP")).ok


async def test_done_sent_ahead_is_understood(session: ImapSession) -> None:
    session.send(b"i IDLE\r\nDONE\r\nn NOOP\r\n")
    await session.until(b"+ ")
    assert (await session.until(b"i ")).ok
    assert (await session.until(b"n ")).ok


async def test_a_silent_client_is_sent_away(new_session: NewSession) -> None:
    session = await new_session(idle_timeout=0.05)
    session.send(b"i IDLE\r\n")
    await session.until(b"+ ")
    assert await session.response() == b"* BYE Idle for too long\r\n"
    assert await session.end() == "idle time-out"


async def test_the_deletion_of_the_mailbox_ends_the_session(
    session: ImapSession, new_session: NewSession
) -> None:
    await session.expect_ok(b"CREATE a")
    await session.expect_ok(b"SELECT a")
    await begin(session)
    await asyncio.sleep(0)
    other = await new_session()
    await other.expect_ok(b"DELETE a")
    answer = await session.until(b"i ")
    assert answer.ok
    assert await session.response() == b"* BYE The selected mailbox was deleted\r\n"
    assert await session.end() == "mailbox deleted"
