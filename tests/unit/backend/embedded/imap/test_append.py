"""APPEND."""

from __future__ import annotations

import re

import pytest

from mailfront.errors import BackendError
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import Mailbox, SpooledMessage
from tests.support.imap_session import ImapSession

from .conftest import NewSession


async def test_append_returns_the_new_uid(session: ImapSession) -> None:
    answer = await session.append(b"a: b\r\n\r\n", before=b"(\\Seen $Work)")
    assert re.fullmatch(rb"OK \[APPENDUID \d+ 1\] Append completed", answer.tagged)
    answer = await session.append(b"a: b\r\n\r\n", b"{5+}\r\nINBOX")
    assert re.fullmatch(rb"OK \[APPENDUID \d+ 2\] Append completed", answer.tagged)


async def test_the_client_waits_for_leave_with_a_synchronising_literal(
    session: ImapSession,
) -> None:
    session.send(b"a APPEND INBOX {8}\r\n")
    assert (await session.response()).startswith(b"+ ")
    session.send(b"a: b\r\n\r\n\r\n")
    assert (await session.until(b"a ")).ok


async def test_a_missing_mailbox_is_refused_before_the_message_is_sent(
    session: ImapSession,
) -> None:
    session.send(b"a APPEND nowhere {800000}\r\n")
    assert (await session.until(b"a ")).tagged.startswith(b"NO [TRYCREATE] ")
    assert (await session.append(b"x" * 100, b"nowhere")).tagged.startswith(b"NO [TRYCREATE] ")
    assert (await session.ask(b"NOOP")).ok


async def test_a_message_over_the_limit_is_refused_before_it_is_sent(
    session: ImapSession,
) -> None:
    session.send(b"a APPEND INBOX {1000001}\r\n")
    assert (await session.until(b"a ")).tagged.startswith(b"NO [TOOBIG] ")
    session.send(b"b APPEND INBOX {2000001+}\r\n")
    assert (await session.until(b"b ")).tagged.startswith(b"NO [TOOBIG] ")
    assert await session.response() == b"* BYE Too much data\r\n"
    assert await session.end() == "limit exceeded"


async def test_what_cannot_be_stored_leaves_nothing(session: ImapSession) -> None:
    for message, before, beginning in (
        (b"", b"", b"NO [CANNOT]"),
        (b"a\0b", b"", b"NO [CANNOT]"),
        (b"a", b"(\\Whatever)", b"BAD "),
        (b"a", b'"31-Feb-2020 00:00:00 +0000"', b"BAD "),
    ):
        answer = await session.append(message, before=before)
        assert answer.tagged.startswith(beginning), answer
    answer = await session.ask(b"APPEND INBOX {1+}\r\nx {1+}\r\ny")
    assert answer.tagged.startswith(b"BAD ")
    answer = await session.ask(b"APPEND INBOX {1+}\r\nx y")
    assert answer.tagged.startswith(b"BAD ")
    assert await session.expect_ok(b"STATUS INBOX (MESSAGES)") == [b"STATUS INBOX (MESSAGES 0)"]


async def test_a_client_that_leaves_in_the_middle_leaves_nothing(
    new_session: NewSession, store: MailStore
) -> None:
    leaving = await new_session()
    leaving.send(b"a APPEND INBOX {1000+}\r\nhalf of it")
    await leaving.close()
    assert not list(store.root.rglob("tmp/*"))
    session = await new_session()
    assert await session.expect_ok(b"STATUS INBOX (MESSAGES)") == [b"STATUS INBOX (MESSAGES 0)"]


async def test_a_disk_that_refuses_loses_no_step_in_the_dialogue(
    session: ImapSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BackendError("no space left", temporary=True)

    for method in ("spool", "append_file"):
        with monkeypatch.context() as patched:
            patched.setattr(Mailbox, method, refuse)
            answer = await session.append(b"x LOGOUT\r\n" * 10)
            assert answer.tagged.startswith(b"NO [UNAVAILABLE] Internal error, reference "), answer
    with monkeypatch.context() as patched:
        patched.setattr(SpooledMessage, "write", refuse)
        assert (await session.append(b"x LOGOUT\r\n" * 10)).tagged.startswith(b"NO [UNAVAILABLE]")
    assert (await session.ask(b"NOOP")).ok


async def test_an_append_to_the_selected_mailbox_is_announced(inbox: ImapSession) -> None:
    answer = await inbox.append(b"a: b\r\n\r\n")
    assert answer.untagged == [b"4 EXISTS", b"1 RECENT"]


async def test_recent_in_the_flags_is_passed_over(session: ImapSession) -> None:
    assert (await session.append(b"x", before=b"(\\Recent \\Seen)")).ok
