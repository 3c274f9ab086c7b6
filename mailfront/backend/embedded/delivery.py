"""Final delivery into the embedded store: the message sink of SMTP reception and of webmail.

Adds the Return-Path line of RFC 5321 section 4.4 in front of the message and changes nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator

from mailfront.errors import BackendError, DirectoryUnavailableError
from mailfront.interfaces.message_sink import Destination, Envelope, Message
from mailfront.store.mail_store import MailStore

Resolve = Callable[[str], Awaitable[tuple[Destination, str]]]


class StoreSink:
    """A `MessageSink`. `resolve` tells where an address leads and, for a local one, whose mailbox
    it is (the user's canonical address)."""

    def __init__(self, store: MailStore, resolve: Resolve) -> None:
        self._store = store
        self._resolve = resolve

    async def destination(self, recipient: str) -> Destination:
        """Part of `MessageSink`."""
        return (await self._resolve(recipient))[0]

    async def accept(self, envelope: Envelope, message: Message) -> None:
        """Part of `MessageSink`: one copy for each user, however many of their addresses are named.

        If it fails for one user it is taken back from all (see `store.delivery` for what a crash
        in the middle leaves).
        """
        users = await self._users(envelope.recipients)
        first_line = _return_path(envelope.sender)
        await self._store.run(self._store.deliver, users, _with_first_line(first_line, message))

    async def _users(self, recipients: tuple[str, ...]) -> list[str]:
        users: dict[str, None] = {}
        for recipient in recipients:
            try:
                destination, user = await self._resolve(recipient)
            except DirectoryUnavailableError as error:
                raise BackendError(f"recipients: {error}", temporary=True) from error
            if destination is not Destination.LOCAL:
                # True when the recipient was accepted, not any more: a user was just removed.
                raise BackendError("a recipient has no mailbox here", temporary=False)
            users[user] = None
        if not users:
            raise BackendError("the message has no recipient", temporary=False)
        return list(users)


def _return_path(sender: str) -> bytes:
    if not sender.isprintable() or any(character in "<>" for character in sender):
        raise BackendError("the sender is not an address", temporary=False)
    return b"Return-Path: <%s>\r\n" % sender.encode("utf-8")


def _with_first_line(first_line: bytes, message: Message) -> Iterator[bytes]:
    chunks = message.chunks()
    # One write for a message that comes in one piece.
    yield first_line + next(chunks, b"")
    yield from chunks
