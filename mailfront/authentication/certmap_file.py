"""certmap.conf on disk: read at the start, and again when it changes.

Takes the path, gives the mappings with their functions loaded. The file is looked at no more than
once a second, when somebody asks. A version with a fault is logged and told by `problem`; the
mappings read before stay in force.
"""

from __future__ import annotations

import logging
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mailfront.authentication.certmap import MAXIMUM_FILE_OCTETS, Certmap, parse_certmap
from mailfront.authentication.certmap_properties import Mapping
from mailfront.authentication.mapping_function import MappingFunction, load_function
from mailfront.directory.users_file import FileStamp
from mailfront.errors import ConfigurationError

CHECK_INTERVAL = 1.0
"""Seconds between two looks at the file."""

_log = logging.getLogger("mailfront.authentication")


@dataclass(frozen=True, slots=True)
class LoadedCertmap:
    """One version of the file with the functions that its mappings name."""

    certmap: Certmap
    functions: dict[str, MappingFunction]

    def function_of(self, mapping: Mapping) -> MappingFunction | None:
        """Return the function in the place of the mapping's search, if it names one."""
        return self.functions[mapping.module] if mapping.module else None


def read_certmap(path: Path) -> LoadedCertmap:
    """Return what the file says. Raises `ConfigurationError`, also if others may write it."""
    return _read(path)[0]


class CertmapFile:
    """The mappings in force. Raises `ConfigurationError` if the file is unusable at the start."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._loaded, self._seen = _read(path)
        self._next_check = clock() + CHECK_INTERVAL
        self._problem = ""
        _log_warnings(self._loaded)

    @property
    def problem(self) -> str:
        """Why the file as it is now is not in force; empty where it is."""
        self.current()
        return self._problem

    @property
    def warnings(self) -> tuple[str, ...]:
        """What in the mappings in force has no effect."""
        return self._loaded.certmap.warnings

    def current(self) -> LoadedCertmap:
        """Return the mappings in force, after a look at the file if the last one is old."""
        now = self._clock()
        if now >= self._next_check:
            self._next_check = now + CHECK_INTERVAL
            self._look()
        return self._loaded

    def _look(self) -> None:
        try:
            stamp: FileStamp | None = FileStamp.of(self._path.stat())
        except OSError as error:
            self._refuse(None, f"{self._path}: {error.strerror}")
            return
        if stamp == self._seen:
            return
        try:
            loaded, stamp = _read(self._path)
        except ConfigurationError as error:
            self._refuse(stamp, str(error))
            return
        self._loaded, self._seen, self._problem = loaded, stamp, ""
        _log.info("certmap.conf re-read: mappings=%d", len(loaded.certmap.mappings()))
        _log_warnings(loaded)

    def _refuse(self, stamp: FileStamp | None, problem: str) -> None:
        if problem != self._problem or stamp != self._seen:
            _log.error("%s (the mappings read before stay in force)", problem)
        self._seen, self._problem = stamp, problem


def _log_warnings(loaded: LoadedCertmap) -> None:
    for warning in loaded.certmap.warnings:
        _log.warning("%s", warning)


def _read(path: Path) -> tuple[LoadedCertmap, FileStamp | None]:
    content, stamp = _content(path)
    certmap = parse_certmap(content, path)
    functions = {
        mapping.module: load_function(mapping) for mapping in certmap.mappings() if mapping.module
    }
    return LoadedCertmap(certmap, functions), stamp


def _content(path: Path) -> tuple[bytes, FileStamp]:
    try:
        # Without O_NONBLOCK a named pipe in its place would hold up the server for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise ConfigurationError("not a regular file", file=path)
            if status.st_mode & 0o022:
                raise ConfigurationError(
                    "others than its owner may write this file, which decides who logs in as whom",
                    remedy=f"chmod 600 {path}",
                    file=path,
                )
            return stream.read(MAXIMUM_FILE_OCTETS + 1), FileStamp.of(status)
    except OSError as error:
        raise ConfigurationError(
            f"cannot read the certificate mappings: {error.strerror}",
            remedy="mailfront init makes the file",
            file=path,
        ) from error
