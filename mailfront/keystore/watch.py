"""Has the certificate database changed since the last look? Cheap enough to ask every second.

Takes the path of the database, returns yes or no. A commit of another process is seen by SQLite's
`PRAGMA data_version`; a file that was replaced as a whole, by its inode.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mailfront.errors import KeystoreError
from mailfront.keystore import schema

_Identity = tuple[int, int]


class KeystoreWatch:
    """Watches one database. Make it before the database is read: no change falls between then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._file: _Identity | None = None
        self._version = 0
        self.changed()

    def changed(self) -> bool:
        """Return whether there was a commit by another connection since the last call.

        A file that is missing or unreadable counts as unchanged until it is there again: what was
        loaded from it stays in use.
        """
        try:
            present = self._identity()
            replaced = present != self._file or self._connection is None
            if replaced:
                self._reopen()
            version = self._data_version()
        except (OSError, sqlite3.Error, KeystoreError):
            self.close()
            return False
        changed = replaced or version != self._version
        self._file, self._version = present, version
        return changed

    def close(self) -> None:
        """Close the connection; the next call of `changed` opens it again and answers yes."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _identity(self) -> _Identity:
        status = self._path.stat()
        return status.st_dev, status.st_ino

    def _reopen(self) -> None:
        self.close()
        self._connection = schema.open_file(self._path)

    def _data_version(self) -> int:
        assert self._connection is not None
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        assert isinstance(version, int)
        return version
