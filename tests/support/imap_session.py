"""A conversation with the embedded IMAP engine in memory, every response checked by the grammar."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from mailfront.backend.embedded.imap.session import EmbeddedImap
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.backend import AuthenticatedSession
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.tasks import start_task
from mailfront.store.mail_store import MailStore
from tests.support.imap_grammar import check_response, split_responses
from tests.support.memory_transport import MemoryTransport

DEADLINE = 20.0
USER = "alice@example.test"


class Answer(NamedTuple):
    """What came for one command: untagged responses without CRLF and `* `, and the tagged one
    without its tag."""

    untagged: list[bytes]
    tagged: bytes

    @property
    def ok(self) -> bool:
        """Whether the command succeeded."""
        return self.tagged.startswith(b"OK ")


def authenticated_session(
    transport: asyncio.Transport, user: str = USER, *, tag: bytes = b"login", leftover: bytes = b""
) -> AuthenticatedSession:
    """What a front hands over after a login."""
    peer = Peer("127.0.0.1", 40000, "127.0.0.1", 993)
    identity = Identity(user, frozenset((user,)), "PLAIN")
    return AuthenticatedSession(transport, identity, tag, leftover, peer, None, DEADLINE)


class ImapSession:
    """One session. `start` waits for the answer to the login."""

    def __init__(
        self,
        store: MailStore,
        user: str = USER,
        *,
        append_limit: int = 1_000_000,
        bad_command_limit: int = 20,
        leftover: bytes = b"",
        idle_timeout: float = DEADLINE,
    ) -> None:
        self.transport = MemoryTransport()
        session = authenticated_session(self.transport, user, leftover=leftover)
        session.idle_timeout = idle_timeout
        backend = EmbeddedImap(
            store, append_limit=append_limit, bad_command_limit=bad_command_limit
        )
        self.task = start_task(backend.serve(session), name="imap-session")
        self._number = 0
        self._responses: list[bytes] = []
        self._rest = b""

    async def start(self) -> ImapSession:
        """Take the answer to the login."""
        greeting = await self.until(b"login ")
        assert greeting.tagged.startswith(b"OK [CAPABILITY "), greeting
        return self

    async def ask(self, command: bytes) -> Answer:
        """Send a command (literals as `{n+}`) and return its answer."""
        self._number += 1
        tag = b"t%d" % self._number
        self.send(tag + b" " + command + b"\r\n")
        return await self.until(tag + b" ")

    async def expect_ok(self, command: bytes) -> list[bytes]:
        """Send a command that must succeed; return the untagged responses."""
        answer = await self.ask(command)
        assert answer.ok, answer
        return answer.untagged

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.transport.feed(data)

    async def until(self, beginning: bytes) -> Answer:
        """Responses up to the one that begins so (a tag, or `+`)."""
        untagged: list[bytes] = []
        while True:
            response = await self.response()
            if response.startswith(beginning):
                return Answer(untagged, response.removeprefix(beginning).removesuffix(b"\r\n"))
            assert response.startswith(b"* "), response
            untagged.append(response.removeprefix(b"* ").removesuffix(b"\r\n"))

    async def response(self) -> bytes:
        """The next response of any kind."""
        async with asyncio.timeout(DEADLINE):
            while not self._responses:
                found, self._rest = split_responses(self._rest + self.transport.take())
                for each in found:
                    check_response(each)
                self._responses += found
                if not found:
                    assert not self.task.done(), f"ended: {self.task.result()}"
                    await self._more_or_end()
        return self._responses.pop(0)

    async def append(
        self, message: bytes, mailbox: bytes = b"INBOX", before: bytes = b""
    ) -> Answer:
        """APPEND a message; `before` is flags and date."""
        head = b"APPEND %s %s{%d+}\r\n" % (mailbox, before + b" " if before else b"", len(message))
        return await self.ask(head + message)

    async def end(self) -> str:
        """Wait for the end; return the reason."""
        async with asyncio.timeout(DEADLINE):
            return await asyncio.shield(self.task)

    async def close(self) -> None:
        """Hang up and wait for the end."""
        if not self.task.done():
            self.transport.hang_up()
        async with asyncio.timeout(DEADLINE):
            await asyncio.wait({self.task})

    async def _more_or_end(self) -> None:
        more = start_task(self.transport.more(), name="more")
        await asyncio.wait({more, self.task}, return_when=asyncio.FIRST_COMPLETED)
        more.cancel()
