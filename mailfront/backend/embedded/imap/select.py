"""SELECT, EXAMINE (RFC 3501 §6.3.1, §6.3.2), CLOSE (§6.4.2) and UNSELECT (RFC 3691)."""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import Session
from mailfront.backend.embedded.imap.view import View
from mailfront.protocol.imap import command
from mailfront.protocol.imap.lexer import Cursor
from mailfront.store.flags import DELETED, SEEN


async def select(session: Session, arguments: Cursor) -> bytes:
    """Select a mailbox for reading and writing."""
    return await _select(session, command.only_mailbox(arguments), read_only=False)


async def examine(session: Session, arguments: Cursor) -> bytes:
    """Select a mailbox for reading."""
    return await _select(session, command.only_mailbox(arguments), read_only=True)


async def close(session: Session, arguments: Cursor) -> bytes:
    r"""Remove messages marked `\Deleted` without saying so, and deselect."""
    command.no_arguments(arguments)
    view = session.selected
    if not view.read_only:
        marked = [uid for uid in view.mailbox.uids_with(DELETED) if view.number(uid) is not None]
        if marked:
            await session.perform(len(marked), view.mailbox.expunge, marked)
    session.deselect()
    return b"Close completed"


async def unselect(session: Session, arguments: Cursor) -> bytes:
    """Deselect, removing nothing."""
    command.no_arguments(arguments)
    session.deselect()
    return b"Unselect completed"


async def _select(session: Session, name: str, *, read_only: bool) -> bytes:
    # A failed SELECT leaves no mailbox selected (RFC 3501 §6.3.1).
    session.deselect()
    mailbox = await session.open(name)
    try:
        view = session.view = View(mailbox, read_only=read_only)
    except BaseException:
        mailbox.close()
        raise
    session.write(b"* FLAGS (" + view.flag_names() + b")\r\n")
    session.write(view.permanent_flags())
    session.write(b"* %d EXISTS\r\n* %d RECENT\r\n" % (len(view.uids), len(view.recent)))
    first = mailbox.first_uid_without(SEEN)
    # None if it came in this moment: the client is told of it next.
    unseen = None if first is None else view.number(first)
    if unseen is not None:
        session.write(b"* OK [UNSEEN %d] First unseen message\r\n" % unseen)
    session.write(b"* OK [UIDVALIDITY %d] UIDs valid\r\n" % mailbox.uid_validity)
    session.write(b"* OK [UIDNEXT %d] Predicted next UID\r\n" % mailbox.uid_next)
    return b"[READ-ONLY] Examine completed" if read_only else b"[READ-WRITE] Select completed"
