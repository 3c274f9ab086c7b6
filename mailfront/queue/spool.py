"""Where messages for other servers are put down before anybody is told that they are taken.

`queue/` of the server root: `tmp/` for what is being written, `new/` for what was accepted (by any
process), `messages/` for what the database knows, `damaged/` for what could not be read. A message
is accepted by one rename into `new/`, after its file was synced and before the directory is: when
`commit` returns, it survives a loss of power (RFC 5321 section 6.1).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from mailfront.configuration.durable_file import sync_directory
from mailfront.errors import BackendError
from mailfront.interfaces.message_sink import Envelope
from mailfront.queue.message_file import QueuedMessage, write_message_file

# What has another name in new/ or messages/ is no message, and left alone.
IDENTIFIER = re.compile(r"[0-9a-f]{8,64}")
# A file that a process left in tmp/ so long ago was never accepted.
ABANDONED_SECONDS = 36 * 3600.0
_COUNT_SECONDS = 2.0


class PreparedMessage:
    """A message whose file is written and synced, but not accepted yet."""

    def __init__(self, path: Path, target: Path, known: Path, size: int) -> None:
        """From `path` it goes to `target` when it is accepted, and from there to `known`."""
        self.identifier = target.name
        self.size = size
        self._path = path
        self._target = target
        self._known = known

    def commit(self) -> None:
        """Accept it; durable on return. Raises `OSError`; then it is not accepted."""
        self._path.rename(self._target)
        try:
            sync_directory(self._target.parent)
        except OSError:
            # Whoever delivers may have taken it in already.
            for each in (self._target, self._known):
                each.unlink(missing_ok=True)
            raise

    def discard(self) -> None:
        """Give it up."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


class Spool:
    """The directories of the queue. Everything here blocks and belongs in a thread.

    At most `most_messages` are in the queue, and `reserve` octets of the disk stay free, so that
    what becomes of them can always be written down.
    """

    def __init__(
        self, directory: Path, *, most_messages: int = 1_000_000, reserve: int = 0
    ) -> None:
        self.directory = directory
        self.temporary = directory / "tmp"
        self.new = directory / "new"
        self.messages = directory / "messages"
        self.damaged = directory / "damaged"
        self._most_messages = most_messages
        self._reserve = reserve
        self._counted = 0
        self._count_until = 0.0

    def create(self) -> None:
        """Make the directories. Raises `OSError`."""
        for each in (self.directory, self.temporary, self.new, self.messages, self.damaged):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    def prepare(
        self, envelope: Envelope, chunks: Iterable[bytes], identifier: str = ""
    ) -> PreparedMessage:
        """Write a message down. Raises `BackendError` (temporary): no room, no right, no disk."""
        self._require_room()
        name = identifier if IDENTIFIER.fullmatch(identifier) else secrets.token_hex(8)
        path = self.temporary / name
        try:
            size = write_message_file(path, envelope, time.time(), chunks)
        except OSError as failure:
            raise BackendError(f"the queue: {failure}", temporary=True) from failure
        return PreparedMessage(path, self.new / name, self.messages / name, size)

    def open(self, identifier: str) -> QueuedMessage:
        """Open and check a message. Raises `DamagedFileError` or `OSError`."""
        try:
            return QueuedMessage(self.messages / identifier)
        except FileNotFoundError:
            with contextlib.suppress(FileNotFoundError):
                return QueuedMessage(self.new / identifier)
            # Taken in between the two looks.
            return QueuedMessage(self.messages / identifier)

    def accepted(self, most: int, but_for: Container[str] = ()) -> list[str]:
        """The names of some messages that were accepted and not taken in yet, but for those."""
        names: list[str] = []
        with os.scandir(self.new) as entries:
            for entry in entries:
                if IDENTIFIER.fullmatch(entry.name) and entry.name not in but_for:
                    names.append(entry.name)
                if len(names) == most:
                    break
        return names

    def known(self) -> Iterator[str]:
        """The names of all messages in `messages/`."""
        with os.scandir(self.messages) as entries:
            for entry in entries:
                if IDENTIFIER.fullmatch(entry.name):
                    yield entry.name

    def _everything(self) -> Iterator[str]:
        yield from self.known()
        yield from self.accepted(self._most_messages)

    def take_in(self, identifiers: Iterable[str]) -> None:
        """Move accepted messages to where those are that the database knows."""
        for identifier in identifiers:
            with contextlib.suppress(FileNotFoundError):
                (self.new / identifier).rename(self.messages / identifier)

    def remove(self, identifiers: Iterable[str]) -> None:
        """Remove messages' files; durable on return, so that their rows may go."""
        for identifier in identifiers:
            for directory in (self.messages, self.new):
                (directory / identifier).unlink(missing_ok=True)
        sync_directory(self.messages)
        sync_directory(self.new)

    def set_aside(self, path: Path) -> Path:
        """Move what cannot be read to `damaged/`; return where it is now."""
        target = self.damaged / f"{path.name}.{secrets.token_hex(3)}"
        shutil.move(path, target)
        sync_directory(self.damaged)
        return target

    def forget_abandoned(self) -> int:
        """Remove what was never accepted, because its process ended; return how many."""
        removed = 0
        now = time.time()
        for path in self.temporary.iterdir():
            with contextlib.suppress(OSError):
                if now - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()
                    removed += 1
        return removed

    def _require_room(self) -> None:
        now = time.monotonic()
        try:
            if now >= self._count_until:
                self._counted = sum(1 for _ in self._everything())
                # Counting what is many takes longer, so it is done more seldom.
                taken = time.monotonic() - now
                self._count_until = now + max(_COUNT_SECONDS, 100 * taken)
            disk = os.statvfs(self.directory)
        except OSError as failure:
            raise BackendError(f"the queue: {failure}", temporary=True) from failure
        if self._counted >= self._most_messages:
            raise BackendError("the queue is full", temporary=True)
        if disk.f_bavail * disk.f_frsize < self._reserve:
            raise BackendError("the queue: the disk is nearly full", temporary=True)
