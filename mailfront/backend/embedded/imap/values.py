"""ENVELOPE, BODYSTRUCTURE and header of messages, computed once and kept in the mailbox's index.

These functions block; the commands call them in the store's threads.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailfront.backend.embedded.body_structure import body_structure
from mailfront.backend.embedded.envelope import envelope
from mailfront.errors import MessageGoneError
from mailfront.protocol.mime.scan import scan
from mailfront.store.mailbox import CachedValues, Mailbox
from mailfront.store.message_file import MessageFile

# Longer headers are read from the message when needed: the index is to stay small, and so is what
# one answer holds in memory.
KEPT_HEADER = 16 * 1024

_BLANK_LINE = re.compile(rb"\n\r?\n")
# What may stand before the end of a piece as the beginning of a blank line.
_OVERLAP = 3


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which values are needed. `body` is BODY, the structure without extension data."""

    envelope: bool = False
    structure: bool = False
    header: bool = False
    body: bool = False

    def __bool__(self) -> bool:
        return self.envelope or self.structure or self.header or self.body


@dataclass(frozen=True, slots=True)
class Values:
    """Values of one message; None where they were not wanted, or the header is too long."""

    envelope: bytes | None = None
    structure: bytes | None = None
    header: bytes | None = None
    body: bytes | None = None


NO_VALUES = Values()


def load(mailbox: Mailbox, uids: Sequence[int], wanted: Wanted) -> dict[int, Values]:
    """The values of those of `uids` that are still there."""
    cached = mailbox.cached_values(uids)
    loaded: dict[int, Values] = {}
    computed: dict[int, CachedValues] = {}
    for uid in uids:
        known = cached.get(uid)
        if known is not None and _suffice(known, wanted):
            loaded[uid] = Values(known.envelope, known.body_structure, known.header)
            continue
        try:
            values = _compute(mailbox, uid, wanted)
        except MessageGoneError:
            continue
        loaded[uid] = values
        computed[uid] = CachedValues(values.envelope, values.structure, values.header)
    if computed:
        mailbox.set_cached_values(computed)
    return loaded


def read_header(message: MessageFile) -> bytes:
    """The header block of a message, its blank line included."""
    header = bytearray()
    for piece in message.chunks():
        start = max(len(header) - _OVERLAP, 0)
        header += piece
        if header.startswith((b"\n", b"\r\n")):
            return bytes(header[: header.index(b"\n") + 1])
        blank = _BLANK_LINE.search(header, start)
        if blank is not None:
            return bytes(header[: blank.end()])
    return bytes(header)


def _suffice(known: CachedValues, wanted: Wanted) -> bool:
    # Envelope and header are computed together, so a header that is missing alone was too long.
    return not (
        wanted.body
        or ((wanted.envelope or wanted.header) and known.envelope is None)
        or (wanted.structure and known.body_structure is None)
    )


def _compute(mailbox: Mailbox, uid: int, wanted: Wanted) -> Values:
    if wanted.structure or wanted.body:
        message = mailbox.read(uid)
        part = scan(message)
        header = message[: part.body_start]
        structure = body_structure(part, message, extended=True)
        body = body_structure(part, message, extended=False) if wanted.body else None
        return Values(envelope(header), structure, _short(header), body)
    with mailbox.open_message(uid) as opened:
        header = read_header(opened)
    return Values(envelope(header), None, _short(header))


def _short(header: bytes) -> bytes | None:
    return header if len(header) <= KEPT_HEADER else None
