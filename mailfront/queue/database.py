"""What is to be done for each recipient of each message in the queue: one SQLite database.

Takes and gives the records of `queue.entry`; blocking, for one thread. Every change is one
transaction, synced before it returns (WAL with synchronous=FULL). Which work there is, is found by
an index for each question, so that a hundred thousand messages cost no more than ten.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mailfront.errors import OperatorError
from mailfront.queue.entry import (
    QueuedMail,
    QueuedRecipient,
    QueueSize,
    RecipientUpdate,
    Report,
    State,
)
from mailfront.queue.message_file import (
    FileHeader,
    notify_text,
    options_of_record,
    options_record,
    recipient_options,
)

NAME = "queue.sqlite"
_VERSION = 1
_SCHEMA = """
CREATE TABLE messages (
    id TEXT PRIMARY KEY, sender TEXT NOT NULL, user TEXT, options TEXT NOT NULL,
    arrived REAL NOT NULL, size INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE recipients (
    row INTEGER PRIMARY KEY, message TEXT NOT NULL, address TEXT NOT NULL, notify TEXT NOT NULL,
    original TEXT NOT NULL, state INTEGER NOT NULL, hop TEXT NOT NULL, next_attempt REAL NOT NULL,
    attempts INTEGER NOT NULL, next_notice REAL NOT NULL, notices INTEGER NOT NULL,
    text TEXT NOT NULL, status TEXT NOT NULL, remote_host TEXT NOT NULL, report TEXT NOT NULL
);
CREATE INDEX by_message ON recipients (message);
CREATE INDEX by_hop ON recipients (hop, next_attempt, message) WHERE state = 0;
CREATE INDEX by_notice ON recipients (next_notice) WHERE state = 0;
CREATE INDEX by_report ON recipients (message) WHERE report != '';
"""
_COLUMNS = (
    "row, message, address, notify, original, state, hop, next_attempt, attempts, next_notice, "
    "notices, text, status, remote_host, report"
)
# `by_hop` and its kin hold for these very words.
_WAITING = "state = 0"

FIRST_NOTICE = (-math.inf, 0)
"""Before every time at which somebody is to be told, and every row."""

Row = tuple[int, str, str, str, str, int, str, float, int, float, int, str, str, str, str]


class QueueDatabase:
    """One connection. The process that delivers writes; others may read at the same time."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the database, making it where there is none.

        Raises `sqlite3.Error`, or `OperatorError` for that of another release.
        """
        address = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
        self._connection = sqlite3.connect(
            address, uri=True, isolation_level=None, timeout=10, check_same_thread=False
        )
        try:
            self._prepare(read_only=read_only)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def check(self) -> None:
        """Look at every page. Raises `sqlite3.DatabaseError` if one is damaged."""
        answer = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if answer != ("ok",):
            raise sqlite3.DatabaseError(str(answer[0]))

    def add(self, arrivals: Iterable[tuple[str, FileHeader, Sequence[QueuedRecipient]]]) -> None:
        """Add messages with what is to be done; one that is there already stays as it is."""
        with self._transaction():
            for identifier, header, recipients in arrivals:
                envelope = header.envelope
                added = self._connection.execute(
                    "INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?, ?)",
                    (
                        identifier, envelope.sender, envelope.authenticated_user,
                        options_record(envelope.options), header.arrived, header.size,
                    ),
                ).rowcount  # fmt: skip
                if added:
                    self._connection.executemany(
                        f"INSERT INTO recipients ({_COLUMNS}) VALUES (NULL{', ?' * 14})",
                        [_values(identifier, each) for each in recipients],
                    )

    def identifiers(self) -> set[str]:
        """The names of all messages."""
        return {name for (name,) in self._connection.execute("SELECT id FROM messages")}

    def hops(self) -> list[tuple[str, float]]:
        """Every next hop that something waits for, and when the first of it may be tried."""
        return self._connection.execute(
            f"SELECT hop, MIN(next_attempt) FROM recipients WHERE {_WAITING} GROUP BY hop"
        ).fetchall()

    def next_attempt(self, hop: str, but_for: Sequence[str]) -> float | None:
        """When the next message for `hop` may be tried, but for those; None if nothing waits."""
        (moment,) = self._connection.execute(
            f"SELECT MIN(next_attempt) FROM recipients WHERE {_WAITING} AND hop = ? "
            f"AND message NOT IN ({_marks(but_for)})",
            (hop, *but_for),
        ).fetchone()
        return None if moment is None else float(moment)

    def due(self, hop: str, now: float, most: int, but_for: Sequence[str]) -> QueuedMail | None:
        """The message that has waited longest to be tried at `hop`, but for those, with at most
        `most` of the recipients that are due there."""
        found = self._connection.execute(
            f"SELECT message FROM recipients WHERE {_WAITING} AND hop = ? AND next_attempt <= ? "
            f"AND message NOT IN ({_marks(but_for)}) ORDER BY next_attempt LIMIT 1",
            (hop, now, *but_for),
        ).fetchone()
        if found is None:
            return None
        return self._mail(
            found[0], f"{_WAITING} AND hop = ? AND next_attempt <= ? LIMIT ?", hop, now, most
        )

    def find(self, identifier: str) -> QueuedMail | None:
        """A message with all its recipients."""
        return self._mail(identifier, "1 ORDER BY row")

    def overdue(
        self, now: float, most: int, after: tuple[float, int] = FIRST_NOTICE
    ) -> tuple[list[QueuedMail], tuple[float, int]]:
        """Messages with recipients whose senders are to be told of the delay by now, in the order
        of that time, from `after`; and the `after` of what comes next, FIRST_NOTICE if nothing
        does."""
        found = self._connection.execute(
            f"SELECT message, next_notice, row FROM recipients WHERE {_WAITING} "
            "AND next_notice <= ?1 AND next_notice >= ?2 AND (next_notice > ?2 OR row > ?3) "
            "ORDER BY next_notice, row", (now, *after),
        )  # fmt: skip
        names: dict[str, None] = {}
        last = FIRST_NOTICE
        for message, moment, row in found:
            if message not in names and len(names) == most:
                break
            names[message] = None
            last = (moment, row)
        else:
            last = FIRST_NOTICE
        found.close()
        mails = self._mails(((name,) for name in names), f"{_WAITING} AND next_notice <= ?", now)
        return mails, last

    def unreported(self, most: int, after: str = "") -> list[QueuedMail]:
        """Messages with recipients of whom the sender is still to be told something, in the order
        of their names, those that come after `after`."""
        names = self._connection.execute(
            "SELECT DISTINCT message FROM recipients WHERE report != '' AND message > ? "
            "ORDER BY message LIMIT ?", (after, most),
        ).fetchall()  # fmt: skip
        return self._mails(names, "report != ''")

    def update(self, updates: Sequence[RecipientUpdate]) -> None:
        """Write down what became of recipients; those that were deleted meanwhile are left out. A
        recipient that somebody holds meanwhile stays held, unless nothing is left to do. What the
        sender of one that waits on is still to be told stays, unless there is something newer."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE recipients SET state = CASE WHEN state = 1 AND ?2 = 0 THEN 1 ELSE ?2 END, "
                "next_attempt = ?3, attempts = ?4, next_notice = ?5, notices = ?6, text = ?7, "
                "status = ?8, remote_host = ?9, report = CASE WHEN ?2 = 0 AND ?10 = '' THEN report "
                "ELSE ?10 END WHERE row = ?1",
                [
                    (
                        each.row, int(each.state), each.next_attempt, each.attempts,
                        each.next_notice, each.notices, each.text, each.status,
                        each.remote_host, each.report.value,
                    )
                    for each in updates
                ],
            )  # fmt: skip

    def clear_reports(self, told: Iterable[QueuedRecipient]) -> None:
        """The senders of these recipients have been told what their reports say; one that says
        something else by now is still to be told."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE recipients SET report = '' WHERE row = ? AND report = ?",
                [(each.row, each.report.value) for each in told],
            )

    def move_to_hop(self, rows: Sequence[int], hop: str) -> None:
        """These recipients' mail goes elsewhere now."""
        with self._transaction():
            self._connection.executemany(
                "UPDATE recipients SET hop = ? WHERE row = ?", [(hop, row) for row in rows]
            )

    def finished(self, among: Iterable[str] | None = None) -> list[str]:
        """The messages (of those, or of all) for which nothing is left to do."""
        nothing_left = (
            "NOT EXISTS (SELECT 1 FROM recipients WHERE message = messages.id "
            "AND (state <= 1 OR report != ''))"
        )
        if among is None:
            query = f"SELECT id FROM messages WHERE {nothing_left}"
            return [name for (name,) in self._connection.execute(query)]
        query = f"SELECT id FROM messages WHERE id = ? AND {nothing_left}"
        return [name for name in among if self._connection.execute(query, (name,)).fetchone()]

    def remove(self, identifiers: Iterable[str]) -> int:
        """Forget messages, whose files must be gone; return how many recipients they had."""
        names = [(name,) for name in identifiers]
        with self._transaction():
            query = "DELETE FROM recipients WHERE message = ?"
            recipients = self._connection.executemany(query, names).rowcount
            self._connection.executemany("DELETE FROM messages WHERE id = ?", names)
        return recipients

    def change_state(self, identifiers: Iterable[str], old: State, new: State) -> int:
        """Hold or release messages; return how many recipients that changes. What is released may
        be tried at once."""
        query = (
            "UPDATE recipients SET state = ?1, next_attempt = CASE ?1 WHEN 0 THEN 0 ELSE "
            "next_attempt END WHERE message = ?2 AND state = ?3"
        )
        with self._transaction():
            return sum(
                self._connection.execute(query, (int(new), name, int(old))).rowcount
                for name in identifiers
            )

    def try_at(self, identifiers: Iterable[str], moment: float) -> int:
        """Let messages that wait be tried at `moment`; return how many recipients that are."""
        query = f"UPDATE recipients SET next_attempt = ? WHERE message = ? AND {_WAITING}"
        with self._transaction():
            return sum(
                self._connection.execute(query, (moment, name)).rowcount for name in identifiers
            )

    def listing(self, domain: str = "", most: int = -1) -> Iterator[QueuedMail]:
        """Messages, oldest first; with `domain` those with a recipient in it that is not done."""
        names: Iterable[tuple[str]] = self._connection.execute(
            "SELECT id FROM messages WHERE ?1 = '' OR EXISTS (SELECT 1 FROM recipients WHERE "
            "message = messages.id AND state <= 1 "
            "AND lower(substr(address, -length(?1) - 1)) = '@' || ?1) "
            "ORDER BY arrived LIMIT ?2",
            (domain, most),
        )
        for (name,) in names:
            if (mail := self.find(name)) is not None:
                yield mail

    def size(self) -> QueueSize:
        """How much there is."""
        (messages,) = self._connection.execute("SELECT COUNT(*) FROM messages").fetchone()
        (waiting,) = self._connection.execute(
            f"SELECT COUNT(*) FROM recipients WHERE {_WAITING}"
        ).fetchone()
        (held,) = self._connection.execute(
            "SELECT COUNT(*) FROM recipients WHERE state = 1"
        ).fetchone()
        return QueueSize(messages, waiting, held)

    def _prepare(self, *, read_only: bool) -> None:
        execute = self._connection.execute
        execute("PRAGMA busy_timeout = 10000")
        if not read_only:
            execute("PRAGMA journal_mode = WAL")
            execute("PRAGMA synchronous = FULL")
        (version,) = execute("PRAGMA user_version").fetchone()
        if version == 0 and not read_only:
            self._connection.executescript(
                f"BEGIN;{_SCHEMA}PRAGMA user_version = {_VERSION};COMMIT;"
            )
        elif version != _VERSION:
            # Nothing is wrong with it: another release wrote it.
            raise OperatorError(
                f"{NAME} is of version {version}, not {_VERSION}",
                remedy="run the release of mailfront that made it",
            )

    def _mail(self, identifier: str, which: str, *values: object) -> QueuedMail | None:
        message = self._connection.execute(
            "SELECT sender, user, options, arrived, size FROM messages WHERE id = ?", (identifier,)
        ).fetchone()
        if message is None:
            return None
        sender, user, options, arrived, size = message
        rows = self._connection.execute(
            f"SELECT {_COLUMNS} FROM recipients WHERE message = ? AND {which}",
            (identifier, *values),
        )
        recipients = tuple(map(_recipient, rows))
        return QueuedMail(
            identifier, sender, options_of_record(options), arrived, size, user, recipients
        )

    def _mails(self, names: Iterable[tuple[str]], which: str, *values: object) -> list[QueuedMail]:
        found = (self._mail(name, which, *values) for (name,) in names)
        return [mail for mail in found if mail is not None]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _values(message: str, recipient: QueuedRecipient) -> tuple[object, ...]:
    return (
        message, recipient.address, notify_text(recipient.options), recipient.options.original,
        int(recipient.state), recipient.hop, recipient.next_attempt, recipient.attempts,
        recipient.next_notice, recipient.notices, recipient.text, recipient.status,
        recipient.remote_host, recipient.report.value,
    )  # fmt: skip


def _recipient(row: Row) -> QueuedRecipient:
    return QueuedRecipient(
        row=row[0], address=row[2], options=recipient_options(row[3], row[4]),
        state=State(row[5]), hop=row[6], next_attempt=row[7], attempts=row[8],
        next_notice=row[9], notices=row[10], text=row[11], status=row[12], remote_host=row[13],
        report=Report(row[14]),
    )  # fmt: skip
