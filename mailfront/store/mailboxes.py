"""The hierarchy of a user's mailboxes on disk: a Maildir++ with its directories.

Knows names and directories, roles (RFC 6154) and UIDVALIDITY values; opens nothing.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from mailfront.configuration.durable_file import sync_directory, write_durably
from mailfront.errors import MailboxError
from mailfront.store.file_lock import locked
from mailfront.store.folder_name import (
    INBOX,
    SEPARATOR,
    directory_of_name,
    name_of_directory,
)
from mailfront.store.maildir import REMOVED_PREFIX, Maildir, is_maildir, unique_name

DEFAULT_ROLES = {
    "Drafts": "\\Drafts",
    "Sent": "\\Sent",
    "Trash": "\\Trash",
    "Junk": "\\Junk",
    "Archive": "\\Archive",
}
ROLES_FILE = "mailfront-special-use"
UID_VALIDITY_FILE = "mailfront-uidvalidity"
UID_VALIDITY_LOCK = "mailfront-uidvalidity.lock"
HIERARCHY_LOCK = "mailfront-mailboxes.lock"
MOST_MAILBOXES = 10_000

Rename = Callable[[str, str, Path, Callable[[], None]], None]


class Mailboxes:
    """Takes the directory of the Maildir. Names given are canonical. Raises `OSError` too."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def is_present(self) -> bool:
        """Whether there is a Maildir."""
        return is_maildir(self.root)

    def prepare(self) -> bool:
        """Make the Maildir with its default mailboxes if there is none; True if it was made."""
        _make_directories(self.root.parent)
        with locked(self.root.parent / HIERARCHY_LOCK):
            if self.root.exists():
                Maildir(self.root).create()
                return False
            # Made aside and renamed: a crash leaves all of it or none.
            aside = self.root.with_name(f"{self.root.name}.{unique_name()}")
            Maildir(aside).create()
            for name in DEFAULT_ROLES:
                Maildir(aside / directory_of_name(name)).create()
            aside.rename(self.root)
            sync_directory(self.root.parent)
        return True

    def directories(self) -> dict[str, Path]:
        """All mailboxes that exist."""
        found = {INBOX: self.root}
        with os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    name = name_of_directory(entry.name)
                    path = self.root / entry.name
                    if name is not None and is_maildir(path):
                        found[name] = path
        return found

    def path_of(self, name: str) -> Path:
        """The directory of an existing mailbox. Raises `MailboxError` (NONEXISTENT)."""
        path = self.root / directory_of_name(name)
        if not is_maildir(path):
            raise MailboxError("there is no such mailbox", code="NONEXISTENT")
        return path

    def create(self, name: str) -> None:
        """Make a mailbox. Raises `MailboxError` (ALREADYEXISTS, LIMIT)."""
        path = self.root / directory_of_name(name)
        with self._locked():
            present = self.directories()
            if name in present:
                raise MailboxError("the mailbox exists already", code="ALREADYEXISTS")
            if len(present) >= MOST_MAILBOXES:
                raise MailboxError("there are too many mailboxes", code="LIMIT")
            Maildir(path).create()

    def remove(self, name: str) -> None:
        """Remove a mailbox and its messages; its children stay.

        Raises `MailboxError` (NONEXISTENT; CANNOT for INBOX).
        """
        if name == INBOX:
            raise MailboxError("INBOX cannot be deleted", code="CANNOT")
        with self._locked():
            path = self.path_of(name)
            # Gone under its name at once; what a crash leaves in tmp/ is swept up later.
            aside = self.root / "tmp" / f"{REMOVED_PREFIX}{unique_name()}"
            path.rename(aside)
            sync_directory(self.root)
        shutil.rmtree(aside, ignore_errors=True)

    def rename(self, name: str, new_name: str, rename: Rename) -> None:
        """Rename a mailbox with its children by calling `rename(old, new, path, move)` for each;
        all or none. Raises `MailboxError` (NONEXISTENT, ALREADYEXISTS)."""
        with self._locked():
            present = self.directories()
            below = name + SEPARATOR
            old_names = sorted(n for n in present if n == name or n.startswith(below))
            if not old_names:
                raise MailboxError("there is no such mailbox", code="NONEXISTENT")
            pairs = [(old, new_name + old[len(name) :]) for old in old_names]
            directories = [directory_of_name(new) for _, new in pairs]
            if any(new in present for _, new in pairs):
                raise MailboxError("the new name exists already", code="ALREADYEXISTS")
            done: list[tuple[str, str]] = []
            try:
                for (old, new), directory in zip(pairs, directories, strict=True):
                    self._rename_one(old, new, present[old], self.root / directory, rename)
                    done.append((old, new))
            except BaseException:
                for old, new in reversed(done):
                    path = self.root / directory_of_name(new)
                    self._rename_one(new, old, path, present[old], rename)
                raise
            sync_directory(self.root)
            roles = self.roles()
            renamed = dict(pairs)
            if roles.keys() & renamed.keys():
                self._write_roles({renamed.get(n, n): role for n, role in roles.items()})

    @staticmethod
    def _rename_one(old: str, new: str, path: Path, new_path: Path, rename: Rename) -> None:
        def move() -> None:
            path.rename(new_path)

        rename(old, new, new_path, move)

    def roles(self) -> dict[str, str]:
        r"""Roles by name, such as `\Sent`; the default names have theirs unless changed."""
        try:
            lines = (self.root / ROLES_FILE).read_text("utf-8", "replace").splitlines()
        except FileNotFoundError:
            return dict(DEFAULT_ROLES)
        roles: dict[str, str] = {}
        for line in lines:
            role, _, directory = line.partition(" ")
            name = name_of_directory(directory)
            if name is not None and role.startswith("\\"):
                roles[name] = role
        return roles

    def set_role(self, name: str, role: str) -> None:
        """Give a mailbox a role, durably."""
        with self._locked():
            self._write_roles({**self.roles(), name: role})

    def _write_roles(self, roles: dict[str, str]) -> None:
        lines = [f"{role} {directory_of_name(name)}\n" for name, role in roles.items()]
        write_durably(self.root / ROLES_FILE, "".join(lines).encode("utf-8"))

    def new_uid_validity(self) -> int:
        """A value larger than any given before in this account, remembered durably: also a
        mailbox that is deleted and made again never meets an old one (RFC 9051 2.3.1.1)."""
        with locked(self.root / UID_VALIDITY_LOCK):
            path = self.root / UID_VALIDITY_FILE
            try:
                last = int(path.read_bytes()[:20])
            except (FileNotFoundError, ValueError):
                last = 0
            value = max(last + 1, int(time.time()))
            write_durably(path, b"%d\n" % value)
        return value

    def _locked(self) -> AbstractContextManager[None]:
        return locked(self.root / HIERARCHY_LOCK)


def _make_directories(directory: Path) -> None:
    missing = []
    while not directory.exists():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        path.mkdir(mode=0o700, exist_ok=True)
        sync_directory(path.parent)
