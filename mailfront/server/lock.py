"""One server per server root: a lock file, held as long as the process lives."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from mailfront.errors import ConfigurationError


class ServerLock:
    """Holds the lock from construction until `release` or the end of the process.

    Raises `ConfigurationError` if another process holds it, naming its pid.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            failure = _held(self._descriptor, path)
            os.close(self._descriptor)
            raise failure from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let another server start."""
        os.close(self._descriptor)


def require_no_server(path: Path) -> None:
    """Raise `ConfigurationError` if a server holds the lock at `path`; leave no trace."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held(descriptor, path) from None
    finally:
        os.close(descriptor)


def _held(descriptor: int, path: Path) -> ConfigurationError:
    holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
    return ConfigurationError(
        f"a server runs on this server root already (pid {holder or 'unknown'})",
        remedy="stop it, or use another server root",
        file=path,
    )
