"""What webmail reads of the embedded store: folders, message lists, single messages.

Sender and subject of a row are decoded for people from the message's header; only the rows that
are shown are looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime

from mailfront.errors import MessageGoneError
from mailfront.interfaces.mail_reader import Folder, MessageSummary
from mailfront.protocol.mime.address import mailboxes, parse_addresses
from mailfront.protocol.mime.encoded_word import decode_words
from mailfront.protocol.mime.header import first_value, header_fields
from mailfront.store.flags import SEEN, FlagSet
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import FlagChange, Mailbox, MessageRecord

# A header's first fields are enough for a row of a list.
HEADER_OCTETS = 64 * 1024
DEFAULT_SENT = "Sent"


class StoreReader:
    """A `MailReader`. All work is done in the store's threads."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def folders(self, user: str) -> list[Folder]:
        """Part of `MailReader`."""
        return await self._store.run(self._folders, user)

    async def messages(
        self, user: str, folder: str, *, offset: int, limit: int
    ) -> list[MessageSummary]:
        """Part of `MailReader`."""
        return await self._store.run(self._messages, user, folder, offset, limit)

    async def message(self, user: str, folder: str, uid: int) -> bytes:
        """Part of `MailReader`."""
        return await self._store.run(self._message, user, folder, uid)

    async def file_sent(self, user: str, message: bytes) -> None:
        """Part of `MailReader`."""
        await self._store.run(self._file_sent, user, message)

    def _folders(self, user: str) -> list[Folder]:
        account = self._store.account(user)
        folders = []
        for entry in account.list_mailboxes():
            if entry.selectable:
                with account.opened(entry.name) as mailbox:
                    status = mailbox.status()
                folders.append(Folder(entry.name, status.messages, status.unseen))
        return folders

    def _messages(self, user: str, folder: str, offset: int, limit: int) -> list[MessageSummary]:
        with self._store.account(user).opened(folder) as mailbox:
            newest_first = mailbox.uids()[::-1]
            wanted: Sequence[int] = newest_first[max(0, offset) : max(0, offset) + max(0, limit)]
            rows = []
            for record in mailbox.records(wanted):
                # Expunged since the list was made: simply not shown.
                with contextlib.suppress(MessageGoneError):
                    rows.append(_summary(record, _header(mailbox, record.uid)))
            return rows

    def _message(self, user: str, folder: str, uid: int) -> bytes:
        with self._store.account(user).opened(folder) as mailbox:
            message = mailbox.read(uid)
            mailbox.store_flags([uid], FlagChange.ADD, FlagSet(SEEN))
            return message

    def _file_sent(self, user: str, message: bytes) -> None:
        account = self._store.account(user)
        name = account.special_mailbox("\\Sent")
        if name is None:
            account.create(DEFAULT_SENT, "\\Sent")
            name = DEFAULT_SENT
        account.deliver([message], name, FlagSet(SEEN))


def _header(mailbox: Mailbox, uid: int) -> bytes:
    with mailbox.open_message(uid) as file:
        return b"".join(file.chunks(0, HEADER_OCTETS))


def _summary(record: MessageRecord, header: bytes) -> MessageSummary:
    fields = header_fields(header)
    return MessageSummary(
        uid=record.uid,
        sender=_sender(first_value(fields, b"from") or b""),
        subject=decode_words(first_value(fields, b"subject") or b""),
        received=datetime.fromtimestamp(record.internal_date, UTC),
        size=record.size,
        seen=bool(record.flags.system & SEEN),
    )


def _sender(value: bytes) -> str:
    """The name of the first author, or the address where there is none."""
    authors = mailboxes(parse_addresses(value))
    if not authors:
        return decode_words(value)
    return decode_words(authors[0].name) or decode_words(authors[0].address)
