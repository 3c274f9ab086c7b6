"""A message built from what somebody wrote in the compose form (RFC 5322, MIME).

Takes a draft of plain texts, gives the finished bytes and the envelope's recipients. The standard
library's `EmailMessage` folds and encodes; everything that goes into a header is checked before.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from mailfront.errors import AddressError
from mailfront.front.http.message_view import people_of, plain_text
from mailfront.protocol.mail_address import canonical_address
from mailfront.protocol.mime.address import mailboxes, parse_addresses
from mailfront.protocol.mime.encoded_word import decode_words
from mailfront.protocol.mime.scan import Part, scan

RECIPIENT_LIMIT = 100
SUBJECT_LIMIT = 500
QUOTE_LIMIT = 100_000
_LIST_LIMIT = 40_000
_MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,250}>")
_REFERENCE_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Draft:
    """What the form holds. `to`, `cc` and `bcc` are lists as people write them."""

    sender: str
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    in_reply_to: str = ""
    references: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Ready to submit: `message` with CRLF, without Bcc; `recipients` are canonical, each once."""

    recipients: tuple[str, ...]
    message: bytes


def build(draft: Draft, hostname: str) -> Outgoing:
    """Build the message. Raises `AddressError` with a text for the person who wrote it."""
    lists = [_recipients(text) for text in (draft.to, draft.cc, draft.bcc)]
    recipients = tuple(dict.fromkeys(_spec(each) for people in lists for each in people))
    if not recipients:
        raise AddressError("Say at least one recipient.")
    if len(recipients) > RECIPIENT_LIMIT:
        raise AddressError(f"A message can go to at most {RECIPIENT_LIMIT} recipients.")
    ascii_only = all(address.isascii() for address in (*recipients, draft.sender))
    message = EmailMessage(policy=policy.SMTP if ascii_only else policy.SMTPUTF8)
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = f"<{secrets.token_hex(16)}@{hostname}>"
    message["From"] = _address("", draft.sender)
    for name, people in zip(("To", "Cc"), lists, strict=False):
        if people:
            message[name] = people
    message["Subject"] = _one_line(draft.subject)[:SUBJECT_LIMIT]
    if parents := _MESSAGE_ID.findall(draft.in_reply_to[:1000])[:1]:
        message["In-Reply-To"] = parents[0]
        references = _MESSAGE_ID.findall(draft.references[:20_000]) or parents
        message["References"] = " ".join(references[-_REFERENCE_LIMIT:])
    message.set_content(_body(draft.text), charset="utf-8")
    return Outgoing(recipients, message.as_bytes())


def reply_to(
    message: bytes, own_addresses: frozenset[str], sender: str, *, everyone: bool
) -> Draft:
    """A draft that answers `message`; `everyone` also goes to its other recipients."""
    part = scan(message)
    authors = people_of(part, b"reply-to") or people_of(part, b"from")
    to = [_written(person.name, person.address) for person in authors]
    others: list[str] = []
    if everyone:
        known = own_addresses | {person.address.lower() for person in authors}
        people = (*people_of(part, b"to"), *people_of(part, b"cc"))
        others = [
            _written(person.name, person.address)
            for person in people
            if person.address.lower() not in known
        ]
    message_id = (part.header(b"message-id") or b"").decode("ascii", "replace")
    references = (part.header(b"references") or part.header(b"in-reply-to") or b"").decode(
        "ascii", "replace"
    )
    draft = Draft(
        sender=_own_address(part, own_addresses, sender),
        to=", ".join(to),
        cc=", ".join(others),
        subject=_reply_subject(decode_words(part.header(b"subject") or b"")),
        in_reply_to=message_id[:1000],
        references=f"{references[-18_000:]} {message_id[:1000]}".strip(),
    )
    name = authors[0].name if authors else "Somebody"
    return replace(draft, text=f"\n\n{name} wrote:\n{_quoted(plain_text(message, part))}")


def _recipients(text: str) -> list[Address]:
    if len(text) > _LIST_LIMIT:
        raise AddressError("The list of recipients is too long.")
    people = []
    for mailbox in mailboxes(parse_addresses(_one_line(text).encode("utf-8", "replace"))):
        written = mailbox.address.decode("utf-8", "replace")
        try:
            address = canonical_address(written)
        except AddressError as problem:
            raise AddressError(f"“{written[:80]}” is no mail address: {problem}.") from None
        people.append(_address(mailbox.name.decode("utf-8", "replace"), address))
    return people


def _address(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(_one_line(name)[:200], local, domain)


def _spec(address: Address) -> str:
    return f"{address.username}@{address.domain}"


def _written(name: str, address: str) -> str:
    if not name or name == address:
        return address
    return '"' + name.replace("\\", "").replace('"', "") + f'" <{address}>'


def _own_address(part: Part, own_addresses: frozenset[str], default: str) -> str:
    for person in (*people_of(part, b"to"), *people_of(part, b"cc")):
        if person.address.lower() in own_addresses:
            return person.address.lower()
    return default


def _reply_subject(subject: str) -> str:
    return subject if subject.lower().startswith("re:") else f"Re: {subject}"


def _quoted(text: str) -> str:
    lines = text[:QUOTE_LIMIT].strip("\n").splitlines()
    return "\n".join(f">{line}" if line.startswith(">") else f"> {line}" for line in lines) + "\n"


def _one_line(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text).strip()


def _body(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    return text if text.endswith("\n") else text + "\n"
