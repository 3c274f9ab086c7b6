"""Bringing the index up to what the Maildir holds: the work of other programs, or of a crash.

New files move from `new/` to `cur/` and get UIDs in the order of their arrival; in `cur/` files
may have appeared, vanished or changed their flag letters. All is done in one index transaction, so
mailfront's own renames never look like somebody else's.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from mailfront.store.index import Counters, FileRow, Index
from mailfront.store.maildir import (
    Maildir,
    Measure,
    arrival_order,
    measure_by_name,
    measure_by_reading,
    sized_key,
    split_name,
    unique_name,
)

NANOSECONDS = 1_000_000_000
# A directory whose time is younger than this when it is listed may change again within the same
# tick of the file system's clock (FAT and old NFS: two seconds), so it is listed once more later.
CLOCK_TICK = 2 * NANOSECONDS
# mailfront's own renames in cur/ change its time too. They are taken as the only ones, and that
# belief is verified by one listing after this long.
VERIFY_AFTER = 30 * NANOSECONDS
MEASURING_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A file without a UID: where it stands, and the name it will have in `cur/`."""

    path: Path
    key: str
    letters: str
    measure: Measure

    def row(self, modseq: int) -> FileRow:
        return FileRow(0, self.key, self.letters, "", *self.measure, modseq)


@dataclass(slots=True)
class _Findings:
    """What a listing differs in from the index."""

    arrivals: list[_Arrival]
    unmeasured: list[Path]
    missing: list[int]
    new_letters: list[tuple[str, int]]

    def __bool__(self) -> bool:
        return bool(self.arrivals or self.missing or self.new_letters)


class Scan:
    """One scan of one Maildir; `run` does it."""

    def __init__(self, maildir: Maildir, index: Index) -> None:
        self._maildir = maildir
        self._index = index
        self._measures: dict[Path, Measure] = {}

    def run(self, *, full: bool) -> None:
        """List `new/`, and `cur/` if its time does not fit or `full` is true, and take in what
        differs. Raises `OSError` and `sqlite3.Error`."""
        for _ in range(MEASURING_ROUNDS):
            unmeasured = self._attempt(full=full)
            if not unmeasured:
                return
            # Files that must be read are read without a lock; then the listing starts again.
            for path in unmeasured:
                with contextlib.suppress(FileNotFoundError):
                    self._measures[path] = measure_by_reading(path)

    def _attempt(self, *, full: bool) -> list[Path]:
        with self._index.transaction():
            counters = self._index.counters()
            started = time.time_ns()
            cur_time = directory_time(self._maildir.cur)
            full = full or cur_is_doubtful(counters, cur_time, started)
            findings = self._compare(full=full)
            if findings.unmeasured:
                return findings.unmeasured
            if findings:
                self._take_in(findings)
            self._record_time(counters, cur_time, started, full=full)
        return []

    def _compare(self, *, full: bool) -> _Findings:
        findings = _Findings([], [], [], [])
        seen: set[str] = set()
        if full:
            known = self._index.uids_by_key()
            found: dict[str, str] = {}
            for name in self._maildir.names_in(self._maildir.cur):
                key, letters = split_name(name)
                if key in known and key not in seen and letters is not None:
                    found[key] = letters
                else:
                    taken = key in seen or key in known
                    self._add_arrival(findings, self._maildir.cur / name, taken=taken)
                seen.add(key)
            self._find_missing(findings, known, found)
        for name in self._maildir.names_in(self._maildir.new):
            key, _ = split_name(name)
            taken = key in seen or self._index.has_key(key)
            self._add_arrival(findings, self._maildir.new / name, taken=taken)
            seen.add(key)
        return findings

    def _find_missing(
        self, findings: _Findings, known: dict[str, tuple[int, str]], found: dict[str, str]
    ) -> None:
        missing = known.keys() - found.keys()
        if missing:
            # A file that another program renames while the directory is read may be seen in
            # neither its old nor its new place: only what two listings lack is gone.
            for name in self._maildir.names_in(self._maildir.cur):
                key, letters = split_name(name)
                if key in missing and letters is not None:
                    found[key] = letters
        findings.missing = sorted(known[key][0] for key in missing if key not in found)
        findings.new_letters = [
            (letters, known[key][0]) for key, letters in found.items() if letters != known[key][1]
        ]

    def _add_arrival(self, findings: _Findings, path: Path, *, taken: bool) -> None:
        key, letters = split_name(path.name)
        try:
            measure = self._measures.get(path) or measure_by_name(path, key)
        except FileNotFoundError:
            return
        if measure is None:
            findings.unmeasured.append(path)
            return
        if taken:
            key = sized_key(unique_name(), path.stat().st_size, measure.size)
        findings.arrivals.append(_Arrival(path, key, letters or "", measure))

    def _take_in(self, findings: _Findings) -> None:
        modseq = self._index.next_modseq()
        if findings.missing:
            self._index.remove(findings.missing, modseq)
        self._index.update_letters(
            [(letters, modseq, uid) for letters, uid in findings.new_letters]
        )
        placed: list[FileRow] = []
        for arrival in sorted(
            findings.arrivals, key=lambda a: arrival_order(a.key, a.measure.internal_date)
        ):
            target = self._maildir.file(arrival.key, arrival.letters)
            if target != arrival.path:
                try:
                    arrival.path.rename(target)
                except FileNotFoundError:
                    continue
            placed.append(arrival.row(modseq))
        self._index.insert(placed)

    def _record_time(self, before: Counters, cur_time: int, started: int, *, full: bool) -> None:
        now_time = directory_time(self._maildir.cur)
        if full:
            rescan_after = 0
            if now_time != cur_time:
                rescan_after = started + VERIFY_AFTER
            if cur_time > started - CLOCK_TICK:
                rescan_after = started + CLOCK_TICK
        else:
            rescan_after = before.rescan_after or started + VERIFY_AFTER
        if full or now_time != cur_time:
            self._index.set_cur_time(now_time, rescan_after)


def directory_time(directory: Path) -> int:
    """The modification time of a directory in nanoseconds."""
    return directory.stat().st_mtime_ns


def cur_is_doubtful(counters: Counters, cur_time: int, now: int) -> bool:
    """Whether `cur/` must be listed: its time differs, or a verification is due."""
    return cur_time != counters.cur_time or 0 < counters.rescan_after <= now
