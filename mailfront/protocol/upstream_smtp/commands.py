"""The commands and the data that a mail transaction sends to a server behind us.

Each is made anew from what was parsed: no octet of a client's command goes on as it came. RFC 5321
sections 3.3 and 4.5.2, RFC 1870 (SIZE), RFC 3030 (BDAT), RFC 3461 (DSN), RFC 6152 (8BITMIME), RFC
6531 (SMTPUTF8), RFC 8689 (REQUIRETLS), RFC 4954 section 5 (AUTH=).
"""

from __future__ import annotations

import re

from mailfront.errors import UpstreamMailError
from mailfront.interfaces.mail_relay import RelayedMail
from mailfront.interfaces.message_sink import RecipientOptions
from mailfront.protocol.upstream_smtp.opening import Capabilities, xtext

RSET = b"RSET\r\n"
DATA = b"DATA\r\n"
QUIT = b"QUIT\r\n"
# What the trace fields that we add may take.
TRACE_ALLOWANCE = 2048
_NO_OPTIONS = RecipientOptions()
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


def mail_command(mail: RelayedMail, offered: Capabilities, submitter: str = "") -> bytes:
    """Return the MAIL command, with the parameters that the server offers.

    Raises `UpstreamMailError` where the mail cannot go without one that it does not offer.
    """
    words = [f"MAIL FROM:<{_checked(mail.sender)}>"]
    if mail.size is not None and offered.size:
        words.append(f"SIZE={mail.size + TRACE_ALLOWANCE}")
    options = mail.options
    if options.eight_bit:
        _require("8BITMIME", offered=offered.eight_bit)
        words.append("BODY=8BITMIME")
    if options.utf8:
        _require("SMTPUTF8", offered=offered.utf8)
        words.append("SMTPUTF8")
    if options.require_tls:
        _require("REQUIRETLS", offered=offered.require_tls)
        words.append("REQUIRETLS")
    if options.return_content or options.envelope_id:
        _require("DSN", offered=offered.dsn)
    if options.return_content:
        words.append(f"RET={options.return_content}")
    if options.envelope_id:
        words.append(f"ENVID={_checked(options.envelope_id)}")
    if submitter and offered.auth:
        words.append(f"AUTH={xtext(submitter)}")
    return f"{' '.join(words)}\r\n".encode()


def recipient_command(
    address: str, offered: Capabilities, options: RecipientOptions = _NO_OPTIONS
) -> bytes:
    """Return the RCPT command. Raises `UpstreamMailError` as `mail_command`."""
    words = [f"RCPT TO:<{_checked(address)}>"]
    if options != _NO_OPTIONS:
        _require("DSN", offered=offered.dsn)
    if options.notify:
        words.append(f"NOTIFY={','.join(sorted(options.notify))}")
    if options.original:
        words.append(f"ORCPT={_checked(options.original)}")
    return f"{' '.join(words)}\r\n".encode()


def chunk(octets: bytes, *, last: bool = False) -> bytes:
    """Return a part of a message as BDAT sends it (RFC 3030 section 2)."""
    return b"BDAT %d%s\r\n%s" % (len(octets), b" LAST" if last else b"", octets)


class DataStuffing:
    """The octets of a message as they are sent after DATA: dots at the beginning of lines doubled.

    Takes pieces of any size, whose lines all end with CRLF.
    """

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        # The data begins at the start of a line.
        self._tail = b"\r\n"

    def stuff(self, piece: bytes) -> bytes:
        """Return what is sent for a piece."""
        if not piece:
            return b""
        before = len(self._tail)
        # A tail of two octets sees every line that begins at the border of two pieces.
        block = self._tail + piece
        self._tail = block[-2:]
        if b"\r\n." not in block:
            return piece
        return block.replace(b"\r\n.", b"\r\n..")[before:]

    def end(self) -> bytes:
        """Return what ends the data."""
        return b".\r\n" if self._tail == b"\r\n" else b"\r\n.\r\n"


def _require(extension: str, *, offered: bool) -> None:
    if not offered:
        raise UpstreamMailError(f"it does not take {extension}, which the mail needs")


def _checked(address: str) -> str:
    """What was parsed holds no control characters; a command that did would be two."""
    if _CONTROLS.search(address):
        raise UpstreamMailError("an address with control characters")
    return address
