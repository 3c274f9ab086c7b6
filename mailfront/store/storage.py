"""A Maildir and its index, changed together: each operation is one index transaction.

What a file is called and what the index says of it change in the same transaction, file first. If
the process dies in between, the next scan finds the file as it is. Operations report messages whose
file is not where the index says (another program renamed or removed it); the caller scans and
tries again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mailfront.store.flags import (
    FORWARDED,
    FORWARDED_KEYWORD,
    FlagSet,
    bits_of_letters,
    letters_of_bits,
)
from mailfront.store.index import Counters, FileRow, Index
from mailfront.store.maildir import Maildir, SpooledMessage
from mailfront.store.message_record import FlagChange
from mailfront.store.scan import (
    CLOCK_TICK,
    VERIFY_AFTER,
    Scan,
    cur_is_doubtful,
    directory_time,
)


class FlagOutcome(NamedTuple):
    """UIDs changed, refused by `unchanged_since`, and not found on disk."""

    changed: list[int]
    modified: list[int]
    misplaced: list[int]


class Append(NamedTuple):
    """One message to append: its spooled bytes, flags, and date (None for now)."""

    spooled: SpooledMessage
    flags: FlagSet
    internal_date: int | None


class MailboxStorage:
    """The disk's side of a mailbox, without memory of its messages."""

    def __init__(self, maildir: Maildir, index: Index) -> None:
        self.maildir = maildir
        self.index = index
        # The time of new/ when it was last listed long enough after, 0 if it must be listed.
        self._new_time = 0
        self._must_scan = False

    def is_present(self) -> bool:
        """Whether the mailbox on disk is still this one."""
        return self.index.is_current() and self.maildir.cur.exists()

    def has_news(self, known: Counters) -> bool:
        """Whether the index has other counters than those `known`, is another one, or does not
        hold what `new/` and `cur/` do. Under the index lock; raises `FileNotFoundError` when the
        mailbox is gone."""
        return (
            self._must_scan
            or not self.index.is_current()
            or directory_time(self.maildir.new) != self._new_time
            or cur_is_doubtful(known, directory_time(self.maildir.cur), time.time_ns())
            or self.index.counters() != known
        )

    def scan(self, *, full: bool = False) -> None:
        """Take in what other programs did; list `cur/` in any case if `full`."""
        now = time.time_ns()
        new_time = directory_time(self.maildir.new)
        with self.index.lock:
            counters = self.index.counters()
        full = full or self._must_scan
        cur_time = directory_time(self.maildir.cur)
        if full or cur_is_doubtful(counters, cur_time, now) or self._new_has_files():
            Scan(self.maildir, self.index).run(full=full)
            self._must_scan = False
        # When files moved, new/ has a later time than `new_time` and is listed once more.
        self._new_time = new_time if new_time < now - CLOCK_TICK else 0

    def _new_has_files(self) -> bool:
        return bool(self.maildir.names_in(self.maildir.new))

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """A transaction that renames files in `cur/`: its time is recorded as mailfront's own
        doing if it fitted before."""
        with self.index.transaction():
            before = self.index.counters()
            cur_time = directory_time(self.maildir.cur)
            try:
                yield
            except BaseException:
                self._must_scan = True
                raise
            now_time = directory_time(self.maildir.cur)
            if cur_time == before.cur_time and now_time != cur_time:
                rescan_after = before.rescan_after or time.time_ns() + VERIFY_AFTER
                self.index.set_cur_time(now_time, rescan_after)

    def append(self, messages: Sequence[Append]) -> list[int]:
        """Place finished messages in `cur/`: all or none. Not yet durable."""
        # The disk is waited for before the lock is taken.
        dates = [message.spooled.finish(message.internal_date) for message in messages]
        placed = []
        try:
            with self.change():
                modseq = self.index.next_modseq()
                rows = []
                for (spooled, flags, _), date in zip(messages, dates, strict=True):
                    bits, keywords = _split_forwarded(flags)
                    known = self.index.known_keywords(keywords)
                    letters = letters_of_bits(bits)
                    target = self.maildir.file(spooled.key, letters)
                    spooled.path.rename(target)
                    placed.append(target)
                    rows.append(
                        FileRow(
                            0,
                            spooled.key,
                            letters,
                            _joined(known),
                            spooled.size,
                            False,
                            date,
                            modseq,
                        )
                    )
                return self.index.insert(rows)
        except BaseException:
            for target in placed:
                target.unlink(missing_ok=True)
            raise

    def store_flags(
        self,
        uids: Sequence[int],
        change: FlagChange,
        flags: FlagSet,
        unchanged_since: int | None,
    ) -> FlagOutcome:
        """Change flags of messages."""
        outcome = FlagOutcome([], [], [])
        bits, keywords = _split_forwarded(flags)
        with self.change():
            if change is not FlagChange.REMOVE:
                keywords = self.index.known_keywords(keywords)
            updates = []
            modseq = 0
            for row in self.index.file_rows(uids):
                letters, text = _changed(row, change, bits, keywords)
                if unchanged_since is not None and row.modseq > unchanged_since:
                    outcome.modified.append(row.uid)
                    continue
                if (letters, text) == (row.letters, row.keywords):
                    continue
                if letters != row.letters and not self._rename(row, letters):
                    outcome.misplaced.append(row.uid)
                    continue
                modseq = modseq or self.index.next_modseq()
                updates.append((letters, text, modseq, row.uid))
                outcome.changed.append(row.uid)
            self.index.update_flags(updates)
        return outcome

    def _rename(self, row: FileRow, letters: str) -> bool:
        try:
            self.maildir.file(row.key, row.letters).rename(self.maildir.file(row.key, letters))
        except FileNotFoundError:
            return False
        return True

    def expunge(self, uids: Sequence[int]) -> tuple[list[int], list[int]]:
        """Remove messages; return the UIDs removed and those not found on disk."""
        removed: list[int] = []
        misplaced: list[int] = []
        with self.change():
            for row in self.index.file_rows(uids):
                try:
                    self.maildir.file(row.key, row.letters).unlink()
                except FileNotFoundError:
                    misplaced.append(row.uid)
                else:
                    removed.append(row.uid)
            if removed:
                self.index.remove(removed, self.index.next_modseq())
        return removed, misplaced


def _split_forwarded(flags: FlagSet) -> tuple[int, frozenset[str]]:
    others = frozenset(k for k in flags.keywords if k.lower() != FORWARDED_KEYWORD.lower())
    forwarded = FORWARDED if len(others) != len(flags.keywords) else 0
    return flags.system | forwarded, others


def _changed(
    row: FileRow, change: FlagChange, bits: int, keywords: frozenset[str]
) -> tuple[str, str]:
    old_bits = bits_of_letters(row.letters)
    old_keywords = frozenset(row.keywords.split())
    if change is FlagChange.ADD:
        new_bits, new_keywords = old_bits | bits, old_keywords | keywords
    elif change is FlagChange.REMOVE:
        folded = {keyword.lower() for keyword in keywords}
        new_bits = old_bits & ~bits
        new_keywords = frozenset(k for k in old_keywords if k.lower() not in folded)
    else:
        new_bits, new_keywords = bits, keywords
    return letters_of_bits(new_bits, row.letters), _joined(new_keywords)


def _joined(keywords: frozenset[str]) -> str:
    return " ".join(sorted(keywords))
