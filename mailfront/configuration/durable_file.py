"""Writes a small persistent file: all of it or none, and durable when the call returns."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_durably(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Replace `path` with `content`, atomically and durably.

    The temporary file stands in the same directory. An existing file keeps its mode and owner
    unless `mode` is given; a new one gets `mode` or 0600. Raises `OSError`; then the old file is
    untouched and no temporary file is left.
    """
    try:
        present = path.stat()
    except FileNotFoundError:
        present = None
    if mode is None:
        mode = 0o600 if present is None else present.st_mode & 0o7777
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            if present is not None and os.geteuid() == 0:
                os.fchown(stream.fileno(), present.st_uid, present.st_gid)
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: str | Path) -> None:
    """Make the names in `directory` durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
