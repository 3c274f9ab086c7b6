"""One SMTP connection to a server behind us: opened, introduced, then question and answer.

Raises `PeerError`, `OSError` and `TimeoutError` (another `OSError`), after which the channel must
be aborted. An answer that nobody asked for is never taken for the answer to what is asked next.
"""

from __future__ import annotations

import asyncio

from mailfront.backend.upstream.connecting import Connector, UpstreamConnection
from mailfront.backend.upstream.relay import HIGH_WATER, LOW_WATER
from mailfront.configuration.upstream_list import Upstream
from mailfront.errors import ClientRefusedError, StarttlsError, UpstreamMailError
from mailfront.interfaces.mail_relay import RelayAnswer, RelayClient
from mailfront.interfaces.peer import Peer
from mailfront.protocol.proxy_header import build_header, names_client
from mailfront.protocol.upstream_smtp.commands import QUIT
from mailfront.protocol.upstream_smtp.opening import Opening
from mailfront.protocol.upstream_smtp.replies import ReplyReader, printable

# A PROXY header without a client says LOCAL.
_NOBODY = Peer("", 0, "", 0)
_PUT_OFF = 451


class SmtpChannel:
    """A connection on which the next command is MAIL. `opening` tells what the server offers."""

    __slots__ = ("_connection", "_replies", "opening", "upstream")

    def __init__(self, connection: UpstreamConnection, opening: Opening) -> None:
        self._connection = connection
        self._replies = ReplyReader()
        self.opening = opening
        self.upstream = connection.upstream
        connection.transport.set_write_buffer_limits(high=HIGH_WATER, low=LOW_WATER)

    @classmethod
    async def open(
        cls, connector: Connector, upstream: Upstream, our_name: str, client: RelayClient | None
    ) -> SmtpChannel:
        """Connect and say who we are, and who `client` is; without one, only ask what is offered.

        Raises `ClientRefusedError` if the server, told who the client is, does not serve it.
        """
        peer, tls = (client.peer, client.tls) if client is not None else (_NOBODY, None)
        named = upstream.proxy_header and names_client(peer)
        try:
            connection = await connector.open(upstream, build_header(peer, tls))
        except StarttlsError as failure:
            if not named or failure.refusal is None:
                raise
            # Said in clear, by whomever: no reason to give a message up for good.
            raise ClientRefusedError(_PUT_OFF, (printable(failure.refusal[1]),)) from failure
        delivers = upstream.protocol == "lmtp"
        opening = Opening(
            our_name, client, greeted=connection.greeted, delivers=delivers, named=named
        )
        channel = cls(connection, opening)
        try:
            async with asyncio.timeout(connector.timeout):
                await channel._open()
        except BaseException:
            channel.abort()
            raise
        if (refusal := opening.refusal) is not None:
            channel.leave()
            raise ClientRefusedError(refusal.code, refusal.lines)
        connector.remember(connection)
        return channel

    async def _open(self) -> None:
        if self.opening.first:
            self._connection.transport.write(self.opening.first)
        while not self.opening.is_ready:
            question = self.opening.take(await self._answer())
            if question:
                self._require_silence()
                self._connection.transport.write(question)

    async def ask(self, question: bytes, seconds: float) -> RelayAnswer:
        """Send a command, or the end of a message, and return the answer to it."""
        self._require_silence()
        self._connection.transport.write(question)
        async with asyncio.timeout(seconds):
            return await self._answer()

    async def send(self, octets: bytes, seconds: float) -> None:
        """Send what is not answered; return once more may be sent, or it says something."""
        self._connection.transport.write(octets)
        async with asyncio.timeout(seconds):
            await self._connection.conversation.drained_or_arrived()

    async def unasked(self, seconds: float) -> RelayAnswer | None:
        """An answer that came, or begins to, without a question."""
        if self._replies.is_empty and self._connection.conversation.is_empty():
            return None
        async with asyncio.timeout(seconds):
            return await self._answer()

    @property
    def is_usable(self) -> bool:
        """Whether the server still waits for what we ask next."""
        conversation = self._connection.conversation
        silent = self._replies.is_empty and conversation.is_empty()
        return silent and not conversation.has_ended

    def leave(self) -> None:
        """Say goodbye and close."""
        self._connection.transport.write(QUIT)
        self._connection.transport.close()

    def abort(self) -> None:
        """Close at once: what was sent of a message never gets its end."""
        self._connection.transport.abort()

    async def _answer(self) -> RelayAnswer:
        while (answer := self._replies.next()) is None:
            self._replies.feed(await self._connection.conversation.received())
        return answer

    def _require_silence(self) -> None:
        if not self.is_usable:
            raise UpstreamMailError("it answers what it was not asked, or has gone")
