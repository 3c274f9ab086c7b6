"""The bytes of a body section (RFC 3501 §6.4.5): where they are in the message, never made anew.

Only HEADER.FIELDS is put together, from the header's own lines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from types import TracebackType
from typing import Self, TypeVar

from mailfront.backend.embedded.imap.state import Session
from mailfront.backend.embedded.imap.values import header_length, read_header
from mailfront.backend.embedded.imap.view import View
from mailfront.protocol.imap.fetch_item import Section, SectionText
from mailfront.protocol.mime.header import header_fields
from mailfront.protocol.mime.scan import Part, scan
from mailfront.store.message_file import MessageFile

Result = TypeVar("Result")

# Messages up to this size are read at once; larger ones in a thread.
_READ_INLINE = 256 * 1024
_PLAIN_NAME = re.compile(rb"[!-9;-~]+")
_FEW_NAMES = 50
_SHORT_HEADER = 16 * 1024

# Octets as they are, or the place of octets in the message, or nothing there (NIL).
Content = bytes | range | None


class Message:
    """One message whose sections are asked for; its file is opened when first needed.

    `header` is the header block where it is known already. A context manager.
    """

    def __init__(self, session: Session, view: View, uid: int, header: bytes | None) -> None:
        self._session = session
        self._view = view
        self._uid = uid
        self._header = header
        self._header_length = -1 if header is None else len(header)
        self._opened: MessageFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            self._opened.close()

    async def file(self) -> MessageFile:
        """The message's file. Raises `MessageGoneError`."""
        if self._opened is None:
            self._opened = await self._session.perform(
                1, self._view.mailbox.open_message, self._uid
            )
        return self._opened

    async def content(self, section: Section) -> Content:
        """What the section holds, the partial already applied."""
        whole = await (self._of_part(section) if section.path else self._of_message(section))
        if whole is None or section.partial is None:
            return whole
        offset, count = section.partial
        return whole[offset : offset + count]

    async def octets(self, place: range) -> Iterator[bytes]:
        """A place in the message, read in pieces."""
        return (await self.file()).chunks(place.start, len(place))

    async def _of_message(self, section: Section) -> Content:
        match section.text:
            case SectionText.EVERYTHING:
                return range((await self.file()).size)
            case SectionText.TEXT:
                size = (await self.file()).size
                return range(min(await self._length_of_header(), size), size)
            case SectionText.HEADER:
                # A header that was too long to be kept is sent from the file.
                return self._header or range(await self._length_of_header())
            case _:
                if self._header is None:
                    self._header = await self._read(read_header)
                return _chosen_fields(self._header, section)

    async def _length_of_header(self) -> int:
        if self._header_length < 0:
            self._header_length = await self._read(header_length)
        return self._header_length

    async def _read(self, function: Callable[[MessageFile], Result]) -> Result:
        file = await self.file()
        if file.size <= _READ_INLINE:
            return function(file)
        return await self._session.run(function, file)

    async def _of_part(self, section: Section) -> Content:
        part = (await self._structure()).part_at(section.path)
        if part is None:
            return None
        if section.text is SectionText.EVERYTHING:
            return range(part.body_start, part.body_end)
        if section.text is SectionText.MIME:
            return range(part.header_start, part.body_start)
        # HEADER and TEXT of a part exist only inside a message/rfc822 part.
        inner = part.message
        if inner is None:
            return None
        if section.text is SectionText.TEXT:
            return range(inner.body_start, inner.body_end)
        header = range(inner.header_start, inner.body_start)
        if section.text is SectionText.HEADER:
            return header
        return _chosen_fields(b"".join(await self.octets(header)), section)

    async def _structure(self) -> Part:
        known = self._view.scanned
        if known is not None and known[0] == self._uid:
            return known[1]
        part = await self._read(_scan_file)
        self._view.scanned = (self._uid, part)
        return part


def _scan_file(file: MessageFile) -> Part:
    return scan(file.read())


def _chosen_fields(header: bytes, section: Section) -> bytes:
    """The fields asked for (or all others), always with a blank line after them."""
    wanted = section.text is SectionText.HEADER_FIELDS
    names = frozenset(section.fields)
    pattern = _pattern(names) if wanted else None
    if pattern is not None and len(header) <= _SHORT_HEADER and b"\r\r" not in header:
        lines = pattern.findall(header)
    else:
        lines = [
            header[field.start : field.end]
            for field in header_fields(header)
            if (field.name.upper() in names) is wanted
        ]
    if lines and not lines[-1].endswith(b"\n"):
        lines.append(b"\r\n")
    lines.append(b"\r\n")
    return b"".join(lines)


@lru_cache(maxsize=100)
def _pattern(names: frozenset[bytes]) -> re.Pattern[bytes] | None:
    """Finds the same fields as `header_fields` in ordinary headers, in a fraction of the time;
    None where the names are too many or not ordinary themselves."""
    if not 0 < len(names) <= _FEW_NAMES or not all(map(_PLAIN_NAME.fullmatch, names)):
        return None
    choice = b"|".join(map(re.escape, sorted(names)))
    field = rb"^(?:" + choice + rb")[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)"
    return re.compile(field, re.MULTILINE | re.IGNORECASE)
