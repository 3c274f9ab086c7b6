"""The lines of imta.cnf: comments out, continuations joined, included files in their places.

Takes the path of the file, gives `Line`s with file and number; a blank line has no text.

    ! …        a comment, in the first column only; it does not count as a blank line
    …\\         goes on in the next line
    <FILE      the lines of another file in config/ (`<IMTA_TABLE:FILE` is the same)

The reader is bounded and total: lines, or `ConfigurationError`. The original took 252 octets a
line; here it is `MAXIMUM_LINE_OCTETS`. What a file outside of config/ says is never included: its
lines would come out in messages. Blank lines at the end of an included file do not count.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from mailfront.errors import ConfigurationError

MAXIMUM_LINE_OCTETS = 4096
MAXIMUM_JOINED_CHARACTERS = 4 * MAXIMUM_LINE_OCTETS
MAXIMUM_OCTETS = 1024 * 1024
"""Of all files together."""

MAXIMUM_FILES = 64
MAXIMUM_DEPTH = 8

_TABLE_DIRECTORY = re.compile(r"IMTA_TABLE:", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OTHERS_MAY_WRITE = 0o022
_OLD_DEFAULT = b"! NOT READ YET"


@dataclass(frozen=True, slots=True)
class Line:
    """What one line says, without blanks at its ends; `number` is that of its first part."""

    file: Path
    number: int
    text: str

    def fault(self, what: str, remedy: str = "") -> ConfigurationError:
        """A mistake in this line."""
        return ConfigurationError(what, remedy=remedy, file=self.file, line=self.number)


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What differs once a file was changed or replaced."""

    path: Path
    device: int
    inode: int
    modified: int
    size: int

    @classmethod
    def of(cls, path: Path, status: os.stat_result) -> FileIdentity:
        """The identity that `status` of the file at `path` gives."""
        return cls(path, status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    def is_current(self) -> bool:
        """Whether the file is still the same."""
        try:
            return FileIdentity.of(self.path, self.path.stat()) == self
        except OSError:
            return False


class ImtaFile:
    """imta.cnf with what it includes. `files` are those that were read, for the next look;
    `is_of_old` tells that a comment in them says that the file is not read, as it once was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._directory = path.parent
        self._octets = 0
        self.files: list[FileIdentity] = []
        self.is_of_old = False

    def lines(self) -> list[Line]:
        """Return the lines. Raises `ConfigurationError`, also if others may write a file."""
        return self._read(self._path, None, 0)

    def _read(self, path: Path, including: Line | None, depth: int) -> list[Line]:
        lines: list[Line] = []
        for line in self._joined(path, self._content(path, including)):
            if line.text.startswith("<"):
                if depth == MAXIMUM_DEPTH:
                    raise line.fault(f"files are included more than {MAXIMUM_DEPTH} deep")
                lines += self._read(self._included(line), line, depth + 1)
            else:
                lines.append(line)
        if including is not None:
            while lines and not lines[-1].text:
                lines.pop()
        return lines

    def _content(self, path: Path, including: Line | None) -> bytes:
        if len(self.files) == MAXIMUM_FILES:
            raise _at(including, path, f"more than {MAXIMUM_FILES} files are included")
        try:
            # Without O_NONBLOCK a named pipe in its place would hold up the server for ever.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
                status = os.fstat(stream.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise _at(including, path, f"{path} is not a regular file")
                if status.st_mode & _OTHERS_MAY_WRITE:
                    raise ConfigurationError(
                        "others than its owner may write this file, which decides who may relay",
                        remedy=f"chmod 600 {path}",
                        file=path,
                    )
                content = stream.read(MAXIMUM_OCTETS - self._octets + 1)
        except OSError as failure:
            raise _at(including, path, f"cannot read {path}: {failure.strerror}") from failure
        self._octets += len(content)
        if self._octets > MAXIMUM_OCTETS:
            raise _at(including, path, f"more than {MAXIMUM_OCTETS} octets in all")
        self.files.append(FileIdentity.of(path, status))
        return content

    def _joined(self, path: Path, content: bytes) -> list[Line]:
        lines: list[Line] = []
        joined, first = "", 0
        physical = content.split(b"\n")
        if not physical[-1]:
            physical.pop()
        for number, octets in enumerate(physical, start=1):
            if octets.startswith(b"!"):
                self.is_of_old |= octets.startswith(_OLD_DEFAULT)
                continue
            text = _decoded(octets, Line(path, number, ""))
            first = first if joined else number
            goes_on = text.endswith("\\")
            joined += text[:-1] + " " if goes_on else text
            if len(joined) > MAXIMUM_JOINED_CHARACTERS:
                raise Line(path, first, "").fault("a line with too many continuations")
            if not goes_on:
                lines.append(Line(path, first, joined.strip()))
                joined = ""
        if joined:
            raise Line(path, first, "").fault("the file ends where a line is to be continued")
        return lines

    def _included(self, line: Line) -> Path:
        name = _TABLE_DIRECTORY.sub("", line.text[1:].strip(), count=1)
        if not name:
            raise line.fault("no file is named behind <", "write <FILE, a file in config/")
        directory = self._directory.resolve()
        try:
            path = (directory / name).resolve()
        except (OSError, RuntimeError):
            raise line.fault(f"{name} cannot be found: its links lead nowhere") from None
        if not path.is_relative_to(directory):
            raise line.fault(
                f"{name} is not in {self._directory}",
                "copy it there: files elsewhere are not included",
            )
        return path


def _decoded(octets: bytes, place: Line) -> str:
    if len(octets) > MAXIMUM_LINE_OCTETS:
        raise place.fault(
            f"a line of more than {MAXIMUM_LINE_OCTETS} octets",
            "divide it: a \\ at the end continues a line",
        )
    try:
        text = octets.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise place.fault("a line that is not UTF-8") from None
    if _UNPRINTABLE.search(text):
        raise place.fault("a control character", "take it out")
    return text.rstrip()


def _at(including: Line | None, path: Path, what: str) -> ConfigurationError:
    if including is None:
        return ConfigurationError(what, file=path)
    return including.fault(what)
