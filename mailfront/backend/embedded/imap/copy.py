"""COPY (RFC 3501 §6.4.7) and MOVE (RFC 6851), with COPYUID (RFC 4315)."""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import Session
from mailfront.protocol.imap import command
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.sequence_set import format_set


async def copy(session: Session, arguments: Cursor, *, uid: bool) -> bytes:
    """Copy messages with flags and dates, all of them or none."""
    wanted = command.copy_arguments(arguments)
    view = session.selected
    uids = view.select(wanted.messages, uid=uid)
    target = await session.open(wanted.mailbox, for_messages=True)
    try:
        pairs = await session.run(view.mailbox.copy_to, uids, target)
        code = _copy_uid(target.uid_validity, pairs)
    finally:
        target.close()
    return code + b"Copy completed"


async def move(session: Session, arguments: Cursor, *, uid: bool) -> bytes:
    """Move messages; COPYUID comes before the first EXPUNGE (RFC 6851 §4.3)."""
    wanted = command.copy_arguments(arguments)
    view = session.require_writable()
    uids = view.select(wanted.messages, uid=uid)
    target = await session.open(wanted.mailbox, for_messages=True)
    try:
        pairs = await session.run(view.mailbox.move_to, uids, target)
        if pairs:
            session.write(b"* OK " + _copy_uid(target.uid_validity, pairs) + b"Moved\r\n")
    finally:
        target.close()
    return b"Move completed"


def _copy_uid(validity: int, pairs: list[tuple[int, int]]) -> bytes:
    if not pairs:
        return b""
    sources = format_set([source for source, _ in pairs])
    targets = format_set([target for _, target in pairs])
    return b"[COPYUID %d %s %s] " % (validity, sources, targets)
