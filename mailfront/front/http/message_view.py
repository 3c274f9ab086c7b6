"""One message prepared for the eyes: headers, body and attachments, from its bytes.

Takes the message, gives texts and safe markup. A message is a row of blocks: each text part is one,
and the versions of a multipart/alternative together are one. What is no text is an attachment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

from markupsafe import Markup

from mailfront.front.http.html_text import html_to_text, sanitise, text_markup
from mailfront.protocol.mime.address import mailboxes, parse_addresses
from mailfront.protocol.mime.charset import decode_charset
from mailfront.protocol.mime.encoded_word import decode_words
from mailfront.protocol.mime.scan import Part, scan
from mailfront.protocol.mime.transfer_encoding import decode_body

TEXT_LIMIT = 1024 * 1024
ADDRESSES_SHOWN = 50
ATTACHMENTS_SHOWN = 200
BLOCKS_SHOWN = 50
SAFE_IMAGES = frozenset({"image/png", "image/gif", "image/jpeg", "image/webp"})
# Types under which a download is offered; anything else is just octets.
_SAFE_TYPES = SAFE_IMAGES | {
    "application/pdf", "application/zip", "text/plain", "text/csv", "text/calendar", "audio/mpeg",
    "video/mp4", "message/rfc822",
}  # fmt: skip
_OCTETS = "application/octet-stream"
_ENCODED_RATIO = {b"base64": 0.73}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that can be downloaded. `number` is its part number (`2.1`); `size` is estimated."""

    number: str
    name: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Content:
    """The decoded octets of one part, with a type that is safe to send to a browser."""

    name: str
    media_type: str
    data: bytes


@dataclass(slots=True, eq=False)
class Block:
    """One piece of the body in up to two versions; `source` is unsanitised HTML."""

    text: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """A mailbox for people: display name (or the address) and address."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class MessageView:
    """What the page shows. `formatted` tells whether the HTML version is shown, `choice` whether
    there is another version to switch to."""

    subject: str
    sender: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    date: datetime | None
    blocks: tuple[tuple[bool, Markup], ...]
    attachments: tuple[Attachment, ...]
    formatted: bool
    choice: bool
    remote_blocked: bool


@dataclass(slots=True)
class _Contents:
    blocks: list[Block] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)


def view_message(
    message: bytes, part_address: Callable[[str], str], *, formatted: bool
) -> MessageView:
    """Prepare `message`; `part_address` gives the address under which a part can be fetched as an
    image. With `formatted`, HTML versions are preferred to plain text."""
    part = scan(message)
    contents = _contents(message, part)
    remote_blocked = False
    shown: list[tuple[bool, Markup]] = []

    def image_address(content_id: str) -> str | None:
        number = contents.images.get(content_id)
        return None if number is None else part_address(number)

    for block in contents.blocks:
        if block.source is not None and (formatted or block.text is None):
            safe = sanitise(block.source, image_address)
            remote_blocked |= safe.remote_blocked
            shown.append((True, safe.markup))
        else:
            shown.append((False, text_markup(block.text or "")))
    people = _people(part, b"from")
    return MessageView(
        subject=decode_words(part.header(b"subject") or b""),
        sender=people[0] if people else Person("", ""),
        to=people_of(part, b"to"),
        cc=people_of(part, b"cc"),
        date=_date(part),
        blocks=tuple(shown),
        attachments=tuple(contents.attachments),
        formatted=formatted,
        choice=any(
            block.text is not None and block.source is not None for block in contents.blocks
        ),
        remote_blocked=remote_blocked,
    )


def plain_text(message: bytes, part: Part) -> str:
    """The body as plain text, for quoting it in a reply."""
    pieces = []
    for block in _contents(message, part).blocks:
        if block.text is not None:
            pieces.append(block.text)
        elif block.source is not None:
            pieces.append(html_to_text(block.source[:TEXT_LIMIT]))
    return "\n".join(pieces)


def part_content(message: bytes, number: str) -> Content | None:
    """The decoded content of part `number`, or None if there is no such part."""
    pieces = number.split(".")
    if len(pieces) > 60 or not all(piece.isascii() and piece.isdigit() for piece in pieces):
        return None
    if any(len(piece) > 5 for piece in pieces):
        return None
    part = scan(message).part_at(tuple(int(piece) for piece in pieces))
    if part is None or part.is_multipart:
        return None
    data = message[part.body_start : part.body_end]
    if part.message is None:
        data = decode_body(data, part.encoding)
    media_type = part.content_type.essence.decode("ascii", "replace")
    safe = media_type if media_type in _SAFE_TYPES else _OCTETS
    return Content(_name(part, number), safe, data)


def people_of(part: Part, field_name: bytes) -> tuple[Person, ...]:
    """The mailboxes of all fields called `field_name`, for people; not endlessly many."""
    return _people(part, field_name)


def _people(part: Part, field_name: bytes) -> tuple[Person, ...]:
    found = mailboxes(parse_addresses(b",".join(part.headers(field_name))))[:ADDRESSES_SHOWN]
    people = []
    for mailbox in found:
        address = decode_words(mailbox.address)
        people.append(Person(decode_words(mailbox.name) or address, address))
    return tuple(people)


def _date(part: Part) -> datetime | None:
    value = part.header(b"date")
    if value is None:
        return None
    try:
        moment = parsedate_to_datetime(value[:200].decode("ascii", "replace"))
        return moment.astimezone()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def _contents(message: bytes, part: Part) -> _Contents:
    contents = _Contents()
    remaining = TEXT_LIMIT
    for number, leaf, block in _leaves(part):
        kind = leaf.content_type.essence
        disposition = leaf.disposition
        attached = disposition is not None and disposition.value.lower() == b"attachment"
        if kind in (b"text/plain", b"text/html") and not attached and block is not None:
            text = _text(message, leaf, remaining)
            remaining = max(remaining - len(text), 0)
            if kind == b"text/html":
                block.source = (block.source or "") + text
            else:
                block.text = (block.text or "") + text
            if block not in contents.blocks and len(contents.blocks) < BLOCKS_SHOWN:
                contents.blocks.append(block)
        elif len(contents.attachments) < ATTACHMENTS_SHOWN:
            media_type = kind.decode("ascii", "replace")
            size = int(leaf.size * _ENCODED_RATIO.get(leaf.encoding, 1))
            contents.attachments.append(Attachment(number, _name(leaf, number), media_type, size))
            if media_type in SAFE_IMAGES and leaf.id:
                contents.images.setdefault(
                    leaf.id.strip(b"<> \t").decode("utf-8", "replace"), number
                )
    return contents


def _leaves(part: Part) -> Iterator[tuple[str, Part, Block | None]]:
    """Parts without children, with their numbers and the block they belong to."""
    if not part.is_multipart:
        yield "1", part, Block()
        return
    waiting: list[tuple[str, Part, Block | None]] = [("", part, None)]
    while waiting:
        number, each, block = waiting.pop()
        if not each.is_multipart:
            yield number, each, block or Block()
            continue
        if each.content_type.subtype.lower() == b"alternative":
            block = block or Block()
        prefix = number + "." if number else ""
        waiting.extend(
            (f"{prefix}{place}", child, block)
            for place, child in reversed(list(enumerate(each.children, 1)))
        )


def _text(message: bytes, part: Part, limit: int) -> str:
    octets = decode_body(message[part.body_start : part.body_end], part.encoding, limit=limit)
    charset = (part.content_type.parameter(b"charset") or b"").decode("ascii", "replace")
    return decode_charset(octets, charset).replace("\r\n", "\n").replace("\x00", "\ufffd")


def _name(part: Part, number: str) -> str:
    """The file name that the sender chose, without anything that is a path or invisible."""
    disposition = part.disposition
    name = disposition.text_parameter(b"filename") if disposition else None
    name = name or part.content_type.text_parameter(b"name") or ""
    if not name and part.message is not None:
        name = decode_words(part.message.header(b"subject") or b"")[:60] + ".eml"
    name = name.replace("\\", "/").rpartition("/")[2]
    name = "".join(character for character in name if character.isprintable()).strip(". ")[:120]
    return name or f"part-{number}"
