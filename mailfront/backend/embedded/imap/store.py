"""STORE (RFC 3501 §6.4.6)."""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import BATCH, Session
from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap import command
from mailfront.protocol.imap.command import StoreAction
from mailfront.protocol.imap.lexer import Cursor
from mailfront.store.flags import FlagSet
from mailfront.store.mailbox import FlagChange

_CHANGES = {
    StoreAction.ADD: FlagChange.ADD,
    StoreAction.REMOVE: FlagChange.REMOVE,
    StoreAction.REPLACE: FlagChange.REPLACE,
}


async def store(session: Session, arguments: Cursor, *, uid: bool) -> bytes:
    """Change flags and, unless it is to be silent, say what they are now."""
    wanted = command.store_arguments(arguments)
    try:
        flags = FlagSet.of(wanted.flags)
    except ValueError as error:
        raise ImapSyntaxError("Only keywords and settable system flags can be stored") from error
    view = session.require_writable()
    uids = view.select(wanted.messages, uid=uid)
    # What others changed before this command is still told, even if it is to be silent.
    view.collect()
    outcome = await session.perform(
        len(uids), view.mailbox.store_flags, uids, _CHANGES[wanted.action], flags
    )
    for response in view.new_keywords():
        await session.send(response)
    if wanted.silent:
        view.watch.acknowledge(outcome.changed)
        return b"Store completed"
    for start in range(0, len(uids), BATCH):
        batch = uids[start : start + BATCH]
        view.told(batch)
        for record in view.mailbox.records(batch):
            number = view.number(record.uid)
            label = b"UID %d " % record.uid if uid else b""
            flag_list = view.flags(record.flags, record.uid)
            await session.send(b"* %d FETCH (%s%s)\r\n" % (number or 0, label, flag_list))
    return b"Store completed"
