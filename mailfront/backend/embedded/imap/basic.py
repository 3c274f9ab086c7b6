"""Commands about the session itself: CAPABILITY, ID, NOOP, CHECK, ENABLE, NAMESPACE, LOGOUT."""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import Session
from mailfront.protocol.imap import command
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.mailbox_name import DELIMITER


def capabilities(session: Session) -> bytes:
    """What works after login; each word has its tests.

    LITERAL+ RFC 7888, ID RFC 2971, NAMESPACE RFC 2342, CHILDREN RFC 3348, UIDPLUS RFC 4315,
    MOVE RFC 6851, IDLE RFC 2177, ENABLE RFC 5161, UNSELECT RFC 3691, SPECIAL-USE RFC 6154,
    STATUS=SIZE RFC 8438, SASL-IR RFC 4959 (the front's), APPENDLIMIT RFC 7889.
    """
    return (
        b"IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE CHILDREN SPECIAL-USE UIDPLUS MOVE "
        b"UNSELECT STATUS=SIZE APPENDLIMIT=%d" % session.append_limit
    )


async def capability(session: Session, arguments: Cursor) -> bytes:
    """RFC 3501 §6.1.1."""
    command.no_arguments(arguments)
    session.write(b"* CAPABILITY " + capabilities(session) + b"\r\n")
    return b"Capability completed"


async def identify(session: Session, arguments: Cursor) -> bytes:
    """RFC 2971: says what this server is; what the client says is not needed."""
    command.id_arguments(arguments)
    session.write(b'* ID ("name" "mailfront")\r\n')
    return b"ID completed"


async def noop(session: Session, arguments: Cursor) -> bytes:
    """RFC 3501 §6.1.2 NOOP and §6.4.1 CHECK: what changed is told after every command."""
    command.no_arguments(arguments)
    return b"Completed"


async def enable(session: Session, arguments: Cursor) -> bytes:
    """RFC 5161: nothing here has to be enabled, and unknown names are passed over (§3.1)."""
    command.enable_arguments(arguments)
    session.write(b"* ENABLED\r\n")
    return b"Enable completed"


async def namespace(session: Session, arguments: Cursor) -> bytes:
    """RFC 2342: one personal namespace without a prefix."""
    command.no_arguments(arguments)
    session.write(b'* NAMESPACE (("" "%s")) NIL NIL\r\n' % DELIMITER.encode())
    return b"Namespace completed"


async def logout(session: Session, arguments: Cursor) -> bytes:
    """RFC 3501 §6.1.3."""
    command.no_arguments(arguments)
    session.deselect()
    session.write(b"* BYE Logging out\r\n")
    session.leaving = True
    return b"Logout completed"
