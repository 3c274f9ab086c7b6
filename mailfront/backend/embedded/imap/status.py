"""STATUS (RFC 3501 §6.3.10), with SIZE (RFC 8438) and DELETED (RFC 9051)."""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import Session
from mailfront.protocol.imap import command
from mailfront.protocol.imap.command import StatusItem
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.response import mailbox as mailbox_name
from mailfront.protocol.imap.response import parenthesised
from mailfront.store.mailbox import MailboxStatus


async def status(session: Session, arguments: Cursor) -> bytes:
    """Counts of a mailbox without selecting it."""
    name, items = command.status_arguments(arguments)
    mailbox = await session.open(name)
    try:
        counts = mailbox.status()
    finally:
        mailbox.close()
    values = parenthesised(b"%s %d" % (item.value, _value(counts, item)) for item in items)
    session.write(b"* STATUS " + mailbox_name(name) + b" " + values + b"\r\n")
    return b"Status completed"


def _value(counts: MailboxStatus, item: StatusItem) -> int:
    match item:
        case StatusItem.MESSAGES:
            return counts.messages
        case StatusItem.RECENT:
            return counts.recent
        case StatusItem.UIDNEXT:
            return counts.uid_next
        case StatusItem.UIDVALIDITY:
            return counts.uid_validity
        case StatusItem.UNSEEN:
            return counts.unseen
        case StatusItem.DELETED:
            return counts.deleted
        case StatusItem.SIZE:
            return counts.size
