"""The two sets of facts of an SMTP session, as aiosmtpd divides them.

`SessionFacts` are about the connection since the last EHLO or TLS handshake, `Transaction` is one
mail between MAIL and the end of DATA; RSET, EHLO and STARTTLS begin a new one.
"""

from __future__ import annotations

import asyncio

from aiosmtpd.smtp import Envelope, Session

from mailfront.front.smtp.data_transfer import ChunkTransfer
from mailfront.front.smtp.inbound import USERS
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.mail_relay import RelayClient, RelayConversation, RelayOffer
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.protocol.smtp.trace import protocol_name


class SessionFacts(Session):
    """`host_name` is what EHLO said, `extended_smtp` whether it was EHLO, `identity` who logged
    in. `is_known` tells that somebody logged in from there to read mail. `offer` is what the answer
    to EHLO told; `relayed` the transactions with a server behind us, and as whose; `inbound` is the
    client's channel."""

    def __init__(self, loop: asyncio.AbstractEventLoop, remote: Peer, tls: TlsFacts | None) -> None:
        super().__init__(loop)
        self.remote = remote
        self.tls = tls
        self.identity: Identity | None = None
        self.is_known = False
        self.offer = RelayOffer()
        self.inbound = USERS
        self.relayed: tuple[RelayClient, RelayConversation] | None = None

    def protocol(self, *, utf8: bool) -> str:
        """The name of the protocol in use, for the Received field."""
        return protocol_name(
            extended=self.extended_smtp,
            utf8=utf8,
            tls=self.tls is not None,
            authenticated=bool(self.authenticated),
        )


class Transaction(Envelope):
    """`mail_from` is None before MAIL, empty for the null reverse-path; `rcpt_tos` are the
    accepted recipients. `options` are what MAIL said, `recipient_options` what RCPT said of those
    recipients of whom it said anything; `chunks` is the message between one BDAT and the next."""

    def __init__(self) -> None:
        super().__init__()
        self.options = MailOptions()
        self.chunks: ChunkTransfer | None = None
        self.recipient_options: dict[str, RecipientOptions] = {}
