"""EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315)."""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import Session
from mailfront.protocol.imap import command
from mailfront.protocol.imap.lexer import Cursor
from mailfront.store.flags import DELETED


async def expunge(session: Session, arguments: Cursor) -> bytes:
    r"""Remove every message marked `\Deleted` that this session knows of."""
    command.no_arguments(arguments)
    view = session.require_writable()
    marked = [uid for uid in view.mailbox.uids_with(DELETED) if view.number(uid) is not None]
    return await _expunge(session, marked)


async def uid_expunge(session: Session, arguments: Cursor) -> bytes:
    r"""Remove messages marked `\Deleted` whose UID is in the set."""
    messages = command.message_set(arguments)
    view = session.require_writable()
    chosen = set(view.by_uids(messages))
    return await _expunge(session, [u for u in view.mailbox.uids_with(DELETED) if u in chosen])


async def _expunge(session: Session, uids: list[int]) -> bytes:
    # The EXPUNGE responses are made from the view's changes, as for other sessions.
    if uids:
        await session.perform(len(uids), session.selected.mailbox.expunge, uids)
    return b"Expunge completed"
