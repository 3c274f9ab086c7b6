"""The SQLite file of the internal token: creating, opening, upgrading; its errors in plain words.

Takes paths, returns connections in autocommit mode; every change is one `transaction`. The journal
is a write-ahead log, so that tools write while the server reads. Raises `KeystoreError`.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from mailfront.configuration.durable_file import sync_directory
from mailfront.errors import KeystoreError

# "mfks" in the file's header: `file` and we can tell a certificate database from any other.
APPLICATION_ID = 0x6D666B73
BUSY_SECONDS = 15.0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

# One tuple of statements per version, applied in order; `user_version` counts them. A row without
# certificate is a key that waits for one; a row without sealed_key is somebody else's certificate.
_VERSIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE data_key (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            identity BLOB NOT NULL,
            salt BLOB NOT NULL,
            scrypt_n INTEGER NOT NULL,
            scrypt_r INTEGER NOT NULL,
            scrypt_p INTEGER NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE entry (
            id INTEGER PRIMARY KEY,
            nickname TEXT NOT NULL UNIQUE,
            trust TEXT NOT NULL,
            public_key BLOB NOT NULL,
            certificate BLOB,
            chain BLOB NOT NULL,
            sealed_key BLOB,
            tag BLOB NOT NULL,
            CHECK (certificate IS NOT NULL OR sealed_key IS NOT NULL)
        ) STRICT""",
        "CREATE INDEX entry_by_public_key ON entry (public_key)",
    ),
    (
        """CREATE TABLE manifest (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            listed BLOB NOT NULL,
            tag BLOB NOT NULL
        ) STRICT""",
        "ALTER TABLE data_key ADD COLUMN form INTEGER NOT NULL DEFAULT 1",
    ),
    (
        # The same data key under further passwords, while the password is being changed.
        """CREATE TABLE other_data_key (
            id INTEGER PRIMARY KEY,
            identity BLOB NOT NULL,
            salt BLOB NOT NULL,
            scrypt_n INTEGER NOT NULL,
            scrypt_r INTEGER NOT NULL,
            scrypt_p INTEGER NOT NULL,
            sealed BLOB NOT NULL,
            form INTEGER NOT NULL
        ) STRICT""",
    ),
    (
        # Files that a certificate follows; paths as octets, empty where there is no such file.
        """CREATE TABLE link (
            nickname TEXT NOT NULL PRIMARY KEY,
            certificate_file BLOB NOT NULL,
            key_file BLOB NOT NULL,
            chain_file BLOB NOT NULL,
            tag BLOB NOT NULL
        ) STRICT""",
    ),
    (
        # Revocation lists of CAs; the issuer is a digest of the CA's name and key.
        """CREATE TABLE revocation_list (
            issuer BLOB NOT NULL PRIMARY KEY,
            authority BLOB NOT NULL,
            list BLOB NOT NULL,
            tag BLOB NOT NULL
        ) STRICT""",
    ),
)
SCHEMA_VERSION = len(_VERSIONS)


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors about `path` into `KeystoreError`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise KeystoreError(str(error), remedy=_remedy(str(error)), file=path) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # SQLite quotes what it could not read, which need not be UTF-8.
        what = "no text" if isinstance(error, UnicodeDecodeError) else error
        raise KeystoreError(
            f"the certificate database is damaged ({what})",
            remedy="restore it from a backup",
            file=path,
        ) from error
    except OSError as error:
        raise KeystoreError(error.strerror or str(error), file=path) from error


def _remedy(text: str) -> str:
    if "locked" in text:
        return f"another program kept it locked for {BUSY_SECONDS:.0f} s; try again"
    if "full" in text:
        return "free space on this file system; nothing was changed"
    if "disk I/O" in text:
        return "see whether this file system is full (df) or failing; nothing was changed"
    if "readonly" in text:
        return "run the command as the owner of the file"
    return ""


def create_file(path: Path, fill: Callable[[sqlite3.Connection], None]) -> None:
    """Make the database at `path` with what `fill` writes, or nothing at all.

    It is built beside `path` and linked there only once it is complete and durable. Makes the
    directory if need be (0700). Raises `KeystoreError` if `path` exists.
    """
    with plain_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with closing(_connect(temporary)) as connection:
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute("PRAGMA journal_mode = WAL")
                with transaction(connection):
                    _apply_versions(connection, 0)
                    fill(connection)
            os.fsync(descriptor)
            _link(temporary, path)
        finally:
            os.close(descriptor)
            for suffix in ("", "-wal", "-shm"):
                temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)
        sync_directory(path.parent)


def _link(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)
    except FileExistsError as error:
        raise KeystoreError(
            "there is a certificate database already",
            remedy="keep it, or move its directory away first",
            file=path,
        ) from error


def has_no_entries(path: Path) -> bool:
    """Whether there is nothing in the database at `path` that could be lost.

    Raises `KeystoreError` if it is damaged or not one of ours.
    """
    with plain_errors(path):
        if path.stat().st_size == 0:
            return True
        with closing(open_file(path)) as connection:
            (entries,) = connection.execute("SELECT count(*) FROM entry").fetchone()
    return bool(entries == 0)


def remove_file(path: Path) -> None:
    """Remove the database at `path`, if there is one, with what SQLite keeps beside it."""
    with plain_errors(path):
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)


def open_file(path: Path) -> sqlite3.Connection:
    """Return a connection to an existing database, brought to the present schema.

    Raises `KeystoreError` if it is missing, open to others, damaged, or not one of ours.
    """
    with plain_errors(path):
        _check_access(path)
        connection = _connect(path)
        try:
            _check_version(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _check_access(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise KeystoreError(
            "there is no certificate database",
            remedy="make one with `msgcert generate-certDB`",
            file=path,
        ) from error
    if not stat.S_ISREG(mode):
        raise KeystoreError("the certificate database is not a regular file", file=path)
    if mode & _OTHERS:
        raise KeystoreError(
            f"other users may access it (mode {stat.S_IMODE(mode):04o})",
            remedy=f"chmod 600 {path}",
            file=path,
        )
    directory_mode = path.parent.stat().st_mode
    if directory_mode & _OTHERS_WRITE:
        raise KeystoreError(
            f"other users may replace files in it (mode {stat.S_IMODE(directory_mode):04o})",
            remedy=f"chmod 700 {path.parent}",
            file=path.parent,
        )


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    # Text that is no UTF-8 was not written by us; it must reach the check that says so.
    connection.text_factory = _lenient_text
    try:
        # A removed key's pages are overwritten; the file's own views and triggers are not trusted.
        for pragma in ("synchronous = FULL", "secure_delete = ON", "trusted_schema = OFF"):
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def _lenient_text(octets: bytes) -> str:
    return octets.decode(errors="replace")


def _pragma_number(connection: sqlite3.Connection, name: str) -> int:
    (number,) = connection.execute(f"PRAGMA {name}").fetchone()
    assert isinstance(number, int)
    return number


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = _pragma_number(connection, "user_version")
    if _pragma_number(connection, "application_id") != APPLICATION_ID or version < 1:
        raise KeystoreError("this is not a certificate database of mailfront", file=path)
    if version > SCHEMA_VERSION:
        raise KeystoreError(
            f"the database has format {version}, this program knows {SCHEMA_VERSION}",
            remedy="use the newer mailfront that wrote it",
            file=path,
        )
    if version < SCHEMA_VERSION:
        with transaction(connection):
            _apply_versions(connection, _pragma_number(connection, "user_version"))


def _apply_versions(connection: sqlite3.Connection, present: int) -> None:
    for statements in _VERSIONS[present:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the block as one change: all of it is durable afterwards, or nothing happened.

    The write lock is taken at the start, so that what the block reads stays true until it ends.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Let all that the block reads be of one moment, whatever others write meanwhile."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
