"""The ENVELOPE of a message (RFC 9051 §7.5.2) as finished bytes, and the string forms of IMAP.

Takes the header as bytes, gives the parenthesized list that goes into a FETCH response. Octets are
sent as the header has them: 8-bit octets, which no quoted string of IMAP4rev1 may hold, go as a
literal, and so do quotation marks and backslashes, which clients unescape in different ways.
Missing pieces of an address are named the way other servers do: NIL there would mean a group.
"""

from __future__ import annotations

import re

from mailfront.protocol.mime.address import Group, Mailbox, parse_addresses
from mailfront.protocol.mime.header import HEADER_LIMIT, header_fields, unfold

# Octets of the fields of an envelope that are taken apart: some two thousand addresses. Without a
# bound, a header of 1 MiB would cost half a second.
ENVELOPE_LIMIT = 64 * 1024

_QUOTABLE = re.compile(rb"[ !#-\[\]-~]{0,4096}", re.ASCII)
_REPLACEMENT = "\ufffd".encode()
_WHITE = re.compile(rb"[ \t\r\n]+")
_TEXTS = (b"date", b"subject", b"in-reply-to", b"message-id")
_ADDRESSES = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
_FIELDS = frozenset((*_TEXTS, *_ADDRESSES))


def envelope(headers: bytes) -> bytes:
    """The ENVELOPE of the message whose header is `headers` (up to its empty line, or beyond).

    What its fields have beyond `ENVELOPE_LIMIT` octets together is left out.
    """
    values: dict[bytes, list[bytes]] = {}
    room = ENVELOPE_LIMIT
    for field in header_fields(headers, 0, min(len(headers), HEADER_LIMIT)):
        name = field.name.lower()
        if name in _FIELDS:
            values.setdefault(name, []).append(_cut(field.value, room))
            room -= min(len(field.value), room)
    # Repeated fields count as one list, so that no reader sees another sender than the next.
    lists = {name: _address_list(b",".join(values.get(name, ()))) for name in _ADDRESSES}
    sender = lists[b"from"] if lists[b"sender"] == b"NIL" else lists[b"sender"]
    reply_to = lists[b"from"] if lists[b"reply-to"] == b"NIL" else lists[b"reply-to"]
    texts = {name: _text(values.get(name)) for name in _TEXTS}
    pieces = (
        texts[b"date"],
        texts[b"subject"],
        lists[b"from"],
        sender,
        reply_to,
        lists[b"to"],
        lists[b"cc"],
        lists[b"bcc"],
        texts[b"in-reply-to"],
        texts[b"message-id"],
    )
    return b"(" + b" ".join(pieces) + b")"


def imap_string(value: bytes) -> bytes:
    """`value` as a quoted string where that needs no escapes, else as a literal (RFC 9051 §4.3).

    NUL cannot be in either and becomes U+FFFD, as in Dovecot.
    """
    if _QUOTABLE.fullmatch(value):
        return b'"' + value + b'"'
    value = value.replace(b"\x00", _REPLACEMENT)
    return b"{%d}\r\n%b" % (len(value), value)


def imap_nstring(value: bytes | None) -> bytes:
    """`value` as a string, or NIL."""
    return b"NIL" if value is None else imap_string(value)


def header_text(value: bytes) -> bytes:
    """A header value on one line: unfolded, each run of white space one space."""
    return _WHITE.sub(b" ", unfold(value)).strip(b" ")


def _cut(value: bytes, room: int) -> bytes:
    """`value` if there is room for it, else what fits up to the last comma there."""
    if len(value) <= room:
        return value
    return value[: value.rfind(b",", 0, room) + 1] or value[:room]


def _text(values: list[bytes] | None) -> bytes:
    return b"NIL" if values is None else imap_string(header_text(values[0]))


def _address_list(value: bytes) -> bytes:
    pieces: list[bytes] = []
    for address in parse_addresses(value):
        if isinstance(address, Group):
            pieces.append(b"(NIL NIL %b NIL)" % imap_string(header_text(address.name)))
            pieces.extend(_address(member) for member in address.members)
            pieces.append(b"(NIL NIL NIL NIL)")
        else:
            pieces.append(_address(address))
    return b"(" + b"".join(pieces) + b")" if pieces else b"NIL"


def _address(mailbox: Mailbox) -> bytes:
    return b"(%b %b %b %b)" % (
        imap_nstring(header_text(mailbox.name) or None),
        imap_nstring(mailbox.route or None),
        imap_string(mailbox.local or b"MISSING_MAILBOX"),
        imap_string(mailbox.domain or b"MISSING_DOMAIN"),
    )
