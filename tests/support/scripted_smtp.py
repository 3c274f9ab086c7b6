"""An SMTP server that behaves as a test says: honest, stripped, hostile, slow or broken.

Every reply can be set by the verb it answers; what it is told is kept.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from tests.support.ports import LOOPBACK

OFFER = ("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")


@dataclass
class Script:
    """How it behaves. `replies` are used up one by one per verb, the last one staying; the verb of
    the greeting is GREETING, of a message's end END. `hang_up` names the verbs after which it
    closes without an answer, `inject` what follows the go-ahead for TLS in the same flight."""

    context: ssl.SSLContext | None = None
    offer: Sequence[str] = OFFER
    tls_offer: Sequence[str] | None = None
    replies: dict[str, list[str]] = field(default_factory=dict)
    hang_up: frozenset[str] = frozenset()
    inject: bytes = b""
    breaks_tls: bool = False
    refuses_at: int = 0


class ScriptedServer:
    """Listens on a port of its own. `sessions` holds the commands of each connection, `messages`
    the contents, `tls` whether each was sent in TLS."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.port = 0
        self.sessions: list[list[str]] = []
        self.messages: list[bytes] = []
        self.tls: list[bool] = []
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        commands: list[str] = []
        self.sessions.append(commands)
        if not self._answer(writer, "GREETING", "220 scripted.test ESMTP"):
            return
        secure = False
        while line := await reader.readline():
            command = line.decode().rstrip("\r\n")
            commands.append(command)
            verb = command.split(":")[0].split(" ")[0].upper()
            if verb in self.script.hang_up:
                return
            if verb == "EHLO":
                offer = list(self.script.offer)
                if secure and self.script.tls_offer is not None:
                    offer = list(self.script.tls_offer)
                elif self.script.context is not None and not secure:
                    offer.append("STARTTLS")
                lines = ["scripted.test", *offer]
                hello = "\r\n".join(
                    f"250{' ' if number == len(lines) - 1 else '-'}{each}"
                    for number, each in enumerate(lines)
                )
                self._answer(writer, verb, hello)
            elif verb == "STARTTLS" and self.script.context is not None:
                writer.write(b"220 go ahead\r\n" + self.script.inject)
                await writer.drain()
                if self.script.breaks_tls:
                    await reader.read(1)
                    writer.write(b"this is no TLS at all\r\n")
                    await writer.drain()
                    return
                await writer.start_tls(self.script.context)
                secure = True
            elif verb == "DATA":
                if self._answer(writer, verb, "354 go on").startswith("354") and not (
                    await self._message(reader, writer, secure)
                ):
                    return
            elif verb == "QUIT":
                self._answer(writer, verb, "221 bye")
                return
            else:
                self._answer(writer, verb, "250 2.0.0 fine")
            await writer.drain()

    async def _message(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, secure: bool
    ) -> bool:
        content = b""
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                return False
            content += line
            if self.script.refuses_at and len(content) > self.script.refuses_at:
                self._answer(writer, "END", "552 5.3.4 too much")
                await writer.drain()
                return False
        self.messages.append(content)
        self.tls.append(secure)
        if "END" in self.script.hang_up:
            return False
        self._answer(writer, "END", "250 2.0.0 taken")
        return True

    def _answer(self, writer: asyncio.StreamWriter, verb: str, default: str) -> str:
        scripted = self.script.replies.get(verb)
        reply = default
        if scripted:
            reply = scripted.pop(0) if len(scripted) > 1 else scripted[0]
        writer.write(f"{reply}\r\n".encode())
        return reply
