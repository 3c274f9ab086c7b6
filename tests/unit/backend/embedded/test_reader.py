from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailfront.backend.embedded.reader import StoreReader
from mailfront.errors import BackendError
from mailfront.interfaces.mail_reader import Folder
from mailfront.store.mail_store import MailStore

ALICE = "alice@example.test"


def letter(sender: str, subject: str) -> bytes:
    return f"From: {sender}\r\nSubject: {subject}\r\n\r\nbody\r\n".encode()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[MailStore]:
    store = MailStore(tmp_path / "store")
    yield store
    store.close()


@pytest.fixture
def reader(store: MailStore) -> StoreReader:
    return StoreReader(store)


async def test_folders_are_counted_inbox_first(store: MailStore, reader: StoreReader) -> None:
    account = store.account(ALICE)
    account.deliver([letter("a@b", "x")])
    account.create("Work/2024")
    folders = await reader.folders(ALICE)
    assert folders[0] == Folder("INBOX", 1, 1)
    assert Folder("Work/2024", 0, 0) in folders
    assert "Work" not in [folder.name for folder in folders]


async def test_a_page_is_newest_first_and_decoded(store: MailStore, reader: StoreReader) -> None:
    account = store.account(ALICE)
    for number in range(5):
        account.deliver([letter(f"n{number}@b", f"s{number}")], internal_date=1000 + number)
    account.deliver(
        [letter("=?utf-8?q?J=C3=BCrgen?= <j@example.org>", "=?utf-8?b?w6RwZmVs?=\r\n tree")]
    )
    rows = await reader.messages(ALICE, "inbox", offset=0, limit=1)
    assert [(row.sender, row.subject) for row in rows] == [("Jürgen", "äpfel tree")]
    rows = await reader.messages(ALICE, "INBOX", offset=2, limit=2)
    assert [(row.uid, row.sender, row.subject) for row in rows] == [
        (4, "n3@b", "s3"),
        (3, "n2@b", "s2"),
    ]
    assert rows[0].received == datetime.fromtimestamp(1003, UTC)
    assert await reader.messages(ALICE, "INBOX", offset=6, limit=9) == []


@pytest.mark.parametrize("message", [b"", b"\r\n", b"From:\r\n\r\n", b"\xff\0: x\r\nFrom\r\n"])
async def test_a_message_without_sender_has_a_row_too(
    store: MailStore, reader: StoreReader, message: bytes
) -> None:
    store.account(ALICE).deliver([message])
    (row,) = await reader.messages(ALICE, "INBOX", offset=0, limit=10)
    assert (row.subject, row.size, row.seen) == ("", len(message), False)


async def test_reading_a_message_marks_it_seen(store: MailStore, reader: StoreReader) -> None:
    store.account(ALICE).deliver([letter("a@b", "x")])
    assert await reader.message(ALICE, "INBOX", 1) == letter("a@b", "x")
    (row,) = await reader.messages(ALICE, "INBOX", offset=0, limit=10)
    assert row.seen


async def test_what_does_not_exist_is_a_backend_error(reader: StoreReader) -> None:
    for work in (
        reader.message(ALICE, "INBOX", 1),
        reader.message(ALICE, "None", 1),
        reader.messages(ALICE, "../bob", offset=0, limit=1),
    ):
        with pytest.raises(BackendError):
            await work


async def test_sent_mail_is_filed_as_seen_in_the_folder_with_that_role(
    store: MailStore, reader: StoreReader
) -> None:
    account = store.account(ALICE)
    account.rename("Sent", "Gesendet")
    await reader.file_sent(ALICE, letter("alice", "x"))
    assert Folder("Gesendet", 1, 0) in await reader.folders(ALICE)
    account.delete("Gesendet")
    await reader.file_sent(ALICE, letter("alice", "y"))
    assert Folder("Sent", 1, 0) in await reader.folders(ALICE)
