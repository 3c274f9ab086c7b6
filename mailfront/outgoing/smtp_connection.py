"""One connection to another server's SMTP port: commands, replies, and content with back-pressure.

Raises `PeerError` and `OSError` (a time-out is one); the connection must be aborted then. A reply
that nobody asked for is never taken for the answer to what is asked next.
"""

from __future__ import annotations

import asyncio
import ssl

from mailfront.errors import PeerGoneError, UpstreamMailError, UpstreamTlsError
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.outgoing.smtp_commands import QUIT
from mailfront.protocol.upstream_smtp.replies import ReplyReader
from mailfront.tls.client_transport import ClientTransport
from mailfront.tls.conversation import Conversation

_HIGH_WATER, _LOW_WATER = 256 * 1024, 64 * 1024


class SmtpConnection:
    """A connection; `address` is where it leads to."""

    __slots__ = ("_conversation", "_replies", "_transport", "address")

    def __init__(
        self, address: str, transport: ClientTransport, conversation: Conversation
    ) -> None:
        self.address = address
        self._transport = transport
        self._conversation = conversation
        self._replies = ReplyReader()
        transport.set_write_buffer_limits(high=_HIGH_WATER, low=_LOW_WATER)

    @classmethod
    async def open(cls, address: str, port: int, seconds: float) -> SmtpConnection:
        """Connect to an IP address."""
        loop = asyncio.get_running_loop()
        conversation = Conversation()
        transport = ClientTransport(loop, conversation)
        async with asyncio.timeout(seconds):
            await loop.create_connection(lambda: transport, address, port)
        return cls(address, transport, conversation)

    async def ask(self, command: bytes, seconds: float) -> RelayAnswer:
        """Send a command or the end of a message; return the reply to it."""
        self.require_silence()
        self._transport.write(command)
        return await self.reply(seconds)

    def write(self, commands: bytes) -> None:
        """Send commands whose replies are read one by one."""
        self._transport.write(commands)

    async def reply(self, seconds: float) -> RelayAnswer:
        """Return the next reply."""
        async with asyncio.timeout(seconds):
            while (answer := self._replies.next()) is None:
                self._replies.feed(await self._conversation.received())
        return answer

    async def send(self, octets: bytes, seconds: float) -> None:
        """Send content; return once more may be sent, or the server says something."""
        self._transport.write(octets)
        async with asyncio.timeout(seconds):
            await self._conversation.drained_or_arrived()

    @property
    def is_silent(self) -> bool:
        """Whether nothing was said that was not read."""
        return self._replies.is_empty and self._conversation.is_empty()

    @property
    def is_usable(self) -> bool:
        """Whether the server waits for the next command."""
        return self.is_silent and not self._conversation.has_ended

    def require_silence(self) -> None:
        """Raise `UpstreamMailError` if something was said out of turn."""
        if not self.is_usable:
            raise UpstreamMailError("it answers what it was not asked, or has gone")

    async def start_tls(self, context: ssl.SSLContext, name: str, seconds: float) -> ssl.SSLObject:
        """Make a TLS connection of it, after the server's go-ahead.

        Raises `UpstreamTlsError` too. Octets in clear behind the go-ahead end it: they would be
        taken for what the server says inside TLS (RFC 3207 section 6).
        """
        if not self.is_silent:
            raise UpstreamMailError("octets in clear behind its go-ahead for TLS")
        try:
            async with asyncio.timeout(seconds):
                await self._transport.start_tls(context, name)
        except ValueError as failure:
            raise UpstreamTlsError(f"no name for TLS: {name}") from failure
        except TimeoutError as failure:
            raise UpstreamTlsError("no answer in time") from failure
        except PeerGoneError as failure:
            raise UpstreamTlsError(str(failure)) from failure
        tls = self._transport.tls
        if tls is None:
            raise UpstreamTlsError("TLS ended at once")
        return tls

    @property
    def own_address(self) -> str:
        """Our end of it."""
        name = self._transport.get_extra_info("sockname")
        return str(name[0]) if name else ""

    def leave(self) -> None:
        """Say goodbye and close, without waiting for the answer."""
        self._transport.write(QUIT)
        self._transport.close()

    def abort(self) -> None:
        """Close at once: what was sent of a message never gets its end."""
        self._transport.abort()
