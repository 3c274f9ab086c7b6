"""LIST and LSUB (RFC 3501 §6.3.8, §6.3.9) with the attributes of RFC 3348 and RFC 6154."""

from __future__ import annotations

from mailfront.backend.embedded.imap.state import Session
from mailfront.protocol.imap import command
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.mailbox_name import DELIMITER, INBOX
from mailfront.protocol.imap.mailbox_pattern import MailboxPattern
from mailfront.protocol.imap.response import mailbox
from mailfront.store.account import MailboxEntry

_DELIMITER = b' "' + DELIMITER.encode() + b'" '


async def list_mailboxes(session: Session, arguments: Cursor) -> bytes:
    """LIST."""
    wanted = command.list_arguments(arguments)
    if wanted.only_delimiter:
        session.write(b"* LIST (\\Noselect)" + _DELIMITER + b'""\r\n')
        return b"List completed"
    pattern = MailboxPattern(wanted.pattern)
    for entry in await session.run(session.account.list_mailboxes):
        if _matches(pattern, entry.name):
            await session.send(_line(b"LIST", _attributes(entry), entry.name))
    return b"List completed"


async def list_subscribed(session: Session, arguments: Cursor) -> bytes:
    r"""LSUB. With `%`, a level that is not subscribed itself but has subscribed children is shown
    as `\Noselect` (RFC 3501 §6.3.9)."""
    wanted = command.list_arguments(arguments)
    if wanted.only_delimiter:
        session.write(b"* LSUB (\\Noselect)" + _DELIMITER + b'""\r\n')
        return b"Lsub completed"
    pattern = MailboxPattern(wanted.pattern)
    subscribed = await session.run(session.account.subscriptions)
    shown: dict[str, bytes] = {}
    for name in subscribed:
        if _matches(pattern, name):
            shown[name] = b""
        elif pattern.has_level_wildcard:
            for parent in _parents(name):
                if _matches(pattern, parent):
                    shown.setdefault(parent, b"\\Noselect")
    for name, attributes in shown.items():
        await session.send(_line(b"LSUB", attributes, name))
    return b"Lsub completed"


def _matches(pattern: MailboxPattern, name: str) -> bool:
    return pattern.matches(name, ignore_case=name == INBOX)


def _parents(name: str) -> list[str]:
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:count]) for count in range(1, len(levels))]


def _attributes(entry: MailboxEntry) -> bytes:
    attributes = [] if entry.selectable else ["\\Noselect"]
    attributes.append("\\HasChildren" if entry.has_children else "\\HasNoChildren")
    if entry.special_use:
        attributes.append(entry.special_use)
    return " ".join(attributes).encode()


def _line(kind: bytes, attributes: bytes, name: str) -> bytes:
    return b"* " + kind + b" (" + attributes + b")" + _DELIMITER + mailbox(name) + b"\r\n"
