"""What webmail needs of a backend: folders, lists of messages, one message."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Folder:
    """A mailbox: its name for people (decoded, `/` between levels), and counts."""

    name: str
    messages: int
    unseen: int


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """One row of a message list; texts are decoded for people."""

    uid: int
    sender: str
    subject: str
    received: datetime
    size: int
    seen: bool


class MailReader(Protocol):
    """Read access to one user's mail. Every method raises `BackendError` when the folder or the
    message does not exist."""

    async def folders(self, user: str) -> list[Folder]:
        """All folders, INBOX first."""
        ...

    async def messages(
        self, user: str, folder: str, *, offset: int, limit: int
    ) -> list[MessageSummary]:
        """Newest first."""
        ...

    async def message(self, user: str, folder: str, uid: int) -> bytes:
        """The bytes of one message; marks it seen."""
        ...

    async def file_sent(self, user: str, message: bytes) -> None:
        """Keep a copy of a sent message in the folder with the Sent role."""
        ...
