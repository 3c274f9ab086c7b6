"""What a message needs of the server that takes it, found by looking at its octets once.

8-bit content needs 8BITMIME (RFC 6152), a header in UTF-8 SMTPUTF8 (RFC 6531, RFC 6532); the header
field `TLS-Required: No` asks for delivery in spite of standing policies (RFC 8689 section 3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailfront.interfaces.message_sink import Message

# What the header may take before the rest counts as content.
_LONGEST_HEADER = 256 * 1024
_TLS_REQUIRED_NO = re.compile(rb"(?:\A|\r?\n)TLS-Required[ \t]*:[ \t]*no[ \t]*\r?\n", re.I)
_TLS_REPORT = re.compile(rb"(?:\A|\r?\n)TLS-Report-Domain[ \t]*:", re.I)
_HEADER_END = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True, slots=True)
class MessageForm:
    """`eight_bit` of the whole, `eight_bit_header` of the header alone; `is_tls_report` tells that
    it is a report about TLS (RFC 8460), of whose delivery nothing is reported again."""

    eight_bit: bool = False
    eight_bit_header: bool = False
    tls_optional: bool = False
    is_tls_report: bool = False


def message_form(message: Message) -> MessageForm:
    """Look at a message; reads it from a disk, perhaps to its end."""
    header = b""
    complete = False
    eight_bit = False
    for chunk in message.chunks():
        eight_bit = eight_bit or not chunk.isascii()
        if not complete:
            header += chunk[: _LONGEST_HEADER - len(header)]
            if (end := _HEADER_END.search(header)) is not None:
                # The end of its last field stays.
                header, complete = header[: end.start() + 2], True
            complete = complete or len(header) >= _LONGEST_HEADER
        if complete and eight_bit:
            break
    return MessageForm(
        eight_bit=eight_bit,
        eight_bit_header=not header.isascii(),
        tls_optional=_TLS_REQUIRED_NO.search(header) is not None,
        is_tls_report=_TLS_REPORT.search(header) is not None,
    )
