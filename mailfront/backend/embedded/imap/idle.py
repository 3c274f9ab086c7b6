"""IDLE (RFC 2177): waits for the client's DONE and tells of changes as they come.

Nothing runs while nothing happens: the session waits on one future of the mailbox and one of the
client's connection.
"""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import Session
from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap import command
from mailfront.protocol.imap.command_reader import LINE_LIMIT
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.response import continuation


async def idle(session: Session, arguments: Cursor) -> bytes:
    """Wait until the client ends it. Raises `TimeoutError` as every silence does."""
    command.no_arguments(arguments)
    await session.send_updates(expunges=True)
    session.write(continuation(b"idling"))
    await session.flush()
    try:
        while not await _input_or_change(session):
            await session.send_updates(expunges=True)
            await session.flush()
            if session.view is not None and not session.view.mailbox.exists:
                break
    finally:
        if session.view is not None:
            session.view.watch.silence()
    if session.view is not None and not session.view.mailbox.exists:
        return b"Idle ended"
    if (await session.stream.line(LINE_LIMIT)).strip().upper() != b"DONE":
        raise ImapSyntaxError("Expected DONE")
    return b"Idle completed"


async def _input_or_change(session: Session) -> bool:
    if session.view is None:
        return await session.stream.wait_input()
    return await session.stream.wait_input(session.view.watch.signal())
