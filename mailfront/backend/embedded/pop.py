"""POP3 over the embedded store, from the answer to the login until QUIT (RFC 1939, RFC 2449).

The conversation is `pop_transaction`; here are the mailbox, the exclusive access that RFC 1939
section 4 demands, and the stream to the client. Messages are removed only at QUIT. What was
retrieved is marked seen when the session ends, for the sake of IMAP and webmail.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mailfront.backend.client_stream import ClientStream
from mailfront.backend.embedded.pop_transaction import (
    LINE_LIMIT,
    MOST_BAD_COMMANDS,
    Action,
    PopTransaction,
    Quit,
    Reply,
    Retrieve,
    multi_line,
    top_of,
)
from mailfront.errors import (
    BackendError,
    LineTooLongError,
    MessageGoneError,
    ServerStoppingError,
    SessionKickedError,
)
from mailfront.interfaces.backend import AuthenticatedSession
from mailfront.store.account import INBOX, Account
from mailfront.store.flags import SEEN, FlagSet
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import FlagChange, Mailbox, MessageFile


class EmbeddedPop:
    """A `Backend` for the service pop; `bad_command_limit` bad commands end a session."""

    def __init__(self, store: MailStore, *, bad_command_limit: int = MOST_BAD_COMMANDS) -> None:
        self._store = store
        self._bad_command_limit = bad_command_limit

    async def serve(self, session: AuthenticatedSession) -> str:
        """Part of `Backend`."""
        session.password = None
        stream = ClientStream(session.transport, session.leftover, session.idle_timeout)
        try:
            account = await self._store.open_account(session.identity.user)
            lock = account.try_lock_for_pop()
            if lock is None:
                stream.write(b"-ERR [IN-USE] the mailbox is open in another POP3 session\r\n")
                return "mailbox in use"
            try:
                return await self._serve_inbox(stream, account)
            finally:
                lock.release()
        except BackendError as failure:
            code = b"SYS/TEMP" if failure.temporary else b"SYS/PERM"
            stream.write(b"-ERR [%s] the mailbox is not available\r\n" % code)
            return "mailbox not available"

    async def _serve_inbox(self, stream: ClientStream, account: Account) -> str:
        inbox = await self._store.open_mailbox(account, INBOX)
        try:
            return await PopSession(self._store, inbox, stream, self._bad_command_limit).run()
        finally:
            inbox.close()


class PopSession:
    """One client's session over its INBOX."""

    def __init__(
        self, store: MailStore, inbox: Mailbox, stream: ClientStream, bad_command_limit: int
    ) -> None:
        self._store = store
        self._inbox = inbox
        self._stream = stream
        uids, sizes = inbox.uids_and_sizes()
        self._transaction = PopTransaction(
            inbox.uid_validity, uids, sizes, bad_command_limit=bad_command_limit
        )
        self._retrieved: set[int] = set()

    async def run(self) -> str:
        """Serve until the session ends; return why it ended."""
        self._stream.write(b"+OK %s\r\n" % self._transaction.summary())
        try:
            while True:
                try:
                    line = await self._stream.line(LINE_LIMIT)
                except LineTooLongError:
                    self._stream.write(b"-ERR the command line is too long\r\n")
                    return "command line too long"
                action = self._transaction.command(line)
                await self._perform(action)
                if isinstance(action, Quit):
                    return "logout"
                if self._transaction.too_many_bad_commands:
                    self._stream.write(b"-ERR too many bad commands\r\n")
                    return "too many bad commands"
        except SessionKickedError:
            self._stream.write(b"-ERR [SYS/TEMP] an administrator ended this session\r\n")
            raise
        except ServerStoppingError:
            self._stream.write(b"-ERR [SYS/TEMP] the server is stopping\r\n")
            raise
        finally:
            await self._mark_retrieved()

    async def _perform(self, action: Action) -> None:
        match action:
            case Reply(octets):
                self._stream.write(octets)
                await self._stream.drain()
            case Retrieve(uid, size, lines):
                await self._send(uid, size, lines)
            case Quit(uids):
                await self._update(uids)

    async def _send(self, uid: int, size: int, lines: int | None) -> None:
        try:
            file = await self._opened(uid)
        except MessageGoneError:
            self._stream.write(b"-ERR this message was removed by another session\r\n")
            return
        except BackendError:
            self._stream.write(b"-ERR [SYS/TEMP] this message cannot be read now\r\n")
            return
        with file:
            pieces = file.chunks()
            if lines is None:
                self._stream.write(b"+OK %d octets\r\n" % size)
                self._retrieved.add(uid)
            else:
                self._stream.write(b"+OK\r\n")
                pieces = top_of(pieces, lines)
            await self._send_pieces(multi_line(pieces))

    async def _opened(self, uid: int) -> MessageFile:
        with self._inbox.held() as free:
            if free:
                return self._inbox.open_message(uid)
        # Another session has much to do in the mailbox.
        return await self._store.obtain(MessageFile.close, self._inbox.open_message, uid)

    async def _send_pieces(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self._stream.write(piece)
            await self._stream.drain()

    async def _update(self, uids: tuple[int, ...]) -> None:
        try:
            await self._store.run(self._inbox.expunge, uids)
        except BackendError:
            self._stream.write(b"-ERR [SYS/TEMP] some deleted messages are not removed\r\n")
        else:
            self._stream.write(b"+OK goodbye\r\n")

    async def _mark_retrieved(self) -> None:
        retrieved = sorted(self._retrieved)
        if retrieved:
            # Not worth an error at the end of a session: the messages stay unseen.
            with contextlib.suppress(BackendError):
                await self._store.run(
                    self._inbox.store_flags,
                    retrieved,
                    FlagChange.ADD,
                    FlagSet(SEEN),
                )
