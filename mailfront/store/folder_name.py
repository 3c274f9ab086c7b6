"""Names on disk: mailbox names as Maildir++ directories, addresses as account directories.

A mailbox `A/B` is the directory `.A.B`; each level is written in modified UTF-7 (RFC 3501 section
5.1.3), which is what other Maildir++ programs read. A `.` inside a level is written in base64 too
(`&AC4-`), so that it never looks like the separator. INBOX is the Maildir itself.

An address becomes `<domain>/<local part>` with every octet outside a small set written as `%XX`:
no separator, no leading dot, no control character can appear.
"""

from __future__ import annotations

import unicodedata
from pathlib import PurePath

from mailfront.errors import BackendError, ImapSyntaxError, MailboxError
from mailfront.protocol.imap import mailbox_name

SEPARATOR = "/"
INBOX = "INBOX"
# A file name may have 255 octets (NAME_MAX).
LONGEST_FILE_NAME = 255
_FORBIDDEN_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
_PLAIN_ADDRESS_OCTETS = frozenset(
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_+=.@"
)


def canonical_name(name: str) -> str:
    """The name without a trailing separator and with INBOX in capitals.

    Raises `MailboxError` (CANNOT) for a name that no mailbox can have: empty levels, control
    characters, wildcards.
    """
    name = name.removesuffix(SEPARATOR)
    levels = name.split(SEPARATOR)
    if levels[0].upper() == INBOX:
        levels[0] = INBOX
    if any(not level for level in levels):
        raise MailboxError("a mailbox name has an empty level", code="CANNOT")
    # RFC 9051 section 5.1: wildcards in names make them impossible to list one by one.
    if any(c in "*%" or unicodedata.category(c) in _FORBIDDEN_CATEGORIES for c in name):
        raise MailboxError("a mailbox name has a character that is not allowed", code="CANNOT")
    return SEPARATOR.join(levels)


def directory_of_name(name: str) -> str:
    """The directory of a canonical name, relative to the Maildir; empty for INBOX.

    Raises `MailboxError` (CANNOT) when it would be too long for the file system.
    """
    if name == INBOX:
        return ""
    directory = "".join("." + _encoded_level(level) for level in name.split(SEPARATOR))
    if len(directory) > LONGEST_FILE_NAME:
        raise MailboxError("the mailbox name is too long", code="CANNOT")
    return directory


def name_of_directory(directory: str) -> str | None:
    """The mailbox name of a Maildir++ directory, or None if it is not one of ours or theirs."""
    if not directory:
        return INBOX
    if not directory.startswith(".") or len(directory) < 2:
        return None
    levels = []
    for part in directory[1:].split("."):
        level = _decoded_level(part)
        if not level or SEPARATOR in level:
            return None
        levels.append(level)
    name = SEPARATOR.join(levels)
    try:
        return name if canonical_name(name) == name and name != INBOX else None
    except MailboxError:
        return None


def account_directory(user: str) -> PurePath:
    """The directory of a canonical address below the store's root.

    Raises `BackendError` for what is no address or too long.
    """
    local_part, at, domain = user.lower().rpartition("@")
    if not (at and local_part and domain):
        raise BackendError(f"{user!r} is not an address", temporary=False)
    path = PurePath(_quoted(domain), _quoted(local_part))
    if any(len(part) > LONGEST_FILE_NAME for part in path.parts):
        raise BackendError("the address is too long for a directory name", temporary=False)
    return path


def _quoted(text: str) -> str:
    octets = text.encode("utf-8", "surrogatepass")
    quoted = "".join(chr(o) if o in _PLAIN_ADDRESS_OCTETS else f"%{o:02X}" for o in octets)
    return "%2E" + quoted[1:] if quoted.startswith(".") else quoted


def _encoded_level(level: str) -> str:
    return mailbox_name.encode(level, dots=True).decode("ascii")


def _decoded_level(written: str) -> str | None:
    # Two spellings of one name would be two directories for one mailbox: only ours is taken.
    try:
        return mailbox_name.decode(written.encode("ascii"), dots=True)
    except (UnicodeEncodeError, ImapSyntaxError):
        return None
