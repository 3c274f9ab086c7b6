"""The contract between SMTP reception (or webmail) and whoever takes responsibility for mail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol


class Destination(Enum):
    """Where a recipient address leads.

    Raises `DirectoryUnavailableError` if that cannot be told now.
    """

    LOCAL = "a mailbox here"
    UNKNOWN_USER = "a local domain without that user"
    FOREIGN = "a domain that is not ours"


@dataclass(frozen=True, slots=True)
class MailOptions:
    """What MAIL said of a message beyond its sender.

    `return_content` is FULL, HDRS or empty, `envelope_id` the xtext of ENVID (RFC 3461 section 4);
    `require_tls` is RFC 8689, `utf8` RFC 6531, `eight_bit` RFC 6152.
    """

    eight_bit: bool = False
    utf8: bool = False
    require_tls: bool = False
    return_content: str = ""
    envelope_id: str = ""


@dataclass(frozen=True, slots=True)
class RecipientOptions:
    """What RCPT said of a recipient (RFC 3461 section 4): `notify` is empty where nothing was said,
    else NEVER alone or some of SUCCESS, FAILURE, DELAY; `original` is the value of ORCPT as it
    came, empty without one."""

    notify: frozenset[str] = frozenset()
    original: str = ""


_NO_MAIL_OPTIONS = MailOptions()
_NO_RECIPIENT_OPTIONS = RecipientOptions()


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope of one message: `sender` is empty for the null reverse-path (RFC 5321 4.5.5).

    `recipient_options` holds only recipients of whom something was said. `identifier` is the name
    that the sending client was told, empty for none; it is never used twice. `from_inside` tells
    that a machine of our own networks brought it, which may send to others without a login.
    """

    sender: str
    recipients: tuple[str, ...]
    authenticated_user: str | None = None
    options: MailOptions = _NO_MAIL_OPTIONS
    recipient_options: Mapping[str, RecipientOptions] = field(default_factory=dict)
    identifier: str = ""
    from_inside: bool = False

    def options_of(self, recipient: str) -> RecipientOptions:
        """What was said of a recipient."""
        return self.recipient_options.get(recipient, _NO_RECIPIENT_OPTIONS)


class Message(Protocol):
    """A received message whose bytes can be read more than once, without their dot-stuffing."""

    @property
    def size(self) -> int:
        """Length in octets."""
        ...

    def chunks(self) -> Iterator[bytes]:
        """The message from its first byte, in chunks of at most 1 MiB."""
        ...


class MessageSink(Protocol):
    """Takes responsibility for messages."""

    async def destination(self, recipient: str) -> Destination:
        """Tell where `recipient` (an address without angle brackets) leads.

        Raises `DirectoryUnavailableError` if that cannot be told now.
        """
        ...

    async def accept(self, envelope: Envelope, message: Message) -> None:
        """Return once the message is durably stored for every recipient.

        Raises `BackendError` if it is stored for none (`temporary` tells whether to try again).
        """
        ...


class Submission(Protocol):
    """The submission path for senders inside the process (webmail): same rules as port 587."""

    async def submit(
        self, user: str, addresses: frozenset[str], recipients: tuple[str, ...], message: bytes
    ) -> None:
        """Send `message` (headers and body, CRLF) from `user`.

        Raises `SubmissionRefusedError` with a text for the person who pressed "send".
        """
        ...
