"""An SMTP session without sockets: a transport in memory, users, a sink, a written conversation."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mailfront.errors import DirectoryUnavailableError
from mailfront.front.smtp import Role, SmtpFront, SmtpSettings
from mailfront.interfaces.authenticator import Identity, LoginClient, Refusal
from mailfront.interfaces.credentials import (
    BearerCredentials,
    Credentials,
    PasswordCredentials,
    ScramCredentials,
    ScramVerifier,
)
from mailfront.interfaces.mail_relay import MailRelay
from mailfront.interfaces.message_sink import Destination, Envelope, Message
from mailfront.interfaces.peer import Peer, TlsFacts

TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, resumed=False, nickname="smtp-cert")
ALICE = "alice@example.test"
BOB = "bob@example.test"
PASSWORD = "correct-horse-battery"
LOCAL = frozenset({ALICE, "alias@example.test", BOB, "postmaster@example.test", "ü@example.test"})


class Users:
    """One user, whose address is her login, and whose every verified certificate is."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, str, str]] = []
        self.asked: list[Credentials] = []
        self.temporary = False
        self.verifier: ScramVerifier | None = None

    async def authenticate(
        self, client: LoginClient, credentials: Credentials
    ) -> Identity | Refusal:
        self.asked.append(credentials)
        alice = Identity(ALICE, frozenset({ALICE, "alias@example.test"}), client.method)
        if isinstance(credentials, PasswordCredentials):
            login = credentials.login
            right = (login, credentials.password.reveal()) == (ALICE, PASSWORD)
        elif isinstance(credentials, ScramCredentials):
            login, right = credentials.login, credentials.proven
        elif isinstance(credentials, BearerCredentials):
            login, right = credentials.authorization, credentials.token.reveal() == PASSWORD
        else:
            login, right = credentials.authorization, client.certificate is not None
        self.attempts.append((client.service, login, client.method))
        if self.temporary:
            return Refusal("later", "directory away", temporary=True)
        return alice if right else Refusal("wrong", "wrong password")

    async def scram_verifier(self, client: LoginClient, login: str) -> ScramVerifier | Refusal:
        return self.verifier or Refusal("later", "directory away", temporary=True)

    async def certificate_holder(self, client: LoginClient) -> Identity | Refusal:
        raise NotImplementedError

    def accepts_certificate(self, client: LoginClient) -> bool:
        return client.certificate is not None and client.certificate.verified


class Sink:
    """Keeps what it accepts; `failure` is raised instead.

    Recipients are judged once `asking` is done, and not at all while `unavailable`.
    """

    def __init__(self) -> None:
        self.accepted: list[tuple[Envelope, bytes]] = []
        self.failure: Exception | None = None
        self.release: asyncio.Event | None = None
        self.asking: asyncio.Future[None] | None = None
        self.unavailable = False

    async def destination(self, recipient: str) -> Destination:
        if self.asking is not None:
            await self.asking
        if self.unavailable:
            raise DirectoryUnavailableError("no server answers")
        if not recipient.endswith("@example.test"):
            return Destination.FOREIGN
        return Destination.LOCAL if recipient.lower() in LOCAL else Destination.UNKNOWN_USER

    async def accept(self, envelope: Envelope, message: Message) -> None:
        if self.release is not None:
            await self.release.wait()
        if self.failure is not None:
            raise self.failure
        content = b"".join(message.chunks())
        assert len(content) == message.size
        self.accepted.append((envelope, content))


@dataclass
class Record:
    """What a front notes on its connection."""

    user: str = ""
    method: str = ""
    reason: str = ""

    def end(self, reason: str) -> None:
        self.reason = self.reason or reason


class MemoryTransport(asyncio.Transport):
    """A client's connection in memory; `start_tls` waits for the test to finish the handshake."""

    def __init__(self, tls: TlsFacts | None) -> None:
        super().__init__()
        self.peer = Peer("192.0.2.7", 40000, "192.0.2.1", 25)
        self.record = Record()
        self.tls_facts = tls
        self.sent = b""
        self.writes = 0
        self.closed = False
        self.paused = False
        self.handshake: Callable[[TlsFacts], None] | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)
        self.writes += 1

    def channel_binding(self, kind: str) -> bytes | None:
        return kind.encode()

    def start_tls(self, on_done: Callable[[TlsFacts], None]) -> None:
        self.handshake = on_done

    def close(self) -> None:
        self.closed = True

    abort = close_lingering = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


@dataclass
class SmtpConversation:
    """One session: what the test sends, and the reply lines that came back."""

    role: Role = Role.MX
    settings: SmtpSettings = field(default_factory=lambda: SmtpSettings("mx.example.test"))
    tls: TlsFacts | None = None
    users: Users = field(default_factory=Users)
    sink: Sink = field(default_factory=Sink)
    counters: Counter[str] = field(default_factory=Counter)
    relay: MailRelay | None = None

    def __post_init__(self) -> None:
        front = SmtpFront(self.role, self.settings, self.users, self.sink, self._count, self.relay)
        self.transport = MemoryTransport(self.tls)
        self.protocol = front()
        self.protocol.connection_made(self.transport)

    def _count(self, name: str) -> None:
        self.counters[name] += 1

    @property
    def closed(self) -> bool:
        return self.transport.closed

    async def replies(self) -> list[str]:
        """Everything sent since the last call, once the session has come to rest."""
        for _ in range(20):
            await asyncio.sleep(0)
        sent, self.transport.sent = self.transport.sent, b""
        return sent.decode("ascii").splitlines()

    async def say(self, *lines: str | bytes) -> list[str]:
        """Send command lines in one piece; return the replies."""
        encoded = (line if isinstance(line, bytes) else line.encode() for line in lines)
        return await self.send(b"".join(line + b"\r\n" for line in encoded))

    async def send(self, data: bytes) -> list[str]:
        """Send octets in one piece; return the replies."""
        if not self.closed:
            self.protocol.data_received(data)
        return await self.replies()

    async def greeted(self) -> SmtpConversation:
        """This conversation after greeting and EHLO."""
        await self.replies()
        await self.say("EHLO client.example")
        return self

    async def handshake(self) -> None:
        """Finish the TLS handshake that the session has asked for."""
        assert self.transport.handshake is not None
        self.transport.tls_facts = TLS
        self.transport.handshake(TLS)
        await self.replies()

    async def finish(self) -> None:
        """The client goes away."""
        self.transport.closed = True
        self.protocol.connection_lost(None)
        await self.replies()


def code_of(replies: list[str]) -> str:
    """Basic and enhanced code of the only reply."""
    assert len(replies) == 1, replies
    return " ".join(replies[0].split()[:2])
