"""What a server offers, and the commands of a transaction with it, made from what it offers.

Takes the answer to EHLO and an envelope; gives command lines. RFC 5321 sections 3.3 and 4.1, RFC
1870 (SIZE), RFC 2920 (PIPELINING), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 3461 (DSN), RFC
8689 (REQUIRETLS), RFC 4954 (AUTH).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailfront.errors import AddressError, DestinationError
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.interfaces.message_sink import Envelope
from mailfront.outgoing.message_form import MessageForm
from mailfront.protocol.mail_address import canonical_domain

QUIT = b"QUIT\r\n"
DATA = b"DATA\r\n"
STARTTLS = b"STARTTLS\r\n"

_SIZE = re.compile(r"[0-9]{1,20}")
# No control characters, and nothing that ends a path before its end.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f<>]")
_PARAMETER = re.compile(r"[!-~]{1,1024}")


@dataclass(frozen=True, slots=True)
class Offer:
    """What EHLO announced. `size_limit` is 0 where none is told; `mechanisms` in upper case."""

    hello: str = ""
    starttls: bool = False
    pipelining: bool = False
    size: bool = False
    size_limit: int = 0
    eight_bit: bool = False
    utf8: bool = False
    notifications: bool = False
    require_tls: bool = False
    mechanisms: frozenset[str] = frozenset()


def offer_of(answer: RelayAnswer) -> Offer:
    """Read the answer to EHLO (RFC 5321 section 4.1.1.1); what cannot be read is not offered."""
    words = [line.upper().replace("AUTH=", "AUTH ").split() for line in answer.lines[1:]]
    offered = {each[0]: each[1:] for each in reversed(words) if each}
    limit = offered.get("SIZE", [])[:1]
    return Offer(
        hello=(answer.lines[0].split() or [""])[0][:255],
        starttls="STARTTLS" in offered,
        pipelining="PIPELINING" in offered,
        size="SIZE" in offered,
        size_limit=int(limit[0]) if limit and _SIZE.fullmatch(limit[0]) else 0,
        eight_bit="8BITMIME" in offered,
        utf8="SMTPUTF8" in offered,
        notifications="DSN" in offered,
        require_tls="REQUIRETLS" in offered,
        mechanisms=frozenset(offered.get("AUTH", ())),
    )


def transaction_commands(
    envelope: Envelope, form: MessageForm, size: int, offer: Offer
) -> tuple[bytes, dict[str, bytes]]:
    """Return the MAIL command, and the RCPT command of each recipient.

    Raises `DestinationError` where the mail cannot go to this server for good: it is too large, or
    needs what the server does not offer. Content is never converted, which would break signatures
    (RFC 6152 section 3 leaves the choice).
    """
    if offer.size_limit and size > offer.size_limit:
        raise _never(f"the message has {size} octets, its server takes {offer.size_limit}", "5.3.4")
    options = envelope.options
    addresses = [_address(each) for each in (envelope.sender, *envelope.recipients)]
    needs_utf8 = not all(map(str.isascii, addresses)) or (options.utf8 and form.eight_bit_header)
    if needs_utf8 and not offer.utf8:
        raise _never("its server does not take SMTPUTF8, which the mail needs", "5.6.7")
    if form.eight_bit and not (offer.eight_bit or (needs_utf8 and offer.utf8)):
        raise _never("its server does not take 8BITMIME, which the mail needs", "5.6.1")
    words = [f"MAIL FROM:<{addresses[0]}>"]
    if offer.size:
        words.append(f"SIZE={size}")
    if offer.eight_bit and (form.eight_bit or options.eight_bit):
        words.append("BODY=8BITMIME")
    if needs_utf8:
        words.append("SMTPUTF8")
    if options.require_tls:
        words.append("REQUIRETLS")
    if offer.notifications:
        words += _parameters(("RET", options.return_content), ("ENVID", options.envelope_id))
    recipients = {
        recipient: _line([f"RCPT TO:<{address}>", *_notification(envelope, recipient, offer)])
        for recipient, address in zip(envelope.recipients, addresses[1:], strict=True)
    }
    return _line(words), recipients


def _notification(envelope: Envelope, recipient: str, offer: Offer) -> list[str]:
    if not offer.notifications:
        return []
    options = envelope.options_of(recipient)
    return _parameters(("NOTIFY", ",".join(sorted(options.notify))), ("ORCPT", options.original))


def _parameters(*parameters: tuple[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in parameters if _PARAMETER.fullmatch(value)]


def _line(words: list[str]) -> bytes:
    return f"{' '.join(words)}\r\n".encode()


def _address(address: str) -> str:
    """As it is sent: a domain in U-labels alone needs no SMTPUTF8."""
    if _FORBIDDEN.search(address):
        raise _never("an address has characters that none may have", "5.1.3")
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    try:
        return f"{local}{at}{canonical_domain(domain)}"
    except AddressError as fault:
        raise _never(f"an address is none: {fault}", "5.1.3") from None


def _never(what: str, status: str) -> DestinationError:
    return DestinationError(what, temporary=False, status=status)
