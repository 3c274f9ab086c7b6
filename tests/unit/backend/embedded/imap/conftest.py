"""A store in a temporary directory, and sessions over it in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from mailfront.store.mail_store import MailStore
from tests.support.imap_session import ImapSession

NewSession = Callable[..., Awaitable[ImapSession]]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[MailStore]:
    mail_store = MailStore(tmp_path / "store")
    yield mail_store
    mail_store.close()


@pytest.fixture
async def new_session(store: MailStore) -> AsyncIterator[NewSession]:
    opened: list[ImapSession] = []

    async def make(**options: object) -> ImapSession:
        session = ImapSession(store, **options)  # type: ignore[arg-type]
        opened.append(session)
        return await session.start()

    yield make
    for session in opened:
        await session.close()


@pytest.fixture
async def session(new_session: NewSession) -> ImapSession:
    return await new_session()


@pytest.fixture
async def inbox(session: ImapSession) -> ImapSession:
    """A session with INBOX selected and three messages in it; UIDs 1, 2 and 3."""
    for number in (1, 2, 3):
        message = b"From: a@example.test\r\nSubject: Message %d\r\n\r\nBody %d\r\n" % (
            number,
            number,
        )
        answer = await session.append(message)
        assert answer.ok, answer
    await session.expect_ok(b"SELECT INBOX")
    await session.expect_ok(b"SELECT INBOX")
    return session
