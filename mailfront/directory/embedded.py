"""The embedded directory: `config/users.ldif`, held in memory and re-read when it changes.

Takes the path, answers look-ups from dictionaries, never suspending the caller. The file is looked
at no more than once a second, on a look-up. A small file is re-read at once; a large one in a
thread, the old entries answering until it is done. A version with a fault is logged and told by
`problem`, and the old entries stay.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mailfront.directory.editing import add_entry, remove_entry, replace_password
from mailfront.directory.entry import Entry
from mailfront.directory.users_file import FileStamp, Users, parse_users, read_users_file
from mailfront.errors import AddressError, DirectoryError
from mailfront.interfaces.secret import Secret
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import Filter
from mailfront.protocol.mail_address import canonical_address

__all__ = ["EmbeddedDirectory", "add_entry", "remove_entry", "replace_password"]

CHECK_INTERVAL = 1.0
"""Seconds between two looks at the file."""

LARGE_FILE_OCTETS = 256 * 1024
"""From this size on a re-read would hold up the event loop for more than some 50 ms."""

_log = logging.getLogger("mailfront.directory")


class EmbeddedDirectory:
    """The users of this machine. Raises `DirectoryError` if the file is unusable at the start."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._users, stamp = _load(path)
        self._seen: FileStamp | None = stamp
        self._next_check = clock() + CHECK_INTERVAL
        self._reader: threading.Thread | None = None
        self._problem = ""

    @property
    def problem(self) -> str:
        """Why the file as it is now is not in use; empty where it is."""
        return self._problem

    async def entry_for_login(self, login: str, default_domain: str) -> Entry | None:
        """Return the user who logs in as `login`: an address (`mail`), or a `uid` with or without
        the domain; `default_domain` completes a name without one."""
        name = login if "@" in login else f"{login}@{default_domain}"
        return self._find(self._current().by_login, name)

    async def entry_for_address(self, address: str) -> Entry | None:
        """Return the user to whom `address` belongs, exactly (no subaddress is taken off)."""
        return self._find(self._current().by_address, address)

    async def domains(self) -> frozenset[str]:
        """Return the domains of all addresses, in A-labels and lower case."""
        return self._current().domains

    async def search(
        self, base: DistinguishedName | None, condition: Filter, *, limit: int = 2
    ) -> list[Entry]:
        """Part of `Directory`."""
        return await self._current().search.find(base, condition, limit)

    async def verify_password(self, entry: Entry | None, password: Secret) -> None:
        """Part of `Directory`: passwords are the caller's to compare."""

    def close(self) -> None:
        """Nothing is open."""

    def entries(self) -> list[Entry]:
        """Return all users, sorted by address."""
        return self._current().entries()

    def _find(self, index: dict[str, Entry], name: str) -> Entry | None:
        try:
            return index.get(canonical_address(name))
        except AddressError:
            return None

    def _current(self) -> Users:
        now = self._clock()
        if now >= self._next_check:
            self._next_check = now + CHECK_INTERVAL
            self._look()
        return self._users

    def _look(self) -> None:
        if self._reader is not None:
            if self._reader.is_alive():
                return
            self._reader = None
        try:
            stamp = FileStamp.of(self._path.stat())
        except OSError as error:
            self._refuse(None, DirectoryError(f"{error.strerror}", file=self._path))
            return
        if stamp == self._seen:
            return
        if stamp.size < LARGE_FILE_OCTETS:
            self._read(stamp)
            return
        self._reader = threading.Thread(
            target=self._read, args=(stamp,), name="users.ldif", daemon=True
        )
        self._reader.start()

    def _read(self, stamp: FileStamp) -> None:
        try:
            users, stamp = _load(self._path)
        except DirectoryError as error:
            self._refuse(stamp, error)
            return
        # Each attribute is replaced in one step, so a look-up in another thread sees old or new.
        self._users, self._seen, self._problem = users, stamp, ""
        _log.info("users.ldif re-read: addresses=%d", len(users.by_address))

    def _refuse(self, stamp: FileStamp | None, error: DirectoryError) -> None:
        problem = str(error)
        if problem != self._problem or stamp != self._seen:
            _log.error("%s (the entries read before stay in use)", problem)
        self._seen, self._problem = stamp, problem


def _load(path: Path) -> tuple[Users, FileStamp]:
    """Return the users and the stamp of the file. Raises `DirectoryError`."""
    content, stamp = read_users_file(path)
    large = stamp.size >= LARGE_FILE_OCTETS
    # Entries are in no cycles: to look for some among a million only takes time, now and later.
    collects = gc.isenabled()
    if large:
        gc.disable()
    try:
        return parse_users(content, path), stamp
    finally:
        if large:
            gc.freeze()
        if collects:
            gc.enable()
