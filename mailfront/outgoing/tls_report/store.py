"""Results of TLS sessions on disk, until they have been reported.

One SQLite file: how often each result came, by day (UTC) and domain, and which places have got
their report. Bounded: beyond a number of different results of a domain and day their details are
left out, beyond a number of rows further ones are not kept. Raises `sqlite3.Error`.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path

from mailfront.outgoing.transport_policy import PolicyType, ResultType, TlsResult

MOST_DETAILED = 200
MOST_OF_DOMAIN = 400
MOST_ROWS = 200_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS session (
    day TEXT NOT NULL, domain TEXT NOT NULL, result TEXT NOT NULL, number INTEGER NOT NULL,
    PRIMARY KEY (day, domain, result)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS handed_over (
    day TEXT NOT NULL, domain TEXT NOT NULL, place TEXT NOT NULL,
    PRIMARY KEY (day, domain, place)) WITHOUT ROWID;
"""
_COUNT = """INSERT INTO session (day, domain, result, number) VALUES (?, ?, ?, ?)
    ON CONFLICT (day, domain, result) DO UPDATE SET number = number + excluded.number"""

Counts = Mapping[tuple[date, TlsResult], int]


class ReportStore:
    """The file; may be used in several threads."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        path.chmod(0o600)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def add(self, counts: Counts) -> None:
        """Add results, all or none."""
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            rows = self._number("SELECT count(*) FROM session")
            for (day, result), number in counts.items():
                rows += self._add(day, result, number, has_room=rows < MOST_ROWS)

    def ended(self, today: date) -> list[tuple[date, str]]:
        """Return every day before `today` with every domain that there are results of."""
        with self._lock:
            found = self._connection.execute(
                "SELECT DISTINCT day, domain FROM session WHERE day < ? ORDER BY day, domain",
                (today.isoformat(),),
            ).fetchall()
        return [(date.fromisoformat(day), domain) for day, domain in found]

    def results(self, day: date, domain: str) -> list[tuple[TlsResult, int]]:
        """Return the results of a domain and day, each with its number."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT result, number FROM session WHERE day = ? AND domain = ?",
                (day.isoformat(), domain),
            ).fetchall()
        return [(_result(domain, text), number) for text, number in rows]

    def places_done(self, day: date, domain: str) -> frozenset[str]:
        """Return the places that have got the report."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT place FROM handed_over WHERE day = ? AND domain = ?",
                (day.isoformat(), domain),
            ).fetchall()
        return frozenset(place for (place,) in rows)

    def handed_over(self, day: date, domain: str, place: str) -> None:
        """Note that a place has got the report."""
        with self._lock:
            self._connection.execute(
                "INSERT OR IGNORE INTO handed_over VALUES (?, ?, ?)",
                (day.isoformat(), domain, place),
            )

    def forget(self, day: date, domain: str) -> None:
        """Remove all that there is of a domain and day."""
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            for table in ("session", "handed_over"):
                self._connection.execute(
                    f"DELETE FROM {table} WHERE day = ? AND domain = ?",  # noqa: S608 (our names)
                    (day.isoformat(), domain),
                )

    def _add(self, day: date, result: TlsResult, number: int, *, has_room: bool) -> int:
        """Count a result; return how many rows came to be."""
        place = (day.isoformat(), result.domain)
        for variant in _variants(result):
            text = _text(variant)
            known = self._number(
                "SELECT count(*) FROM session WHERE day = ? AND domain = ? AND result = ?",
                *place, text,
            )  # fmt: skip
            if not known:
                if not has_room:
                    continue
                there = self._number(
                    "SELECT count(*) FROM session WHERE day = ? AND domain = ?", *place
                )
                if there >= (MOST_DETAILED if variant is result else MOST_OF_DOMAIN):
                    continue
            self._connection.execute(_COUNT, (*place, text, number))
            return 0 if known else 1
        return 0

    def _number(self, query: str, *parameters: str) -> int:
        (number,) = self._connection.execute(query, parameters).fetchone()
        return int(number)


def without_details(result: TlsResult) -> TlsResult:
    """Return a result without what tells one session from another."""
    return replace(
        result, receiving_host="", receiving_hello="", receiving_address="", sending_address="",
        detail="",
    )  # fmt: skip


def _variants(result: TlsResult) -> Iterator[TlsResult]:
    yield result
    yield without_details(result)


def _text(result: TlsResult) -> str:
    facts = asdict(result) | {"policy_type": result.policy_type.value}
    facts |= {"result": result.result.value}
    del facts["domain"]
    return json.dumps(facts, sort_keys=True)


def _result(domain: str, text: str) -> TlsResult:
    facts = json.loads(text)
    facts["policy_type"] = PolicyType(facts["policy_type"])
    facts["result"] = ResultType(facts["result"])
    for name in ("policy_strings", "exchangers"):
        facts[name] = tuple(facts[name])
    return TlsResult(domain, **facts)
