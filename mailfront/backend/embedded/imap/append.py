"""APPEND (RFC 3501 §6.3.11) with APPENDUID (RFC 4315) and APPENDLIMIT (RFC 7889).

The message goes to the disk as it arrives. Whether it may is decided before its first octet is
asked for: a missing mailbox is refused while the client still waits for leave.
"""

from __future__ import annotations

from mailfront.backend.client_stream import HIGH_WATER
from mailfront.backend.embedded.imap.state import Session
from mailfront.errors import ImapSyntaxError, MailboxError
from mailfront.protocol.imap import command
from mailfront.protocol.imap.command_reader import (
    BadCommand,
    Command,
    CommandReader,
    MessageLiteral,
)
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.response import continuation
from mailfront.store.flags import FlagSet
from mailfront.store.mailbox import Mailbox, SpooledMessage


class Append:
    """One APPEND: `begin` judges what stands before the message, `finish` reads and stores it."""

    def __init__(self, session: Session, literal: MessageLiteral) -> None:
        self._session = session
        self._literal = literal
        wanted = command.append_arguments(Cursor(literal.arguments))
        try:
            self._flags = FlagSet.of(name for name in wanted.flags if name.upper() != "\\RECENT")
        except ValueError as error:
            raise ImapSyntaxError("Only keywords and settable system flags can be set") from error
        self._received = None if wanted.received is None else int(wanted.received.timestamp())
        self._name = wanted.mailbox
        self._mailbox: Mailbox | None = None
        self._spooled: SpooledMessage | None = None

    async def begin(self) -> None:
        """Open the mailbox, and refuse what cannot be stored."""
        if not self._literal.size:
            raise MailboxError("A message of no octets cannot be stored", code="CANNOT")
        self._mailbox = await self._session.open(self._name, for_messages=True)
        self._spooled = self._mailbox.spool()

    async def finish(self, reader: CommandReader) -> bytes | BadCommand:
        """Take the message and the end of the command; the text of OK, or what the reader found
        wrong at the end. Whatever fails, nothing of the message remains."""
        mailbox, spooled = self._mailbox, self._spooled
        assert mailbox is not None
        assert spooled is not None
        try:
            await self._session.flush()
            problem = await self._receive(spooled)
            event = await self._session.stream.parsed(reader.next)
            if isinstance(event, BadCommand):
                return event
            if not isinstance(event, Command) or event.arguments:
                raise ImapSyntaxError("Unexpected arguments after the message")
            if problem is not None:
                raise problem
            uid = await self._session.run(mailbox.append_file, spooled, self._flags, self._received)
            return b"[APPENDUID %d %d] Append completed" % (mailbox.uid_validity, uid)
        finally:
            self.close()

    def close(self) -> None:
        """Give the mailbox back; what was not stored is removed."""
        if self._spooled is not None:
            self._spooled.discard()
            self._spooled = None
        if self._mailbox is not None:
            self._mailbox.close()
            self._mailbox = None

    async def _receive(self, spooled: SpooledMessage) -> Exception | None:
        """Write the octets to the store. A failure is returned: all of them must be taken first,
        or what is left of the message would be read as commands."""
        stream = self._session.stream
        if self._literal.synchronising:
            stream.write(continuation())
        left = self._literal.size
        problem: Exception | None = None
        while left:
            data = await stream.chunk(min(left, HIGH_WATER))
            left -= len(data)
            if problem is not None:
                continue
            if b"\0" in data:
                # RFC 3501 §4.3: a literal holds CHAR8, which leaves out NUL.
                problem = MailboxError("The message contains NUL", code="CANNOT")
                continue
            try:
                spooled.write(data)
            except Exception as error:
                problem = error
        return problem
