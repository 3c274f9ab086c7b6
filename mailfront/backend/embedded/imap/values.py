"""ENVELOPE, BODYSTRUCTURE and header of messages, computed once and kept in the mailbox's index.

These functions block; the commands call them in the store's threads.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailfront.backend.embedded.body_structure import body_structure
from mailfront.backend.embedded.envelope import envelope
from mailfront.errors import MessageGoneError
from mailfront.protocol.mime.header import HEADER_LIMIT
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
    loaded = kept(mailbox, uids, wanted)
    return loaded | compute(mailbox, (uid for uid in uids if uid not in loaded), wanted)


def kept(mailbox: Mailbox, uids: Sequence[int], wanted: Wanted) -> dict[int, Values]:
    """The values of those of `uids` for which the index has all that is wanted."""
    return {
        uid: Values(known.envelope, known.body_structure, known.header)
        for uid, known in mailbox.cached_values(uids).items()
        if _suffice(known, wanted)
    }


def compute(mailbox: Mailbox, uids: Iterable[int], wanted: Wanted) -> dict[int, Values]:
    """The values of those of `uids` that are still there, made from the messages and kept."""
    computed: dict[int, Values] = {}
    for uid in uids:
        with contextlib.suppress(MessageGoneError):
            computed[uid] = _compute(mailbox, uid, wanted)
    if computed:
        mailbox.set_cached_values(
            {uid: CachedValues(v.envelope, v.structure, v.header) for uid, v in computed.items()}
        )
    return computed


def header_length(message: MessageFile) -> int:
    """Octets of the header block of a message, its blank line included."""
    before = 0
    last = b""
    for piece in message.chunks():
        if not before and piece.startswith((b"\n", b"\r\n")):
            return piece.index(b"\n") + 1
        looked_at = last + piece
        blank = _BLANK_LINE.search(looked_at)
        if blank is not None:
            return before - len(last) + blank.end()
        before += len(piece)
        last = looked_at[-_OVERLAP:]
    return before


def read_header(message: MessageFile) -> bytes:
    """The header block of a message, its blank line included, or the first `HEADER_LIMIT` octets
    of it."""
    return b"".join(message.chunks(0, min(header_length(message), HEADER_LIMIT)))


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
