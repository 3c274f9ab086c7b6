"""SEARCH (RFC 3501 §6.4.4): what the index knows first, then headers, then bodies.

A search is turned into one predicate whose cheap conditions come first. Searches that read messages
run in a thread, batch by batch, so that other sessions go on and a client that leaves ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from typing import NamedTuple

from mailfront.backend.embedded.imap import values
from mailfront.backend.embedded.imap.state import BATCH, Session
from mailfront.backend.embedded.imap.values import Wanted
from mailfront.backend.embedded.imap.view import View
from mailfront.backend.embedded.search_match import (
    body_matches,
    header_matches,
    sent_date,
    text_matches,
)
from mailfront.errors import ImapSyntaxError, MailboxError, MessageGoneError
from mailfront.protocol.imap import search_key
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.search_key import Comparison, SearchKey
from mailfront.protocol.mime.scan import Part, scan
from mailfront.store.flags import SYSTEM_FLAGS
from mailfront.store.mailbox import Mailbox, MessageRecord

_CHARSETS = (None, b"US-ASCII", b"UTF-8")
_BATCH_OF_MESSAGES = 20
_NUMBERS_PER_PIECE = 5000


class Source(IntEnum):
    """What a condition must read, in order of cost."""

    INDEX = 0
    HEADER = 1
    MESSAGE = 2


class Candidate:
    """A message under examination; what costs reading is read when first asked for."""

    __slots__ = ("_header", "_mailbox", "_message", "_parts", "record")

    def __init__(self, mailbox: Mailbox, record: MessageRecord, header: bytes | None) -> None:
        self.record = record
        self._mailbox = mailbox
        self._header = header
        self._message: bytes | None = None
        self._parts: Part | None = None

    @property
    def header(self) -> bytes:
        """The header block."""
        if self._header is None:
            with self._mailbox.open_message(self.record.uid) as opened:
                self._header = values.read_header(opened)
        return self._header

    @property
    def message(self) -> bytes:
        """All octets."""
        if self._message is None:
            self._message = self._mailbox.read(self.record.uid)
        return self._message

    @property
    def parts(self) -> Part:
        """The scanned message."""
        if self._parts is None:
            self._parts = scan(self.message)
        return self._parts


class Condition(NamedTuple):
    """A predicate and what it must read at most."""

    source: Source
    holds: Callable[[Candidate], bool]


async def search(session: Session, arguments: Cursor, *, uid: bool) -> bytes:
    """Send the numbers, or UIDs, of the messages that match."""
    program = search_key.search_program(arguments)
    if program.charset not in _CHARSETS:
        raise MailboxError("Charset not supported", code="BADCHARSET (US-ASCII UTF-8)")
    view = session.selected
    condition = _condition(program.key, view)
    found: list[int] = []
    batch = _BATCH_OF_MESSAGES if condition.source is Source.MESSAGE else BATCH
    for start in range(0, len(view.uids), batch):
        uids = view.uids[start : start + batch]
        messages = 0 if condition.source is Source.INDEX else BATCH
        found += await session.perform(messages, _matching, view.mailbox, uids, condition)
        await session.stream.drain()
        await asyncio.sleep(0)
    await _send(session, view, found, uid=uid)
    return b"Search completed"


async def _send(session: Session, view: View, found: Sequence[int], *, uid: bool) -> None:
    await session.send(b"* SEARCH")
    for start in range(0, len(found), _NUMBERS_PER_PIECE):
        piece = found[start : start + _NUMBERS_PER_PIECE]
        numbers = piece if uid else [view.number(each) or 0 for each in piece]
        session.unfinished = True
        await session.send(b"".join(b" %d" % number for number in numbers))
    await session.send(b"\r\n")
    session.unfinished = False


def _matching(mailbox: Mailbox, uids: Sequence[int], condition: Condition) -> list[int]:
    """Those of `uids` for which the condition holds. Blocks for as long as reading takes."""
    headers = (
        values.load(mailbox, uids, Wanted(header=True)) if condition.source is Source.HEADER else {}
    )
    found = []
    for record in mailbox.records(uids):
        known = headers.get(record.uid)
        candidate = Candidate(mailbox, record, None if known is None else known.header)
        try:
            if condition.holds(candidate):
                found.append(record.uid)
        except MessageGoneError:
            continue
    return found


def _condition(key: SearchKey, view: View) -> Condition:
    match key:
        case search_key.And(keys):
            return _all_of(sorted((_condition(each, view) for each in keys), key=_cost))
        case search_key.Or(first, second):
            return _any_of(sorted((_condition(each, view) for each in (first, second)), key=_cost))
        case search_key.Not(inner):
            source, holds = _condition(inner, view)
            return Condition(source, lambda candidate: not holds(candidate))
        case search_key.All():
            return Condition(Source.INDEX, lambda candidate: True)
        case search_key.HasFlag(flag):
            return Condition(Source.INDEX, _flag(flag.decode("ascii"), view))
        case search_key.Numbers(numbers, uid):
            chosen = frozenset(view.by_uids(numbers) if uid else view.by_present_numbers(numbers))
            return Condition(Source.INDEX, lambda candidate: candidate.record.uid in chosen)
        case search_key.InternalDate():
            return Condition(Source.INDEX, _internal_date(key))
        case search_key.Size():
            return Condition(Source.INDEX, _size(key))
        case _:
            return _about_content(key)


def _about_content(
    key: search_key.SentDate | search_key.Header | search_key.Body | search_key.Text,
) -> Condition:
    match key:
        case search_key.SentDate():
            return Condition(Source.HEADER, _sent_date(key))
        case search_key.Header(name, value):
            return Condition(Source.HEADER, _header(name, _text(value)))
        case search_key.Body(value):
            wanted = _text(value)
            return Condition(Source.MESSAGE, lambda c: body_matches(c.message, c.parts, wanted))
        case search_key.Text(value):
            wanted = _text(value)
            return Condition(Source.MESSAGE, lambda c: text_matches(c.message, c.parts, wanted))


def _cost(condition: Condition) -> Source:
    return condition.source


def _all_of(conditions: Sequence[Condition]) -> Condition:
    predicates = [condition.holds for condition in conditions]
    if len(predicates) == 1:
        return conditions[0]
    return Condition(
        conditions[-1].source, lambda candidate: all(holds(candidate) for holds in predicates)
    )


def _any_of(conditions: Sequence[Condition]) -> Condition:
    predicates = [condition.holds for condition in conditions]
    return Condition(
        conditions[-1].source, lambda candidate: any(holds(candidate) for holds in predicates)
    )


def _text(value: bytes) -> str:
    # Without a charset, strings are US-ASCII (RFC 3501 §6.4.4); clients that send UTF-8 all the
    # same are understood, because US-ASCII is a part of it.
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ImapSyntaxError("The search string is not UTF-8") from error


def _flag(name: str, view: View) -> Callable[[Candidate], bool]:
    if name == "\\Recent":
        recent = view.recent
        return lambda candidate: candidate.record.uid in recent
    bit = SYSTEM_FLAGS.get(name)
    if bit is not None:
        return lambda candidate: bool(candidate.record.flags.system & bit)
    folded = name.lower()
    return lambda candidate: any(
        keyword.lower() == folded for keyword in candidate.record.flags.keywords
    )


def _internal_date(key: search_key.InternalDate) -> Callable[[Candidate], bool]:
    # The day in UTC, the zone in which INTERNALDATE is shown.
    day = datetime.combine(key.day, time(), UTC)
    first = day.timestamp()
    after = first + timedelta(days=1).total_seconds()
    match key.comparison:
        case Comparison.BEFORE:
            return lambda candidate: candidate.record.internal_date < first
        case Comparison.SINCE:
            return lambda candidate: candidate.record.internal_date >= first
        case _:
            return lambda candidate: first <= candidate.record.internal_date < after


def _size(key: search_key.Size) -> Callable[[Candidate], bool]:
    octets = key.octets
    if key.comparison is Comparison.LARGER:
        return lambda candidate: candidate.record.size > octets
    return lambda candidate: candidate.record.size < octets


def _sent_date(key: search_key.SentDate) -> Callable[[Candidate], bool]:
    def holds(candidate: Candidate) -> bool:
        day = sent_date(candidate.header)
        if day is None:
            return False
        match key.comparison:
            case Comparison.BEFORE:
                return day < key.day
            case Comparison.SINCE:
                return day >= key.day
            case _:
                return day == key.day

    return holds


def _header(name: bytes, wanted: str) -> Callable[[Candidate], bool]:
    octets = wanted.lower().encode("ascii") if wanted.isascii() else None

    def holds(candidate: Candidate) -> bool:
        header = candidate.header
        # Most headers are plain and do not hold the text at all: no need to take them apart.
        if octets and b"=?" not in header and header.isascii():
            unfolded = header.replace(b"\r\n", b"").lower()
            if octets not in unfolded:
                return False
        return header_matches(scan(header), name, wanted)

    return holds
