"""The contract between SMTP reception and a server behind us that judges and takes the mail.

Nothing is stored on this side: every answer is that server's, and its answer to the end of a
message is what the client is told. Whatever keeps it from answering is a `BackendError`; what was
sent of a message until then counts for nothing, there as here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.interfaces.peer import Peer, TlsFacts

_NO_MAIL_OPTIONS = MailOptions()
_NO_RECIPIENT_OPTIONS = RecipientOptions()


@dataclass(frozen=True, slots=True)
class RelayOffer:
    """What is behind us can do: other servers, or what takes mail here. `size_limit` is in octets,
    None where there is none; `dsn` is RFC 3461, `require_tls` RFC 8689."""

    size_limit: int | None = None
    eight_bit: bool = True
    utf8: bool = True
    dsn: bool = False
    require_tls: bool = False


@dataclass(frozen=True, slots=True)
class RelayAnswer:
    """An answer: its code, and its lines in printable ASCII without the code, at least one."""

    code: int
    lines: tuple[str, ...]

    @property
    def accepts(self) -> bool:
        """Whether what was asked is granted."""
        return 200 <= self.code < 300


@dataclass(frozen=True, slots=True)
class RelayClient:
    """Whose mail it is: `user` is who logged in, empty for nobody; `extended` tells EHLO from
    HELO."""

    peer: Peer
    tls: TlsFacts | None
    hello: str
    extended: bool
    user: str = ""


@dataclass(frozen=True, slots=True)
class RelayedMail:
    """What MAIL says: `sender` is empty for the null reverse-path, `size` None if not told."""

    sender: str
    size: int | None = None
    options: MailOptions = _NO_MAIL_OPTIONS


class RelayConversation(Protocol):
    """The transactions of one client, one after the other. Every method that waits may raise
    `BackendError`; the transaction is then lost, and the next `mail` begins anew."""

    async def mail(self, mail: RelayedMail) -> RelayAnswer:
        """Begin a transaction, giving up one that is under way."""
        ...

    async def recipient(
        self, address: str, options: RecipientOptions = _NO_RECIPIENT_OPTIONS
    ) -> RelayAnswer:
        """Name a recipient."""
        ...

    async def data(self, *, chunked: bool = False) -> RelayAnswer:
        """Ask to send the message: 354 invites. `chunked` is how it comes in, and goes on where the
        server takes that (RFC 3030)."""
        ...

    async def send(self, octets: bytes) -> RelayAnswer | None:
        """Send a part of the message, whose lines all end with CRLF, without dot-stuffing.

        Returns None once more may be sent, or the refusal that came before the end.
        """
        ...

    async def finish(self, octets: bytes) -> RelayAnswer:
        """Send the last part and end the message; return who is responsible for it now."""
        ...

    def drop(self) -> None:
        """End everything. A message that was not finished is not accepted."""
        ...


class MailRelay(Protocol):
    """The servers behind one kind of port."""

    async def offer(self) -> RelayOffer:
        """What they can do, as far as it can be told now. Raises nothing."""
        ...

    def conversation(self, client: RelayClient) -> RelayConversation:
        """The transactions of a client; nothing is connected before the first MAIL."""
        ...
