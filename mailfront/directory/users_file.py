"""The whole of `users.ldif` as indexes: the one reader behind look-ups and edits.

Takes the path or the octets of the file, returns `Users`; a fault anywhere in the file is a
`DirectoryError` with its line, and nothing is taken from such a file.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mailfront.directory.entry import Entry, entry_from_record
from mailfront.directory.entry_search import EntrySearch
from mailfront.errors import DirectoryError
from mailfront.protocol.ldif import read_records

MAXIMUM_FILE_OCTETS = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What tells one version of the file from another."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileStamp:
        """Return the stamp in what `stat` told; times are in nanoseconds."""
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )


@dataclass(frozen=True, slots=True)
class Users:
    """All entries of one version of the file, found by address, by login name, by filter."""

    by_address: dict[str, Entry]
    by_login: dict[str, Entry]
    domains: frozenset[str]
    search: EntrySearch

    def entries(self) -> list[Entry]:
        """All users, sorted by address."""
        entries = {entry.user: entry for entry in self.by_address.values()}
        return [entries[user] for user in sorted(entries)]


def read_users_file(path: Path) -> tuple[bytes, FileStamp]:
    """Return the octets of the file and their stamp.

    Raises `DirectoryError` if it cannot be read or if others than the owner may read it.
    """
    try:
        # Without O_NONBLOCK a named pipe in its place would hold up the server for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DirectoryError("not a regular file", file=path)
            if status.st_mode & 0o077:
                raise DirectoryError(
                    "others than its owner may read or write this file, which holds passwords",
                    remedy=f"chmod 600 {path}",
                    file=path,
                )
            if status.st_size > MAXIMUM_FILE_OCTETS:
                raise DirectoryError("the file is too large", file=path)
            return stream.read(MAXIMUM_FILE_OCTETS), FileStamp.of(status)
    except OSError as error:
        raise DirectoryError(
            f"cannot read the user directory: {error.strerror}",
            remedy="mailfront init makes it, mailfront user add fills it",
            file=path,
        ) from error


def parse_users(content: bytes, file: Path) -> Users:
    """Return the users in `content`. Raises `DirectoryError`, also for what two entries claim."""
    by_address: dict[str, Entry] = {}
    by_login: dict[str, Entry] = {}
    for record in read_records(content, file=file):
        entry = entry_from_record(record, file)
        if entry is None:
            continue
        for address in entry.addresses:
            _claim(by_address, address, entry, file)
        for login in entry.login_names:
            _claim(by_login, login, entry, file)
    domains = frozenset(address.rpartition("@")[2] for address in by_address)
    return Users(by_address, by_login, domains, EntrySearch(by_address, by_login, domains))


def _claim(index: dict[str, Entry], name: str, entry: Entry, file: Path) -> None:
    other = index.setdefault(name, entry)
    if other is not entry:
        raise DirectoryError(
            f"{name} belongs already to the entry in line {other.line}",
            remedy="an address and a login name belong to one user",
            file=file,
            line=entry.line,
        )
