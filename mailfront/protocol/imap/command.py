"""The arguments of each command as values (RFC 3501 §6, and the RFCs named at each).

Every function consumes the arguments of one command up to their end and raises `ImapSyntaxError`
for anything else. SEARCH and the items of FETCH have modules of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap.date import date_time
from mailfront.protocol.imap.fetch_item import FetchItem, fetch_items
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.mailbox_name import DELIMITER, canonical, decode
from mailfront.protocol.imap.sequence_set import SequenceSet, sequence_set

# No client uses longer keywords; a file system or another server may not take them.
MAXIMUM_KEYWORD = 255
# RFC 2971 §3.3: at most 30 fields.
MAXIMUM_ID_FIELDS = 30


class StoreAction(Enum):
    """What STORE does with the flags it names."""

    ADD = b"+FLAGS"
    REMOVE = b"-FLAGS"
    REPLACE = b"FLAGS"


class StatusItem(Enum):
    """Items of STATUS; RFC 8438 added SIZE, RFC 9051 DELETED."""

    MESSAGES = b"MESSAGES"
    RECENT = b"RECENT"
    UIDNEXT = b"UIDNEXT"
    UIDVALIDITY = b"UIDVALIDITY"
    UNSEEN = b"UNSEEN"
    DELETED = b"DELETED"
    SIZE = b"SIZE"


@dataclass(frozen=True, slots=True)
class FetchArguments:
    """FETCH: which messages, which items."""

    messages: SequenceSet
    items: tuple[FetchItem, ...]


@dataclass(frozen=True, slots=True)
class StoreArguments:
    """STORE: which messages, what to do with which flags, and whether to answer."""

    messages: SequenceSet
    action: StoreAction
    silent: bool
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CopyArguments:
    """COPY and MOVE: which messages, where to."""

    messages: SequenceSet
    mailbox: str


@dataclass(frozen=True, slots=True)
class AppendArguments:
    """APPEND before its message. `received` is None for now."""

    mailbox: str
    flags: tuple[str, ...]
    received: datetime | None


@dataclass(frozen=True, slots=True)
class ListArguments:
    """LIST and LSUB. `pattern` has the reference in front; both are decoded."""

    reference: str
    pattern: str
    only_delimiter: bool


def no_arguments(cursor: Cursor) -> None:
    """For commands that take nothing."""
    cursor.end()


def mailbox(cursor: Cursor) -> str:
    """Consume a mailbox name; INBOX comes in capitals."""
    return canonical(decode(cursor.astring()))


def only_mailbox(cursor: Cursor) -> str:
    """For commands that take one mailbox name."""
    name = mailbox(cursor)
    cursor.end()
    return name


def two_mailboxes(cursor: Cursor) -> tuple[str, str]:
    """RENAME."""
    first = mailbox(cursor)
    cursor.space()
    return first, only_mailbox(cursor)


def list_arguments(cursor: Cursor) -> ListArguments:
    """LIST in its basic form, and LSUB."""
    reference = decode(cursor.astring())
    cursor.space()
    pattern = decode(cursor.list_mailbox())
    cursor.end()
    if not pattern:
        # RFC 3501 §6.3.8: an empty pattern asks for the delimiter and the root of the reference.
        return ListArguments(reference, "", only_delimiter=True)
    whole = pattern if pattern.startswith(DELIMITER) else reference + pattern
    return ListArguments(reference, canonical(whole.removeprefix(DELIMITER)), only_delimiter=False)


def status_arguments(cursor: Cursor) -> tuple[str, tuple[StatusItem, ...]]:
    """STATUS: the mailbox and the items asked for."""
    name = mailbox(cursor)
    cursor.space()
    items = cursor.parenthesised(lambda: _status_item(cursor), may_be_empty=False)
    cursor.end()
    return name, tuple(dict.fromkeys(items))


def fetch_arguments(cursor: Cursor) -> FetchArguments:
    """FETCH and UID FETCH."""
    messages = sequence_set(cursor)
    cursor.space()
    items = fetch_items(cursor)
    cursor.end()
    return FetchArguments(messages, items)


def store_arguments(cursor: Cursor) -> StoreArguments:
    """STORE and UID STORE."""
    messages = sequence_set(cursor)
    cursor.space()
    name = cursor.atom("item").upper()
    silent = name.endswith(b".SILENT")
    try:
        action = StoreAction(name.removesuffix(b".SILENT"))
    except ValueError as error:
        raise ImapSyntaxError("Unknown item") from error
    cursor.space()
    if cursor.peek() == b"(":
        flags = flag_list(cursor)
    else:
        # RFC 3501 §9 store-att-flags: the parentheses may be left out.
        names = [_flag(cursor)]
        while cursor.skip(b" "):
            names.append(_flag(cursor))
        flags = tuple(names)
    cursor.end()
    return StoreArguments(messages, action, silent, flags)


def copy_arguments(cursor: Cursor) -> CopyArguments:
    """COPY, MOVE (RFC 6851) and their UID forms."""
    messages = sequence_set(cursor)
    cursor.space()
    return CopyArguments(messages, only_mailbox(cursor))


def message_set(cursor: Cursor) -> SequenceSet:
    """UID EXPUNGE (RFC 4315)."""
    messages = sequence_set(cursor)
    cursor.end()
    return messages


def append_arguments(cursor: Cursor) -> AppendArguments:
    """APPEND up to where its message begins."""
    name = mailbox(cursor)
    cursor.space()
    flags: tuple[str, ...] = ()
    received = None
    if cursor.peek() == b"(":
        flags = flag_list(cursor)
        cursor.space()
    if cursor.peek() == b'"':
        received = date_time(cursor)
        cursor.space()
    cursor.end()
    return AppendArguments(name, flags, received)


def enable_arguments(cursor: Cursor) -> tuple[bytes, ...]:
    """ENABLE (RFC 5161): names of capabilities, in capitals."""
    names = [cursor.atom("capability").upper()]
    while not cursor.at_end():
        cursor.space()
        names.append(cursor.atom("capability").upper())
    return tuple(names)


def id_arguments(cursor: Cursor) -> dict[bytes, bytes | None]:
    """ID (RFC 2971): what the client says of itself."""
    if cursor.peek() != b"(":
        if cursor.nstring() is not None:
            raise ImapSyntaxError("Expected a list or NIL")
        cursor.end()
        return {}

    def pair() -> tuple[bytes, bytes | None]:
        name = cursor.string()
        cursor.space()
        return name.lower(), cursor.nstring()

    fields = cursor.parenthesised(pair, may_be_empty=True)
    cursor.end()
    if len(fields) > MAXIMUM_ID_FIELDS:
        raise ImapSyntaxError("Too many fields")
    return dict(fields)


def flag_list(cursor: Cursor) -> tuple[str, ...]:
    """Consume `(flag flag …)`."""
    return tuple(cursor.parenthesised(lambda: _flag(cursor), may_be_empty=True))


def _flag(cursor: Cursor) -> str:
    name = cursor.flag()
    if len(name) > MAXIMUM_KEYWORD:
        raise ImapSyntaxError("Flag name too long")
    return name.decode("ascii")


def _status_item(cursor: Cursor) -> StatusItem:
    try:
        return StatusItem(cursor.atom("item").upper())
    except ValueError as error:
        raise ImapSyntaxError("Unknown item") from error
