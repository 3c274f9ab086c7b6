from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from mailfront.backend.embedded.delivery import StoreSink
from mailfront.errors import BackendError, DirectoryUnavailableError
from mailfront.interfaces.message_sink import Destination, Envelope
from mailfront.store.mail_store import MailStore

ALICE, BOB = "alice@example.test", "bob@example.test"
RECIPIENTS = {ALICE: ALICE, "postmaster@example.test": ALICE, BOB: BOB}
LETTER = b"Return-Path: <forged@example.org>\r\nSubject: x\r\n\r\nbody\r\n"


class Received:
    """A message in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        return len(self._data)

    def chunks(self) -> Iterator[bytes]:
        yield self._data[:5]
        yield self._data[5:]


async def resolve(recipient: str) -> tuple[Destination, str]:
    if recipient in RECIPIENTS:
        return Destination.LOCAL, RECIPIENTS[recipient]
    if recipient.endswith("@example.test"):
        return Destination.UNKNOWN_USER, ""
    return Destination.FOREIGN, ""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[MailStore]:
    store = MailStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def sink(store: MailStore) -> StoreSink:
    return StoreSink(store, resolve)


def messages(store: MailStore, user: str) -> list[bytes]:
    with store.account(user).opened("INBOX") as inbox:
        return [inbox.read(uid) for uid in inbox.uids()]


async def test_destinations_are_those_of_the_directory(sink: StoreSink) -> None:
    assert await sink.destination(ALICE) is Destination.LOCAL
    assert await sink.destination("nobody@example.test") is Destination.UNKNOWN_USER
    assert await sink.destination("a@example.org") is Destination.FOREIGN


async def test_each_user_gets_one_copy_with_the_return_path_in_front(
    store: MailStore, sink: StoreSink
) -> None:
    recipients = (ALICE, "postmaster@example.test", BOB)
    await sink.accept(Envelope("jürgen@example.org", recipients), Received(LETTER))
    expected = "Return-Path: <jürgen@example.org>\r\n".encode() + LETTER
    assert messages(store, ALICE) == messages(store, BOB) == [expected]


async def test_the_null_sender_stays_null(store: MailStore, sink: StoreSink) -> None:
    await sink.accept(Envelope("", (ALICE,)), Received(LETTER))
    assert messages(store, ALICE) == [b"Return-Path: <>\r\n" + LETTER]


@pytest.mark.parametrize("sender", ["a@b\r\nX: y", "a>b@c", "a\0@b"])
async def test_a_sender_that_would_break_the_header_is_refused(
    store: MailStore, sink: StoreSink, sender: str
) -> None:
    with pytest.raises(BackendError) as refusal:
        await sink.accept(Envelope(sender, (ALICE,)), Received(LETTER))
    assert not refusal.value.temporary
    assert messages(store, ALICE) == []


@pytest.mark.parametrize("recipients", [(), (ALICE, "gone@example.test")])
async def test_a_recipient_without_mailbox_refuses_the_whole_message(
    store: MailStore, sink: StoreSink, recipients: tuple[str, ...]
) -> None:
    with pytest.raises(BackendError):
        await sink.accept(Envelope("", recipients), Received(LETTER))
    assert messages(store, ALICE) == []


async def test_when_one_mailbox_fails_nobody_has_the_message(
    store: MailStore, sink: StoreSink
) -> None:
    store.account(ALICE)
    (store.root / "example.test" / "bob").write_text("a file where the mailbox should be")
    with pytest.raises(BackendError) as failure:
        await sink.accept(Envelope("", (ALICE, BOB)), Received(LETTER))
    assert failure.value.temporary
    assert messages(store, ALICE) == []


async def test_without_the_directory_a_message_is_refused_for_a_while(store: MailStore) -> None:
    async def unavailable(recipient: str) -> tuple[Destination, str]:
        raise DirectoryUnavailableError("no server answers")

    sink = StoreSink(store, unavailable)
    with pytest.raises(DirectoryUnavailableError):
        await sink.destination(ALICE)
    with pytest.raises(BackendError) as failure:
        await sink.accept(Envelope("", (ALICE,)), Received(LETTER))
    assert failure.value.temporary
