"""The files that say how PKCS#11 modules are used: `certdb/pkcs11/`, for the user who serves alone.

Takes the server root; makes the directory and writes its files so that they belong to the owner of
`certdb/`, also where root runs the command that makes them. Raises `TokenError`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailfront.configuration.durable_file import write_durably
from mailfront.configuration.home import ServerRoot
from mailfront.errors import TokenError
from mailfront.keystore.directory_lock import locked_directory


def state_directory(root: ServerRoot) -> Path:
    """Where the files lie; it need not be there."""
    return root.certdb_directory / "pkcs11"


@contextmanager
def locked_state(root: ServerRoot) -> Iterator[None]:
    """Make the directory if need be, and let nobody else change its files during the block."""
    directory = state_directory(root)
    try:
        if not directory.exists():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _give_to_owner(directory)
    except OSError as error:
        raise TokenError(f"cannot be made: {error.strerror}", file=directory) from error
    with locked_directory(directory):
        yield


def write_state(path: Path, content: bytes) -> None:
    """Replace a file in the directory, durably, readable by its owner alone."""
    is_new = not path.exists()
    try:
        write_durably(path, content, mode=0o600)
        if is_new:
            _give_to_owner(path)
    except OSError as error:
        raise TokenError(f"cannot be written: {error.strerror}", file=path) from error


def _give_to_owner(path: Path) -> None:
    """What root makes belongs to whom the directory around it belongs to."""
    if os.geteuid() == 0:
        status = path.parent.stat()
        os.chown(path, status.st_uid, status.st_gid)
