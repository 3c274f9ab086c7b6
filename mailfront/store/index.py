"""The index of one mailbox: a SQLite file beside `cur/` with UIDs, keywords and cached values.

The Maildir is the truth for which messages exist and for their flag letters; the index is the
truth for UIDs, modification sequences and keywords. All processes write in immediate transactions,
which are also the lock under which files in `cur/` are renamed, so an index row and its file change
together as far as any other mailfront process can see.

Crash order. A process may die anywhere: what was committed stays (WAL), and a file that was
renamed without its commit is found by the next scan, because the recorded time of `cur/` no longer
fits. When the machine dies, commits that were not yet synced may be lost, and with them UIDs. A UID
is therefore shown to a session only after `make_durable` has synced the transaction that gave it
out, so that no UID that a client may remember is ever given to another message. Lost flag changes
and cached values are found or computed again; lost keywords fall back to the older ones. A lost
index is made anew with a larger UIDVALIDITY.

One connection per mailbox and process, used from several threads under `lock`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mailfront.configuration.durable_file import sync_directory
from mailfront.errors import BackendError, MailboxError
from mailfront.store.file_lock import locked
from mailfront.store.message_record import CachedValues

INDEX_FILE = "mailfront-index.sqlite"
LOCK_FILE = "mailfront-index.lock"
SCHEMA_VERSION = 1
# Raise it when the form of cached values changes: older ones are then forgotten.
CACHED_VALUES_VERSION = 1
MOST_KEYWORDS = 500
LONGEST_KEYWORD = 255
# How many expunged UIDs are remembered for clients that resynchronise (RFC 7162 section 3.2.5).
MOST_EXPUNGED = 50_000
LOCK_WAIT_SECONDS = 20.0

_SCHEMA = f"""
CREATE TABLE mailbox (
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL DEFAULT 1,
    modseq INTEGER NOT NULL DEFAULT 1,
    first_recent INTEGER NOT NULL DEFAULT 1,
    expunged_floor INTEGER NOT NULL DEFAULT 0,
    cur_time INTEGER NOT NULL DEFAULT 0,
    rescan_after INTEGER NOT NULL DEFAULT 0,
    cached_values_version INTEGER NOT NULL DEFAULT {CACHED_VALUES_VERSION}
);
CREATE TABLE message (
    uid INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    letters TEXT NOT NULL,
    keywords TEXT NOT NULL,
    size INTEGER NOT NULL,
    bare_lf INTEGER NOT NULL,
    internal_date INTEGER NOT NULL,
    modseq INTEGER NOT NULL
);
CREATE INDEX message_modseq ON message (modseq);
CREATE TABLE cached (
    uid INTEGER PRIMARY KEY, envelope BLOB, body_structure BLOB, header BLOB
);
CREATE TABLE keyword (name TEXT PRIMARY KEY COLLATE NOCASE);
CREATE TABLE expunged (uid INTEGER PRIMARY KEY, modseq INTEGER NOT NULL);
CREATE INDEX expunged_modseq ON expunged (modseq);
"""


class Counters(NamedTuple):
    """The row of the mailbox itself. `cur_time` is the modification time of `cur/` (ns) up to
    which the index agrees with it; after `rescan_after` (ns, 0 for never) it is to be verified."""

    uid_validity: int
    uid_next: int
    modseq: int
    first_recent: int
    expunged_floor: int
    cur_time: int
    rescan_after: int


class FileRow(NamedTuple):
    """A message as its file and flags."""

    uid: int
    key: str
    letters: str
    keywords: str
    size: int
    bare_lf: bool
    internal_date: int
    modseq: int


class SummaryRow(NamedTuple):
    """What is kept in memory of a message."""

    uid: int
    size: int
    internal_date: int
    letters: str
    keywords: str
    modseq: int


# The columns of a `SummaryRow`.
SummaryColumns = tuple[int, int, int, str, str, int]
_SUMMARIES = "SELECT uid, size, internal_date, letters, keywords, modseq FROM message"


class Index:
    """Opens, or makes, the index in `directory`. `new_uid_validity` is asked for a value larger
    than any before when an index has to be made."""

    def __init__(self, directory: Path, new_uid_validity: Callable[[], int]) -> None:
        self.lock = threading.RLock()
        self._directory = directory
        self._path = directory / INDEX_FILE
        self._named_durably = False
        try:
            self._connection = self._connect(new_uid_validity)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._connection = self._replace_damaged(new_uid_validity)
        self._inode = self._path.stat().st_ino

    def _connect(self, new_uid_validity: Callable[[], int]) -> sqlite3.Connection:
        # Made here only for its mode; never opened by us when it exists, since closing a
        # descriptor would drop SQLite's own locks on the file.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        connection = sqlite3.connect(
            self._path,
            timeout=LOCK_WAIT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=32,
        )
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA cache_size=-512")
            self._prepare_schema(connection, new_uid_validity)
            connection.execute("SELECT count(*), max(modseq) FROM message").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare_schema(
        self, connection: sqlite3.Connection, new_uid_validity: Callable[[], int]
    ) -> None:
        if self._version(connection) == 0:
            # Several processes may open a new mailbox at once: one of them makes the tables.
            with locked(self._directory / LOCK_FILE):
                if self._version(connection) == 0:
                    uid_validity = new_uid_validity()
                    connection.execute("BEGIN IMMEDIATE")
                    for statement in _SCHEMA.split(";"):
                        connection.execute(statement)
                    connection.execute(
                        "INSERT INTO mailbox (uid_validity) VALUES (?)", (uid_validity,)
                    )
                    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
                    connection.execute("COMMIT")
        if self._version(connection) != SCHEMA_VERSION:
            raise BackendError("the index was made by a newer version", temporary=False)
        (version,) = connection.execute("SELECT cached_values_version FROM mailbox").fetchone()
        if version != CACHED_VALUES_VERSION:
            connection.execute("DELETE FROM cached")
            connection.execute(
                "UPDATE mailbox SET cached_values_version = ?", (CACHED_VALUES_VERSION,)
            )

    @staticmethod
    def _version(connection: sqlite3.Connection) -> int:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        return version

    def _replace_damaged(self, new_uid_validity: Callable[[], int]) -> sqlite3.Connection:
        with locked(self._directory / f"{LOCK_FILE}.repair"):
            try:
                return self._connect(new_uid_validity)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                aside = f"{INDEX_FILE}.damaged-{time.time_ns()}"
                self._path.rename(self._directory / aside)
                for suffix in ("-wal", "-shm"):
                    companion = self._directory / f"{INDEX_FILE}{suffix}"
                    companion.unlink(missing_ok=True)
                return self._connect(new_uid_validity)

    def close(self) -> None:
        """Close the connection."""
        with self.lock:
            self._connection.close()

    def reopen(self, directory: Path) -> None:
        """Connect again after the mailbox's directory was renamed."""
        self._directory = directory
        self._path = directory / INDEX_FILE
        self._connection = self._connect(_no_new_index)

    def is_current(self) -> bool:
        """Whether the file on disk is still the one that is open."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """An immediate transaction, under `lock`: committed at the end, undone by an exception."""
        with self.lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[Counters]:
        """Reads that agree with each other, under `lock`; gives the counters of that moment."""
        with self.lock:
            self._connection.execute("BEGIN")
            try:
                yield self.counters()
            finally:
                self._connection.execute("COMMIT")

    def make_durable(self) -> None:
        """Sync what is committed. Not under the lock: readers go on while the disk writes."""
        # SQLite takes no locks on the -wal file, so opening and closing it here disturbs none.
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(self._path.with_name(f"{INDEX_FILE}-wal"), os.O_RDONLY)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        if not self._named_durably:
            sync_directory(self._directory)
            self._named_durably = True

    def counters(self) -> Counters:
        """The mailbox's own row."""
        row = self._connection.execute(
            "SELECT uid_validity, uid_next, modseq, first_recent, expunged_floor, cur_time,"
            " rescan_after FROM mailbox"
        ).fetchone()
        return Counters(*row)

    def next_modseq(self) -> int:
        """Advance the modification sequence; in a transaction."""
        self._connection.execute("UPDATE mailbox SET modseq = modseq + 1")
        return self.counters().modseq

    def set_cur_time(self, cur_time: int, rescan_after: int) -> None:
        """Record up to when the index agrees with `cur/`; in a transaction."""
        self._connection.execute(
            "UPDATE mailbox SET cur_time = ?, rescan_after = ?", (cur_time, rescan_after)
        )

    def set_first_recent(self, uid: int) -> None:
        """Record that messages before `uid` were announced as recent; in a transaction."""
        self._connection.execute("UPDATE mailbox SET first_recent = ?", (uid,))

    def summaries(self, since_modseq: int = 0) -> list[SummaryRow]:
        """Messages with a greater modification sequence, by UID."""
        # The plus keeps SQLite from walking all UIDs in order instead of the few new rows.
        rows = self._connection.execute(
            f"{_SUMMARIES} WHERE modseq > ? ORDER BY +uid", (since_modseq,)
        )
        return list(map(SummaryRow._make, rows))

    def all_summaries(self) -> list[SummaryColumns]:
        """All messages by UID, as plain tuples: there may be very many."""
        return self._connection.execute(f"{_SUMMARIES} ORDER BY uid").fetchall()

    def shrink(self) -> None:
        """Free the memory that only makes the next access faster."""
        self._connection.execute("PRAGMA shrink_memory")

    def expunged_since(self, modseq: int) -> list[int]:
        """UIDs expunged after `modseq`; complete if `modseq` >= `expunged_floor`."""
        rows = self._connection.execute(
            "SELECT uid FROM expunged WHERE modseq > ? ORDER BY +uid", (modseq,)
        )
        return [uid for (uid,) in rows]

    def uids_by_key(self) -> dict[str, tuple[int, str]]:
        """All messages as key → (UID, letters), for a scan."""
        rows = self._connection.execute("SELECT key, uid, letters FROM message")
        return {key: (uid, letters) for key, uid, letters in rows}

    def has_key(self, key: str) -> bool:
        """Whether a message's file has this key."""
        row = self._connection.execute("SELECT 1 FROM message WHERE key = ?", (key,)).fetchone()
        return row is not None

    def file_rows(self, uids: Sequence[int]) -> list[FileRow]:
        """The messages of `uids` that are there, by UID."""
        rows = self._connection.execute(
            "SELECT uid, key, letters, keywords, size, bare_lf, internal_date, modseq FROM message"
            " WHERE uid IN (SELECT value FROM json_each(?)) ORDER BY uid",
            (_listed(uids),),
        )
        return list(map(FileRow._make, rows))

    def insert(self, messages: Sequence[FileRow]) -> list[int]:
        """Add messages, giving UIDs in the order of the sequence (their own `uid` is ignored);
        in a transaction."""
        first = self.counters().uid_next
        self._connection.execute("UPDATE mailbox SET uid_next = uid_next + ?", (len(messages),))
        uids = list(range(first, first + len(messages)))
        self._connection.executemany(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(uid, *message[1:]) for uid, message in zip(uids, messages, strict=True)],
        )
        return uids

    def update_flags(self, changes: Iterable[tuple[str, str, int, int]]) -> None:
        """Set (letters, keywords, modification sequence) of (UID); in a transaction."""
        self._connection.executemany(
            "UPDATE message SET letters = ?, keywords = ?, modseq = ? WHERE uid = ?", changes
        )

    def update_letters(self, changes: Iterable[tuple[str, int, int]]) -> None:
        """Set (letters, modification sequence) of (UID); in a transaction."""
        self._connection.executemany(
            "UPDATE message SET letters = ?, modseq = ? WHERE uid = ?", changes
        )

    def remove(self, uids: Sequence[int], modseq: int) -> None:
        """Forget messages and remember their UIDs as expunged; in a transaction."""
        for statement in (
            "DELETE FROM message WHERE uid IN (SELECT value FROM json_each(?))",
            "DELETE FROM cached WHERE uid IN (SELECT value FROM json_each(?))",
        ):
            self._connection.execute(statement, (_listed(uids),))
        self._connection.executemany(
            "INSERT OR REPLACE INTO expunged VALUES (?, ?)", [(uid, modseq) for uid in uids]
        )
        self._forget_oldest_expunged()

    def _forget_oldest_expunged(self) -> None:
        row = self._connection.execute(
            "SELECT modseq FROM expunged ORDER BY modseq DESC LIMIT 1 OFFSET ?", (MOST_EXPUNGED,)
        ).fetchone()
        if row is not None:
            self._connection.execute("DELETE FROM expunged WHERE modseq <= ?", row)
            self._connection.execute("UPDATE mailbox SET expunged_floor = ?", row)

    def keywords(self) -> tuple[str, ...]:
        """All keywords of the mailbox in alphabetical order."""
        rows = self._connection.execute("SELECT name FROM keyword ORDER BY name")
        return tuple(name for (name,) in rows)

    def known_keywords(self, names: Iterable[str]) -> frozenset[str]:
        """The mailbox's spelling of `names`, with new ones added; in a transaction.

        Raises `MailboxError` (LIMIT) when there would be too many or one is too long.
        """
        known = {name.lower(): name for name in self.keywords()}
        spelled = set()
        for name in names:
            if (present := known.get(name.lower())) is None:
                if len(known) >= MOST_KEYWORDS or not 0 < len(name) <= LONGEST_KEYWORD:
                    raise MailboxError("too many keywords in this mailbox", code="LIMIT")
                self._connection.execute("INSERT OR IGNORE INTO keyword VALUES (?)", (name,))
                known[name.lower()] = present = name
            spelled.add(present)
        return frozenset(spelled)

    def cached_values(self, uids: Sequence[int]) -> dict[int, CachedValues]:
        """Cached values of those of `uids` that have any."""
        rows = self._connection.execute(
            "SELECT uid, envelope, body_structure, header FROM cached"
            " WHERE uid IN (SELECT value FROM json_each(?))",
            (_listed(uids),),
        )
        return {uid: CachedValues(*values) for uid, *values in rows}

    def set_cached_values(self, values: Mapping[int, CachedValues]) -> None:
        """Keep values of messages that are there; in a transaction."""
        self._connection.executemany(
            "INSERT INTO cached SELECT uid, ?, ?, ? FROM message WHERE uid = ?"
            " ON CONFLICT (uid) DO UPDATE SET envelope = coalesce(excluded.envelope, envelope),"
            " body_structure = coalesce(excluded.body_structure, body_structure),"
            " header = coalesce(excluded.header, header)",
            [(*value, uid) for uid, value in values.items()],
        )


def _no_new_index() -> int:
    raise BackendError("the index vanished while its mailbox was renamed", temporary=True)


def _listed(uids: Iterable[int]) -> str:
    return json.dumps(list(uids))
