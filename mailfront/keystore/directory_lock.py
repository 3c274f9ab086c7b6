"""One writer at a time in a directory whose files are replaced, not rewritten.

The directory itself is locked (flock), for a lock on a file goes with the file that is replaced.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailfront.errors import KeystoreError


@contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """Make the directory if need be (0700) and wait until no other process holds it locked.

    The lock ends with the block, or with the process. Raises `KeystoreError`.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise KeystoreError(f"cannot be opened: {error.strerror}", file=directory) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
