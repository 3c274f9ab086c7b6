"""Writing a file that only its owner may read: all of it or none, and never over another one."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from mailfront.configuration.durable_file import sync_directory, write_durably
from mailfront.errors import OperatorError


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise `OperatorError` if there is such a file, before any work is done for it."""
    if not force and os.path.lexists(path):
        raise _exists(path)
    if not path.parent.is_dir():
        raise OperatorError("there is no such directory", file=path.parent)


def write_private_file(path: Path, content: bytes, *, force: bool) -> None:
    """Write `content` durably with mode 0600; with `force`, in place of what is there.

    Raises `OperatorError`; then nothing was changed and no temporary file is left.
    """
    try:
        if force:
            write_durably(path, content, mode=0o600)
        else:
            _write_new(path, content)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise OperatorError(f"cannot be written: {error.strerror}", file=path) from error


def write_to_output(content: bytes, *, binary: bool) -> None:
    """Write to standard output, which must not be a terminal if the content is binary."""
    if binary and sys.stdout.isatty():
        raise OperatorError(
            "binary output would garble the terminal", remedy="name a file with -o FILE"
        )
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()


def _write_new(path: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        path.hardlink_to(temporary)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def _exists(path: Path) -> OperatorError:
    return OperatorError(
        "the file exists already", remedy="name another, or overwrite it with --force", file=path
    )
