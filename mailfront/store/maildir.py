"""One Maildir on disk: unique names, what a name says, writing into `tmp/`, listing.

The file name is `<unique>,S=<octets on disk>,W=<octets with CRLF>:2,<flag letters>`: `S` and `W`
as Maildir++ quota and other servers define them. Where both are equal the file is served as it is;
mailfront writes what arrived, so its files always have both equal.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import secrets
import shutil
import socket
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from mailfront.configuration.durable_file import sync_directory

CHUNK = 256 * 1024
# The Maildir specification: what stands in tmp/ for 36 hours is forgotten.
FORGOTTEN_AFTER_SECONDS = 36 * 3600
REMOVED_PREFIX = "removed."
_INFO = ":2,"
_ARRIVAL = re.compile(r"(\d{1,12})\.(?:M(\d{1,9}))?(?:P\d+)?(?:Q(\d{1,9}))?")
_SIZE = re.compile(r",S=(\d{1,15})(?:,|$)")
_SIZE_WITH_CRLF = re.compile(r",W=(\d{1,15})(?:,|$)")
_deliveries = itertools.count(1)
_host = socket.gethostname().replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")


class Measure(NamedTuple):
    """What the index must know of a file: size with CRLF line ends, whether bare LFs are to be
    converted on reading, and the time it arrived (seconds since the epoch)."""

    size: int
    bare_lf: bool
    internal_date: int


class SpooledMessage:
    """A message on its way into a Maildir: a file in `tmp/`.

    `write` each piece in order, then hand it over (`Mailbox.append_file`), or `discard` it.
    """

    def __init__(self, temporary_directory: Path) -> None:
        self._unique = unique_name()
        self._path = temporary_directory / self._unique
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._stream = os.fdopen(descriptor, "wb", buffering=CHUNK)
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append a piece; does not wait for the disk. Raises `OSError`."""
        self._stream.write(data)
        self._size += len(data)

    @property
    def size(self) -> int:
        """Octets written so far."""
        return self._size

    @property
    def path(self) -> Path:
        """The file in `tmp/`."""
        return self._path

    @property
    def key(self) -> str:
        """The file's name in the Maildir without flags, once all is written."""
        return sized_key(self._unique, self._size, self._size)

    def finish(self, internal_date: int | None) -> int:
        """Make the bytes durable, dated `internal_date` or now; return that date."""
        date = int(time.time()) if internal_date is None else internal_date
        self._stream.flush()
        os.utime(self._stream.fileno(), (date, date))
        os.fsync(self._stream.fileno())
        self._stream.close()
        return date

    def discard(self) -> None:
        """Remove what was written; harmless when the message was handed over."""
        try:
            self._stream.close()
        except OSError:
            # The rest of the buffer did not fit on the disk; it is thrown away anyway.
            pass
        finally:
            self._path.unlink(missing_ok=True)


class Maildir:
    """The three directories of one mailbox. All paths are computed here and nowhere else."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @functools.cached_property
    def new(self) -> Path:
        """Messages that no session has seen."""
        return self.path / "new"

    @functools.cached_property
    def cur(self) -> Path:
        """Messages with their flags."""
        return self.path / "cur"

    @functools.cached_property
    def tmp(self) -> Path:
        """Messages on their way in."""
        return self.path / "tmp"

    def create(self) -> None:
        """Make what is missing, durably."""
        self.path.mkdir(mode=0o700, exist_ok=True)
        for directory in (self.tmp, self.new, self.cur):
            directory.mkdir(mode=0o700, exist_ok=True)
        sync_directory(self.path)
        sync_directory(self.path.parent)

    def file(self, key: str, letters: str) -> Path:
        """Where a message with these flag letters stands."""
        return self.cur / f"{key}{_INFO}{letters}"

    def spool(self, chunks: Iterable[bytes] = ()) -> SpooledMessage:
        """Begin a message in `tmp/`; on failure nothing is left."""
        spooled = SpooledMessage(self.tmp)
        try:
            for chunk in chunks:
                spooled.write(chunk)
        except BaseException:
            spooled.discard()
            raise
        return spooled

    def names_in(self, directory: Path) -> list[str]:
        """The message files of `new` or `cur`: regular files whose name has no leading dot."""
        with os.scandir(directory) as entries:
            return [
                entry.name
                for entry in entries
                if not entry.name.startswith(".") and entry.is_file(follow_symlinks=False)
            ]

    def forget_abandoned(self) -> None:
        """Remove from `tmp/` what crashed writers left long ago."""
        limit = time.time() - FORGOTTEN_AFTER_SECONDS
        with os.scandir(self.tmp) as entries:
            old = [entry for entry in entries if entry.stat(follow_symlinks=False).st_mtime < limit]
        for entry in old:
            if entry.is_dir(follow_symlinks=False):
                if entry.name.startswith(REMOVED_PREFIX):
                    shutil.rmtree(entry.path, ignore_errors=True)
            else:
                Path(entry.path).unlink(missing_ok=True)


def unique_name() -> str:
    """A name that no other delivery has, on this host or another (Maildir specification)."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return (
        f"{seconds}.M{nanoseconds // 1000:06}P{os.getpid()}Q{next(_deliveries)}"
        f"R{secrets.token_hex(4)}.{_host}"
    )


def sized_key(unique: str, size_on_disk: int, size_with_crlf: int) -> str:
    """The name with its sizes."""
    return f"{unique},S={size_on_disk},W={size_with_crlf}"


def split_name(name: str) -> tuple[str, str | None]:
    """The key and the flag letters of a file name; None if it carries no flags part."""
    key, info, letters = name.partition(_INFO)
    return key, letters if info else None


def arrival_order(key: str, internal_date: int) -> tuple[int, int, int, str]:
    """A sorting key: the moment of delivery as the name tells it, else the file's date."""
    match = _ARRIVAL.match(key)
    if match is None:
        return internal_date, 0, 0, key
    seconds, microseconds, sequence = match.groups()
    return int(seconds), int(microseconds or 0), int(sequence or 0), key


def measure_by_name(path: Path, key: str) -> Measure | None:
    """The measure, if the name tells the truth about sizes; None if the file must be read."""
    facts = path.stat()
    size = _SIZE.search(key)
    size_with_crlf = _SIZE_WITH_CRLF.search(key)
    if size is None or size_with_crlf is None or int(size[1]) != facts.st_size:
        return None
    return Measure(
        int(size_with_crlf[1]), size[1] != size_with_crlf[1], max(0, int(facts.st_mtime))
    )


def measure_by_reading(path: Path) -> Measure:
    """Count the line ends of a file that another program wrote."""
    size = bare = 0
    previous = b""
    with path.open("rb") as stream:
        facts = os.fstat(stream.fileno())
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            pairs = chunk.count(b"\r\n") + (previous == b"\r" and chunk.startswith(b"\n"))
            bare += chunk.count(b"\n") - pairs
            previous = chunk[-1:]
    return Measure(size + bare, bare > 0, max(0, int(facts.st_mtime)))


def write_new_file(path: str, chunks: Iterable[bytes], date: int | None) -> int:
    """Write a file that must not exist, durably, dated `date` or now; return its size in octets.

    On failure, of the disk or of `chunks`, nothing is left.
    """
    size = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            for chunk in chunks:
                size += len(chunk)
                written = os.write(descriptor, chunk)
                while written < len(chunk):
                    written += os.write(descriptor, memoryview(chunk)[written:])
            if date is not None:
                os.utime(descriptor, (date, date))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        Path(path).unlink(missing_ok=True)
        raise
    return size


def link_or_copy(source: str | Path, target: str | Path) -> None:
    """Give a file a second name: a hard link, or a durable copy where links are impossible."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        # Another file system, one without hard links, or too many of this file.
        shutil.copy2(source, target)
        descriptor = os.open(target, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_maildir(path: Path) -> bool:
    """Whether `path` is a directory with a `cur/` in it."""
    try:
        return stat.S_ISDIR(os.lstat(f"{path}/cur").st_mode)
    except OSError:
        return False
