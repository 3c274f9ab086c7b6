"""A webmail application over memory, with one user and the corpus in the inbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from mailfront.front.http.application import create_application, services_for
from mailfront.front.http.services import Services
from mailfront.front.http.settings import MailAccess, WebSettings
from tests.support.memory_mail import (
    MemoryAuthenticator,
    MemoryReader,
    MemoryStatus,
    MemorySubmission,
)

CORPUS = Path(__file__).parents[1] / "corpus" / "messages"
USER, PASSWORD = "alice@example.test", "correct horse <battery>"
ALIAS = "office@example.test"
SETTINGS = WebSettings(
    hostname="mail.example.test",
    domain="example.test",
    mail_access=(MailAccess("imap", 993, "SSL"), MailAccess("smtp", 465, "SSL")),
    message_size_limit=200_000,
)


def corpus(name: str) -> bytes:
    return (CORPUS / f"{name}.eml").read_bytes()


@dataclass
class Webmail:
    """The parts of one application, to look at after it was used."""

    settings: WebSettings = SETTINGS
    inbox: list[bytes] = field(default_factory=lambda: [corpus("plain")])
    status: MemoryStatus = field(default_factory=MemoryStatus)

    def __post_init__(self) -> None:
        self.authenticator = MemoryAuthenticator({USER: PASSWORD}, {USER: frozenset({ALIAS})})
        self.reader = MemoryReader({"INBOX": self.inbox, "Sent": [], "A & b/ü": [corpus("digest")]})
        self.submission = MemorySubmission()

    def application(self) -> web.Application:
        return create_application(self.services())

    def services(self) -> Services:
        return services_for(
            self.settings,
            authenticator=self.authenticator,
            reader=self.reader,
            submission=self.submission,
            status_source=self.status,
        )
