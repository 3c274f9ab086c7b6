"""Changes to `users.ldif`: one entry added, removed, held, given a new password or a key.

Takes the path and what to change; the lines of all other entries and all comments stay as they
are. Two writers wait for each other (a lock on the directory, so no lock file is left behind);
the new content is read back as a whole before it replaces the old, durably.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.configuration.suggest import did_you_mean
from mailfront.directory.enrolled_keys import (
    CERTIFICATE_ATTRIBUTE,
    KEY_FINGERPRINT_ATTRIBUTE,
    enrolled_keys,
    fingerprint_of,
)
from mailfront.directory.entry import DELAY_ATTRIBUTE, Entry
from mailfront.directory.users_file import Users, parse_users, read_users_file
from mailfront.errors import AddressError, DirectoryError
from mailfront.protocol.generalized_time import format_time
from mailfront.protocol.ldif import (
    Attribute,
    Record,
    format_attribute,
    format_record,
    read_records,
)
from mailfront.protocol.mail_address import canonical_address

_NEW_FILE = b"version: 1\n"
_OBJECT_CLASSES = ("inetOrgPerson", "inetUser", "inetMailUser", "inetLocalMailRecipient")
_TO_ESCAPE = frozenset('"+,;<>\\=')


def checked_address(text: str) -> str:
    """Return the canonical form of an address that an operator gave. Raises `DirectoryError`."""
    try:
        return canonical_address(text)
    except AddressError as error:
        raise DirectoryError(f"{text!r}: {error}", remedy="write user@domain") from None


def add_entry(
    path: Path,
    address: str,
    password_hash: str,
    display_name: str | None = None,
    alternate: Sequence[str] = (),
    *,
    verifier: str = "",
) -> None:
    """Append a user; makes the file if there is none. `password_hash` is a `userPassword` value,
    `verifier` a second one, if any.

    Raises `DirectoryError` for a bad address or one that an entry has already.
    """
    user = checked_address(address)
    others = [checked_address(other) for other in alternate]
    record = _new_record(user, [password_hash, verifier], display_name, others)

    def append(content: bytes, users: Users) -> bytes:
        for wanted in (user, *others):
            require_free(users, wanted, path)
        separator = b"\n" if content.endswith(b"\n") else b"\n\n"
        return content + separator + record

    _change(path, append, create=True)


def remove_entry(path: Path, address: str) -> None:
    """Take a user out. Raises `DirectoryError` if there is none with that `mail`."""
    user = checked_address(address)

    def remove(content: bytes, users: Users) -> bytes:
        entry = find_user(users, user, path)
        lines = _lines(content)
        before, after = lines[: entry.line - 1], lines[entry.end - 1 :]
        # One of the blank lines around the entry goes with it.
        if after and not after[0].strip():
            after = after[1:]
        elif not after and before and not before[-1].strip():
            before = before[:-1]
        return b"".join(before + after)

    _change(path, remove)


def replace_password(path: Path, address: str, password_hash: str, *, verifier: str = "") -> None:
    """Make `password_hash`, and `verifier` if there is one, the only `userPassword` values of a
    user. Raises `DirectoryError`."""
    user = checked_address(address)

    def replace(content: bytes, users: Users) -> bytes:
        entry = find_user(users, user, path)
        lines = _lines(content)
        record = _record_of(content, entry, path)
        values = filter(None, (password_hash, verifier))
        new = b"".join(format_attribute("userPassword", value.encode("ascii")) for value in values)
        for attribute in reversed(record.attributes):
            if attribute.name == "userpassword":
                lines[attribute.line - 1 : attribute.end - 1] = []
        after_name = record.attributes[0].line - 1
        lines[after_name:after_name] = [new]
        return b"".join(lines)

    _change(path, replace)


def replace_delay(path: Path, address: str, until: datetime | None) -> bool:
    """Let logins of a user wait until that moment; None: not any more. False if nothing changes.

    Raises `DirectoryError`.
    """
    user = checked_address(address)
    changed = False

    def replace(content: bytes, users: Users) -> bytes:
        nonlocal changed
        entry = find_user(users, user, path)
        changed = entry.held_until != until
        lines = _lines(content)
        record = _record_of(content, entry, path)
        for attribute in reversed(record.attributes):
            if attribute.name == DELAY_ATTRIBUTE.lower():
                lines[attribute.line - 1 : attribute.end - 1] = []
        if until is not None:
            after_name = record.attributes[0].line - 1
            value = format_time(until).encode("ascii")
            lines[after_name:after_name] = [format_attribute(DELAY_ATTRIBUTE, value)]
        return b"".join(lines)

    _change(path, replace)
    return changed


def enroll_key(path: Path, address: str, certificate: bytes, fingerprint: str) -> bool:
    """Give a user a key by which they log in; `certificate` is DER. False if they have it already.

    Raises `DirectoryError`, also if the key is another user's.
    """
    user = checked_address(address)
    added = False

    def enroll(content: bytes, users: Users) -> bytes:
        nonlocal added
        entry = find_user(users, user, path)
        _require_own_key(users, entry, fingerprint, path)
        record = _record_of(content, entry, path)
        wanted = (
            (CERTIFICATE_ATTRIBUTE, certificate),
            (KEY_FINGERPRINT_ATTRIBUTE, fingerprint.encode("ascii")),
        )
        new = [
            format_attribute(name, value)
            for name, value in wanted
            if value not in record.values(name.lower())
        ]
        added = bool(new)
        lines = _lines(content)
        end = record.attributes[-1].end - 1
        if end and not lines[end - 1].endswith(b"\n"):
            lines[end - 1] += b"\n"
        lines[end:end] = new
        return b"".join(lines)

    _change(path, enroll)
    return added


def remove_key(path: Path, address: str, fingerprint: str) -> int:
    """Take a key from a user: its fingerprint, and each certificate with it.

    Returns how many values are gone. Raises `DirectoryError`.
    """
    user = checked_address(address)
    removed = 0

    def remove(content: bytes, users: Users) -> bytes:
        nonlocal removed
        lines = _lines(content)
        for attribute in reversed(
            _record_of(content, find_user(users, user, path), path).attributes
        ):
            if _is_of_key(attribute, fingerprint):
                lines[attribute.line - 1 : attribute.end - 1] = []
                removed += 1
        return b"".join(lines)

    _change(path, remove)
    return removed


def require_free(users: Users, address: str, path: Path) -> None:
    """Raise `DirectoryError` if the canonical `address` belongs to a user already."""
    taken = users.by_address.get(address)
    if taken is not None:
        raise DirectoryError(
            f"{address} exists already: it belongs to {taken.user}",
            remedy="mailfront user passwd changes a password",
            file=path,
            line=taken.line,
        )


def find_user(users: Users, user: str, path: Path) -> Entry:
    """Return the entry whose `mail` is `user`. Raises `DirectoryError` with the nearest one."""
    entry = users.by_address.get(user)
    if entry is None:
        known = (candidate.user for candidate in users.entries())
        remedy = did_you_mean(user, known, otherwise="mailfront user list shows all users")
        raise DirectoryError(f"there is no user {user}", remedy=remedy, file=path)
    if entry.user != user:
        raise DirectoryError(
            f"{user} is a further address of {entry.user}", remedy=f"name {entry.user}", file=path
        )
    return entry


def _record_of(content: bytes, entry: Entry, path: Path) -> Record:
    return next(record for record in read_records(content, file=path) if record.line == entry.line)


def _require_own_key(users: Users, entry: Entry, fingerprint: str, path: Path) -> None:
    for other in users.entries():
        if other.user == entry.user:
            continue
        if any(key.fingerprint == fingerprint for key in enrolled_keys(other)):
            raise DirectoryError(
                f"this key is enrolled for {other.user}",
                remedy="a key belongs to one user; remove it there, or make another",
                file=path,
                line=other.line,
            )


def _is_of_key(attribute: Attribute, fingerprint: str) -> bool:
    if attribute.name == KEY_FINGERPRINT_ATTRIBUTE.lower():
        return attribute.value.strip().lower() == fingerprint.encode("ascii")
    is_certificate = attribute.name in (CERTIFICATE_ATTRIBUTE.lower(), "usercertificate")
    return is_certificate and fingerprint_of(attribute.value) == fingerprint


def _lines(content: bytes) -> list[bytes]:
    # Only line feeds count, as in the reader: splitlines knows more ends of line.
    *ended, rest = content.split(b"\n")
    return [line + b"\n" for line in ended] + ([rest] if rest else [])


def _change(path: Path, edit: Callable[[bytes, Users], bytes], *, create: bool = False) -> None:
    with _locked(path):
        if create and not path.exists():
            content = _NEW_FILE
        else:
            content, _ = read_users_file(path)
        changed = edit(content, parse_users(content, path))
        parse_users(changed, path)
        try:
            write_durably(path, changed)
        except OSError as error:
            raise DirectoryError(f"cannot write: {error.strerror}", file=path) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DirectoryError(
            f"cannot open the directory: {error.strerror}",
            remedy="mailfront init makes a server root",
            file=path.parent,
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _new_record(
    user: str, password_values: Sequence[str], display_name: str | None, others: Sequence[str]
) -> bytes:
    local, _, domain = user.rpartition("@")
    components = ",".join(f"dc={label}" for label in domain.split("."))
    name = display_name or local
    texts = [
        *(("objectClass", value) for value in _OBJECT_CLASSES),
        ("uid", local),
        ("cn", name),
        ("sn", name.rpartition(" ")[2] or name),
        ("mail", user),
        *(("mailAlternateAddress", other) for other in others),
        ("inetUserStatus", "active"),
        ("mailUserStatus", "active"),
        *(("userPassword", value) for value in password_values if value),
    ]
    encoded = [(attribute, text.encode()) for attribute, text in texts]
    return format_record(f"uid={_escape_dn(local)},ou=People,{components}", encoded)


def _escape_dn(value: str) -> str:
    """Escape an attribute value for a distinguished name (RFC 4514 section 2.4)."""
    escaped = "".join(f"\\{sign}" if sign in _TO_ESCAPE else sign for sign in value)
    return f"\\{escaped}" if escaped.startswith(("#", " ")) else escaped
