"""The embedded IMAP backend: one authenticated session from the answer to its login to its end.

Reads commands one after the other, carries each out by the table in `commands`, and turns what
went wrong into the protocol's words: BAD for what breaks the grammar or the state, NO for what
cannot be done (with the codes of RFC 5530), BYE when the session cannot go on.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable

from mailfront.backend.client_stream import ClientStream
from mailfront.backend.embedded.imap.append import Append
from mailfront.backend.embedded.imap.basic import capabilities
from mailfront.backend.embedded.imap.commands import BEFORE_LOGIN, COMMANDS, UID_COMMANDS, Rule
from mailfront.backend.embedded.imap.state import Session
from mailfront.errors import (
    BackendError,
    ImapSyntaxError,
    MailboxError,
    MessageGoneError,
    PeerError,
    ServerStoppingError,
    SessionKickedError,
)
from mailfront.interfaces.backend import AuthenticatedSession
from mailfront.protocol.imap.command_reader import (
    BadCommand,
    Command,
    CommandReader,
    Continuation,
    LiteralPolicy,
    MessageLiteral,
)
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.response import continuation, tagged, untagged
from mailfront.store.mail_store import MailStore

_log = logging.getLogger("mailfront.imap")

DEFAULT_APPEND_LIMIT = 50 * 1024 * 1024
# Literals other than messages: mailbox names, search strings.
_LITERALS_IN_MEMORY = 64 * 1024
DEFAULT_BAD_COMMAND_LIMIT = 20


class EmbeddedImap:
    """Serves authenticated IMAP sessions from `store`. `append_limit` bounds a message, in octets;
    `bad_command_limit` bad commands in a row end a session.

    Implements `interfaces.backend.Backend`.
    """

    def __init__(
        self,
        store: MailStore,
        *,
        append_limit: int = DEFAULT_APPEND_LIMIT,
        bad_command_limit: int = DEFAULT_BAD_COMMAND_LIMIT,
    ) -> None:
        self._store = store
        self._append_limit = append_limit
        self._bad_command_limit = bad_command_limit

    async def serve(self, session: AuthenticatedSession) -> str:
        """Serve until either side ends."""
        session.password = None
        stream = ClientStream(session.transport, session.leftover, session.idle_timeout)
        try:
            account = await self._store.open_account(session.identity.user)
        except BackendError:
            _log.exception("user=%s the mailbox cannot be opened", session.identity.user)
            refusal = tagged(session.tag, b"NO", b"[UNAVAILABLE] The mailbox cannot be opened")
            # To a client that was not greeted yet only BYE makes sense.
            stream.write((refusal if session.tag else b"") + b"* BYE Try again later\r\n")
            return "mailbox unavailable"
        state = Session(stream, self._store, account, self._append_limit)
        try:
            return await _Conversation(state, self._bad_command_limit).run(session.tag)
        except SessionKickedError:
            _say_goodbye(state, b"An administrator ended this session; log in again")
            raise
        except (asyncio.CancelledError, ServerStoppingError):
            _say_goodbye(state, b"server shutting down")
            raise
        except TimeoutError:
            _say_goodbye(state, b"Idle for too long")
            return "idle time-out"
        except PeerError:
            return "client closed"
        finally:
            state.deselect()


def _say_goodbye(state: Session, why: bytes) -> None:
    # After half a response, more text would be taken for a part of it.
    if not state.unfinished:
        state.stream.write(b"* BYE " + why + b"\r\n")


class _Conversation:
    """The loop over commands."""

    __slots__ = ("_bad_command_limit", "_bad_commands", "_ending", "_reader", "_session")

    def __init__(self, session: Session, bad_command_limit: int) -> None:
        self._session = session
        self._bad_command_limit = bad_command_limit
        self._reader = CommandReader(
            policy=LiteralPolicy(in_memory=_LITERALS_IN_MEMORY, message=session.append_limit)
        )
        self._bad_commands = 0
        self._ending = ""

    async def run(self, login_tag: bytes) -> str:
        """Answer the login, then each command; return why it ended."""
        session = self._session
        code = b"[CAPABILITY " + capabilities(session) + b"] "
        if login_tag:
            session.write(tagged(login_tag, b"OK", code + b"Logged in"))
        else:
            # RFC 9051 section 7.1.4: the greeting of a client whose certificate logged it in.
            session.write(untagged(b"PREAUTH " + code + b"Logged in"))
        await session.flush()
        while not self._ending:
            event = await session.stream.parsed(self._reader.next)
            match event:
                case Continuation():
                    session.write(continuation())
                case Command():
                    await self._command(event)
                case MessageLiteral():
                    await self._append(event)
                case BadCommand():
                    self._refused(event)
            self._judge()
            await session.flush()
        return self._ending

    async def _command(self, command: Command) -> None:
        cursor = Cursor(command.arguments)
        rule = self._rule(command, cursor)
        if rule is None:
            problem = b"Already logged in" if command.name in BEFORE_LOGIN else b"Unknown command"
            self._bad(command.tag, problem)
        elif rule.needs_mailbox and self._session.view is None:
            self._bad(command.tag, b"No mailbox selected")
        else:
            await self._carry_out(
                command.tag, rule.handler(self._session, cursor), expunges=rule.expunges
            )

    def _rule(self, command: Command, cursor: Cursor) -> Rule | None:
        if command.name != b"UID":
            return COMMANDS.get(command.name)
        try:
            name = cursor.atom().upper()
        except ImapSyntaxError:
            return None
        cursor.skip(b" ")
        return UID_COMMANDS.get(name)

    async def _carry_out(
        self, tag: bytes, work: Awaitable[bytes], *, expunges: bool = True
    ) -> None:
        """Await a command, send what changed meanwhile, then its end."""
        session = self._session
        condition, text = await self._outcome(work)
        if session.unfinished:
            # Whatever follows half a response would be taken for a part of it.
            return
        try:
            await session.send_updates(expunges=expunges)
        except BackendError:
            _log.exception("user=%s changes of the mailbox cannot be read", session.account.user)
        if condition == b"BAD":
            self._bad(tag, text)
        else:
            self._bad_commands = 0
            session.write(tagged(tag, condition, text))

    async def _outcome(self, work: Awaitable[bytes]) -> tuple[bytes, bytes]:
        try:
            return b"OK", await work
        except ImapSyntaxError as error:
            return b"BAD", _printable(error)
        except MailboxError as error:
            return b"NO", b"[%s] %s" % (error.code.encode(), _printable(error))
        except MessageGoneError:
            return b"NO", b"[EXPUNGEISSUED] A message is gone"
        except (PeerError, TimeoutError):
            raise
        except Exception as error:
            reference = secrets.token_hex(4)
            user = self._session.account.user
            _log.exception("user=%s reference=%s an IMAP command failed", user, reference)
            code = b""
            if isinstance(error, BackendError) and error.temporary:
                code = b"[UNAVAILABLE] "
            return b"NO", code + b"Internal error, reference " + reference.encode()

    async def _append(self, literal: MessageLiteral) -> None:
        session = self._session
        append = None
        try:
            append = Append(session, literal)
            await append.begin()
        except Exception as error:
            if append is not None:
                append.close()
            condition, text = await self._outcome(_failed(error))
            self._reader.refuse(BadCommand(literal.tag, text, condition))
            return
        await self._carry_out(literal.tag, self._finish(append))

    async def _finish(self, append: Append) -> bytes:
        result = await append.finish(self._reader)
        if isinstance(result, bytes):
            return result
        if result.close:
            self._ending = "limit exceeded"
        raise ImapSyntaxError(result.text.decode("ascii"))

    def _refused(self, refusal: BadCommand) -> None:
        if refusal.condition == b"BAD":
            self._bad(refusal.tag, refusal.text)
        else:
            self._session.write(tagged(refusal.tag, refusal.condition, refusal.text))
        if refusal.close:
            self._session.write(b"* BYE Too much data\r\n")
            self._ending = "limit exceeded"

    def _bad(self, tag: bytes, text: bytes) -> None:
        self._bad_commands += 1
        self._session.write(tagged(tag, b"BAD", text))

    def _judge(self) -> None:
        """End the session if it is over, or cannot go on."""
        session = self._session
        if session.unfinished:
            self._ending = "response cut"
        elif session.leaving:
            self._ending = "logout"
        elif self._bad_commands >= self._bad_command_limit and not self._ending:
            session.write(b"* BYE Too many bad commands\r\n")
            self._ending = "too many bad commands"
        elif session.view is not None and not session.view.mailbox.exists:
            session.write(b"* BYE The selected mailbox was deleted\r\n")
            self._ending = "mailbox deleted"


async def _failed(error: Exception) -> bytes:
    raise error


def _printable(error: Exception) -> bytes:
    """The text of an error on one line of printable US-ASCII."""
    text = str(error).encode("ascii", "replace")
    return bytes(octet if 0x20 <= octet < 0x7F else 0x3F for octet in text)
