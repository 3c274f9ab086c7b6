"""FETCH (RFC 3501 §6.4.5): values from the index, sections from the message's file.

Messages are answered in batches. A body goes to the client in pieces as it takes them; the file is
never held in memory, and nothing is locked meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mailfront.backend.embedded.imap import values
from mailfront.backend.embedded.imap.section import Content, Message
from mailfront.backend.embedded.imap.state import BATCH, Session
from mailfront.backend.embedded.imap.values import NO_VALUES, Values, Wanted
from mailfront.backend.embedded.imap.view import View
from mailfront.errors import BackendError, MessageGoneError
from mailfront.protocol.imap import command
from mailfront.protocol.imap.date import format_internal_date
from mailfront.protocol.imap.fetch_item import Attribute, FetchItem, Section, SectionText
from mailfront.protocol.imap.lexer import Cursor
from mailfront.store.flags import SEEN, FlagSet
from mailfront.store.mailbox import FlagChange, MessageRecord

# Bodies are fetched one after the other; `\Seen` is set for so many ahead of what the client got.
_BATCH_WITH_BODIES = 20
# Octets of messages that are taken apart while other sessions wait.
_COMPUTED_INLINE = 16 * 1024

_HEADER_TEXTS = (SectionText.HEADER, SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT)


async def fetch(session: Session, arguments: Cursor, *, uid: bool) -> bytes:
    """Send what is asked for, of each message in order."""
    wanted = command.fetch_arguments(arguments)
    view = session.selected
    uids = view.select(wanted.messages, uid=uid)
    work = _Fetch(session, view, wanted.items, uid=uid)
    answered = 0
    for start in range(0, len(uids), work.batch):
        answered += await work.messages(uids[start : start + work.batch])
        await asyncio.sleep(0)
    if answered < len(uids):
        # RFC 5530: others removed messages that this client still counts.
        return b"[EXPUNGEISSUED] Fetch completed, some messages are gone"
    return b"Fetch completed"


class _Fetch:
    """What one FETCH needs, sorted by where it comes from."""

    def __init__(
        self, session: Session, view: View, items: Sequence[FetchItem], *, uid: bool
    ) -> None:
        self._session = session
        self._view = view
        self._sections = [item for item in items if isinstance(item, Section)]
        attributes = [item for item in items if isinstance(item, Attribute)]
        if uid and Attribute.UID not in attributes:
            # RFC 3501 §6.4.8: implied in UID FETCH.
            attributes.insert(0, Attribute.UID)
        self._attributes = attributes
        self._sends_flags = Attribute.FLAGS in attributes
        self._marks_seen = not view.read_only and any(not s.peek for s in self._sections)
        self._wanted = Wanted(
            envelope=Attribute.ENVELOPE in attributes,
            structure=Attribute.BODYSTRUCTURE in attributes,
            header=any(not s.path and s.text in _HEADER_TEXTS for s in self._sections),
            body=Attribute.BODY in attributes,
        )
        self.batch = _BATCH_WITH_BODIES if self._marks_seen else BATCH

    async def messages(self, uids: Sequence[int]) -> int:
        """Answer for those of `uids` that are still there; return how many they were."""
        session, view = self._session, self._view
        newly_seen = await self._mark_seen(uids) if self._marks_seen else frozenset()
        loaded: dict[int, Values] = {}
        if self._wanted:
            loaded = await self._load(uids)
        if self._sends_flags:
            view.told(uids)
            for response in view.new_keywords():
                await session.send(response)
        answered = 0
        for record in list(view.mailbox.records(uids)):
            if self._wanted and record.uid not in loaded:
                continue
            known = loaded.get(record.uid, NO_VALUES)
            try:
                await self._message(record, known, with_flags=record.uid in newly_seen)
            except MessageGoneError:
                continue
            answered += 1
        return answered

    async def _load(self, uids: Sequence[int]) -> dict[int, Values]:
        session, mailbox, wanted = self._session, self._view.mailbox, self._wanted
        loaded = await session.perform(len(uids), values.kept, mailbox, uids, wanted)
        missing = [uid for uid in uids if uid not in loaded]
        if not missing:
            return loaded
        if sum(record.size for record in mailbox.records(missing)) > _COMPUTED_INLINE:
            return loaded | await session.run(values.compute, mailbox, missing, wanted)
        return loaded | await session.perform(
            len(missing), values.compute, mailbox, missing, wanted
        )

    async def _mark_seen(self, uids: Sequence[int]) -> frozenset[int]:
        view = self._view
        view.collect()
        unseen = [r.uid for r in view.mailbox.records(uids) if not r.flags.system & SEEN]
        if not unseen:
            return frozenset()
        outcome = await self._session.perform(
            len(unseen), view.mailbox.store_flags, unseen, FlagChange.ADD, FlagSet(SEEN)
        )
        view.told(outcome.changed)
        return frozenset(outcome.changed)

    async def _message(self, record: MessageRecord, known: Values, *, with_flags: bool) -> None:
        session, view = self._session, self._view
        number = view.number(record.uid)
        assert number is not None
        pieces = [self._attribute(item, record, known) for item in self._attributes]
        if with_flags and not self._sends_flags:
            pieces.append(view.flags(record.flags, record.uid))
        start = b"* %d FETCH (" % number
        if not self._sections:
            await session.send(start + b" ".join(pieces) + b")\r\n")
            return
        with Message(session, view, record.uid, known.header) as message:
            # Everything is found before the first octet is sent, so that a message that is gone
            # leaves no half response.
            contents = [(s, await message.content(s)) for s in self._sections]
            if any(isinstance(content, range) for _, content in contents):
                await message.file()
            session.unfinished = True
            await session.send(start + b" ".join(pieces))
            blank = b" " if pieces else b""
            for section, content in contents:
                await self._section(message, blank + _label(section), content)
                blank = b" "
            await session.send(b")\r\n")
            session.unfinished = False

    async def _section(self, message: Message, label: bytes, content: Content) -> None:
        session = self._session
        if content is None:
            await session.send(label + b" NIL")
        elif not content:
            await session.send(label + b' ""')
        elif isinstance(content, bytes):
            await session.send(b"%s {%d}\r\n%s" % (label, len(content), content))
        else:
            await session.send(b"%s {%d}\r\n" % (label, len(content)))
            left = len(content)
            for piece in await message.octets(content):
                left -= len(piece)
                await session.send(piece)
            if left:
                raise BackendError("a message file is shorter than its size", temporary=False)

    def _attribute(self, item: Attribute, record: MessageRecord, known: Values) -> bytes:
        match item:
            case Attribute.UID:
                return b"UID %d" % record.uid
            case Attribute.FLAGS:
                return self._view.flags(record.flags, record.uid)
            case Attribute.RFC822_SIZE:
                return b"RFC822.SIZE %d" % record.size
            case Attribute.INTERNALDATE:
                return b'INTERNALDATE "' + format_internal_date(record.internal_date) + b'"'
            case Attribute.ENVELOPE:
                return b"ENVELOPE " + (known.envelope or b"")
            case Attribute.BODYSTRUCTURE:
                return b"BODYSTRUCTURE " + (known.structure or b"")
            case Attribute.BODY:
                return b"BODY " + (known.body or b"")


def _label(section: Section) -> bytes:
    return section.label if section.partial is None else b"%s<%d>" % (
        section.label, section.partial[0],
    )  # fmt: skip
