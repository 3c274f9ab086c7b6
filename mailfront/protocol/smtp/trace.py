"""Header fields that a server adds or judges: Received, Date, Message-ID.

RFC 5321 section 4.4 (form of Received), RFC 3848 and RFC 6531 section 4.3 (protocol names), RFC
6409 section 8 (what a submission server may add).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime

from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.protocol.smtp.address import address_literal

# RFC 5321 section 6.3: a large number, at least 100.
MAXIMUM_RECEIVED = 100


@dataclass(frozen=True, slots=True)
class Reception:
    """How a message came in: all that its Received field tells."""

    hello: str
    peer: Peer
    server: str
    protocol: str
    tls: TlsFacts | None
    identifier: str
    recipients: tuple[str, ...]
    time: datetime


def protocol_name(*, extended: bool, utf8: bool, tls: bool, authenticated: bool) -> str:
    """The registered name of the protocol used, such as `ESMTPSA`."""
    if utf8:
        name = "UTF8SMTP"
    elif extended:
        name = "ESMTP"
    else:
        # Without EHLO there is no registered name that tells of TLS.
        return "SMTP"
    return f"{name}{'S' if tls else ''}{'A' if authenticated else ''}"


def received_field(reception: Reception) -> bytes:
    """The Received field, line ends included. A single recipient is named, several never are:
    each would see the others (RFC 5321 section 7.6)."""
    tls = reception.tls
    details = f" ({tls.version} {tls.suite})" if tls is not None else ""
    lines = [
        f"Received: from {reception.hello} ({address_literal(reception.peer.address)})",
        f"\tby {reception.server} with {reception.protocol}{details}",
        f"\tid {reception.identifier}",
    ]
    if len(reception.recipients) == 1:
        lines.append(f"\tfor <{reception.recipients[0]}>")
    lines[-1] += ";"
    lines.append(f"\t{format_datetime(reception.time)}\r\n")
    return "\r\n".join(lines).encode()


def webmail_received_field(server: str, identifier: str, time: datetime) -> bytes:
    """The Received field of a message that was written on this server's own pages."""
    return (
        f"Received: by {server} (webmail) id {identifier};\r\n\t{format_datetime(time)}\r\n"
    ).encode("ascii")


@dataclass(frozen=True, slots=True)
class HeaderFacts:
    """What the header section of a message contains."""

    received: int
    has_date: bool
    has_message_id: bool


def inspect_header(head: bytes) -> HeaderFacts:
    """Look through the header section at the beginning of `head` (the body may follow)."""
    end = 0 if head.startswith(b"\r\n") else head.find(b"\r\n\r\n")
    header = b"\r\n" + (head if end < 0 else head[:end]).lower()
    return HeaderFacts(
        header.count(b"\r\nreceived:"),
        has_date=b"\r\ndate:" in header,
        has_message_id=b"\r\nmessage-id:" in header,
    )


def completing_fields(facts: HeaderFacts, identifier: str, server: str, time: datetime) -> bytes:
    """The Date and Message-ID fields that a submitted message lacks (RFC 6409 section 8)."""
    fields = []
    if not facts.has_date:
        fields.append(f"Date: {format_datetime(time)}\r\n")
    if not facts.has_message_id:
        fields.append(f"Message-ID: <{identifier}@{server}>\r\n")
    return "".join(fields).encode("ascii")
