"""CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.3 to §6.3.7)."""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import Session
from mailfront.protocol.imap import command
from mailfront.protocol.imap.lexer import Cursor


async def create(session: Session, arguments: Cursor) -> bytes:
    """Create a mailbox; a final delimiter announces children and is not part of the name."""
    await session.run(session.account.create, command.only_mailbox(arguments))
    return b"Create completed"


async def delete(session: Session, arguments: Cursor) -> bytes:
    """Delete a mailbox. If it is the selected one, this session leaves it first."""
    name = command.only_mailbox(arguments)
    view = session.view
    await session.run(session.account.delete, name)
    if view is not None and not view.mailbox.exists:
        session.deselect()
    return b"Delete completed"


async def rename(session: Session, arguments: Cursor) -> bytes:
    """Rename a mailbox and its children; of INBOX the messages move and INBOX stays."""
    name, new_name = command.two_mailboxes(arguments)
    await session.run(session.account.rename, name, new_name)
    return b"Rename completed"


async def subscribe(session: Session, arguments: Cursor) -> bytes:
    """Add to the list of LSUB; the mailbox need not exist (RFC 9051 §6.3.7)."""
    name = command.only_mailbox(arguments)
    await session.run(session.account.subscribe, name)
    return b"Subscribe completed"


async def unsubscribe(session: Session, arguments: Cursor) -> bytes:
    """Take from the list of LSUB."""
    name = command.only_mailbox(arguments)
    await session.run(session.account.unsubscribe, name)
    return b"Unsubscribe completed"
