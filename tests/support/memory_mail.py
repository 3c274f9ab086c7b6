"""Small real implementations of the interfaces behind webmail, all in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mailfront.errors import BackendError, SubmissionRefusedError
from mailfront.interfaces.authenticator import Identity, LoginClient, Refusal
from mailfront.interfaces.credentials import (
    CertificateCredentials,
    Credentials,
    PasswordCredentials,
    ScramVerifier,
)
from mailfront.interfaces.mail_reader import Folder, MessageSummary
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.status import CertificateStatus, PortStatus, ServerStatus
from mailfront.protocol.mime.address import mailboxes, parse_addresses
from mailfront.protocol.mime.encoded_word import decode_words
from mailfront.protocol.mime.scan import scan

RECEIVED = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


@dataclass
class MemoryAuthenticator:
    """Passwords by login, and `holder`, to whom every certificate belongs; the peers that asked
    are kept."""

    passwords: dict[str, str]
    aliases: dict[str, frozenset[str]] = field(default_factory=dict)
    peers: list[Peer] = field(default_factory=list)
    unavailable: bool = False
    holder: str = ""

    async def authenticate(
        self, client: LoginClient, credentials: Credentials
    ) -> Identity | Refusal:
        assert client.service == "http"
        self.peers.append(client.peer)
        if self.unavailable:
            return Refusal("try later", "directory unreachable", temporary=True)
        if isinstance(credentials, CertificateCredentials):
            return await self.certificate_holder(client)
        assert isinstance(credentials, PasswordCredentials)
        login = credentials.login
        if self.passwords.get(login) != credentials.password.reveal():
            return Refusal("Authentication failed", "wrong password or unknown user")
        addresses = frozenset({login}) | self.aliases.get(login, frozenset())
        return Identity(login, addresses, client.method)

    async def scram_verifier(self, client: LoginClient, login: str) -> ScramVerifier | Refusal:
        raise NotImplementedError

    async def certificate_holder(self, client: LoginClient) -> Identity | Refusal:
        if self.unavailable:
            return Refusal("try later", "directory unreachable", temporary=True)
        if client.certificate is None or not self.holder:
            return Refusal("Not yours", "no entry")
        return Identity(self.holder, frozenset({self.holder}), client.method, by_certificate=True)

    def accepts_certificate(self, client: LoginClient) -> bool:
        return client.certificate is not None and client.certificate.verified


@dataclass
class MemoryReader:
    """Messages by folder, the same for every user; UIDs are positions from 1."""

    contents: dict[str, list[bytes]]
    seen: set[tuple[str, int]] = field(default_factory=set)
    received: datetime = RECEIVED
    sent_fails: bool = False

    async def folders(self, user: str) -> list[Folder]:
        return [
            Folder(
                name,
                len(messages),
                sum((name, uid) not in self.seen for uid in range(1, len(messages) + 1)),
            )
            for name, messages in self.contents.items()
        ]

    async def messages(
        self, user: str, folder: str, *, offset: int, limit: int
    ) -> list[MessageSummary]:
        newest_first = list(enumerate(self.contents[folder], 1))[::-1]
        return [self._summary(folder, *row) for row in newest_first[offset : offset + limit]]

    def _summary(self, folder: str, uid: int, message: bytes) -> MessageSummary:
        part = scan(message)
        authors = mailboxes(parse_addresses(part.header(b"from") or b""))
        sender = decode_words(authors[0].name or authors[0].address) if authors else ""
        return MessageSummary(
            uid=uid,
            sender=sender,
            subject=decode_words(part.header(b"subject") or b""),
            received=self.received - timedelta(hours=7 * (len(self.contents[folder]) - uid)),
            size=len(message),
            seen=(folder, uid) in self.seen,
        )

    async def message(self, user: str, folder: str, uid: int) -> bytes:
        messages = self.contents.get(folder, [])
        if not 1 <= uid <= len(messages):
            raise BackendError("no such message", temporary=False)
        self.seen.add((folder, uid))
        return messages[uid - 1]

    async def file_sent(self, user: str, message: bytes) -> None:
        if self.sent_fails:
            raise BackendError("no space", temporary=True)
        self.contents.setdefault("Sent", []).append(message)


@dataclass
class MemorySubmission:
    """Keeps what was submitted; refuses recipients outside `domain`."""

    domain: str = "example.test"
    submitted: list[tuple[str, tuple[str, ...], bytes]] = field(default_factory=list)

    async def submit(
        self, user: str, addresses: frozenset[str], recipients: tuple[str, ...], message: bytes
    ) -> None:
        for recipient in recipients:
            if not recipient.endswith("@" + self.domain):
                raise SubmissionRefusedError(f"{recipient}: mail to other domains is not sent")
        self.submitted.append((user, recipients, message))


@dataclass
class MemoryStatus:
    """A fixed status, with certificates that expire in `days`."""

    days: int = 60
    problems: tuple[str, ...] = ()
    certificates: tuple[CertificateStatus, ...] = ()

    def status(self) -> ServerStatus:
        now = datetime.now(UTC)
        expires = now + timedelta(days=self.days, hours=1)
        fingerprint = ":".join(["AB"] * 32)
        ports = [
            PortStatus(service, name, "127.0.0.1", port, tls, f"{service}-cert", fingerprint,
                       expires, connections)
            for service, name, port, tls, connections in [
                ("imta", "SMTP", 2525, "starttls", 3), ("imta", "Submission", 2587, "starttls", 0),
                ("imta", "Submissions", 2465, "implicit", 1), ("imap", "IMAP", 2143, "starttls", 2),
                ("imap", "IMAPS", 2993, "implicit", 41), ("pop", "POP3", 2110, "starttls", 0),
                ("pop", "POP3S", 2995, "implicit", 0), ("http", "HTTPS", 2443, "implicit", 2),
            ]
        ]  # fmt: skip
        return ServerStatus(
            version="0.1",
            pid=4242,
            started=now - timedelta(days=2, hours=5),
            event_loop="uvloop",
            ports=tuple(ports),
            problems=self.problems,
            certificates=self.certificates,
            counters={"handshake.finished": 1893, "handshake.failed": 12, "login.refused": 4},
        )
