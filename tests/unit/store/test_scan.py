from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mailfront.store import scan
from mailfront.store.flags import FlagSet
from mailfront.store.mailbox import FlagChange, Mailbox
from mailfront.store.maildir import Measure, measure_by_reading
from mailfront.store.scan import Scan
from mailfront.store.storage import MailboxStorage

LETTER = b"Subject: x\r\n\r\nbody\r\n"


def put(directory: Path, name: str, content: bytes = LETTER, date: int = 1000) -> Path:
    path = directory / name
    path.write_bytes(content)
    os.utime(path, (date, date))
    return path


def storage_of(mailbox: Mailbox) -> MailboxStorage:
    return mailbox._storage


def only_file(mailbox: Mailbox) -> Path:
    (name,) = storage_of(mailbox).maildir.names_in(storage_of(mailbox).maildir.cur)
    return storage_of(mailbox).maildir.cur / name


def test_mail_of_another_program_moves_to_cur_and_gets_uids_by_arrival(inbox: Mailbox) -> None:
    maildir = storage_of(inbox).maildir
    put(maildir.new, "300.M5P1Q1.host", b"third")
    put(maildir.new, "200.M9P1Q1.host", b"second")
    put(maildir.cur, "200.M8P1Q1.host:2,S", b"first")
    put(maildir.new, "named-strangely", b"last", date=400)
    inbox.synchronise()
    assert [inbox.read(uid) for uid in inbox.uids()] == [b"first", b"second", b"third", b"last"]
    assert maildir.names_in(maildir.new) == []
    assert (maildir.cur / "200.M9P1Q1.host:2,").exists()


def test_date_and_flags_of_another_programs_file_are_taken(inbox: Mailbox) -> None:
    put(storage_of(inbox).maildir.cur, "1.a:2,FS", LETTER, date=77_000)
    inbox.synchronise()
    record = inbox.record(1)
    assert record is not None
    assert (record.internal_date, record.size) == (77_000, len(LETTER))
    assert record.flags == FlagSet.of(["\\Flagged", "\\Seen"])


def test_a_file_with_bare_lf_is_served_and_counted_with_crlf(inbox: Mailbox) -> None:
    put(storage_of(inbox).maildir.new, "1.a,S=12", b"Subject: x\n\n")
    inbox.synchronise()
    assert inbox.read(1) == b"Subject: x\r\n\r\n"
    record = inbox.record(1)
    assert record is not None
    assert record.size == 14


def test_a_size_in_the_name_that_is_not_true_is_not_believed(inbox: Mailbox) -> None:
    put(storage_of(inbox).maildir.new, "1.a,S=99,W=99", LETTER)
    inbox.synchronise()
    record = inbox.record(1)
    assert record is not None
    assert record.size == len(LETTER)


def test_a_renamed_file_keeps_its_uid_and_changes_its_flags(inbox: Mailbox) -> None:
    inbox.append([LETTER], FlagSet.of(["$Junk"]))
    watch = inbox.watch()
    path = only_file(inbox)
    path.rename(path.with_name(path.name + "FS"))
    inbox.synchronise()
    record = inbox.record(1)
    assert record is not None
    assert record.flags == FlagSet.of(["\\Flagged", "\\Seen", "$Junk"])
    assert watch.take().flagged == [1]


def test_a_removed_file_is_expunged(inbox: Mailbox) -> None:
    inbox.append([LETTER])
    watch = inbox.watch()
    only_file(inbox).unlink()
    inbox.synchronise()
    assert list(inbox.uids()) == []
    assert watch.take().expunged == [1]


def test_letters_of_other_programs_survive_our_changes(inbox: Mailbox) -> None:
    put(storage_of(inbox).maildir.cur, "1.a:2,Sab")
    inbox.synchronise()
    inbox.store_flags([1], FlagChange.REPLACE, FlagSet.of(["\\Flagged"]))
    assert only_file(inbox).name == "1.a:2,Fab"


def test_two_files_of_one_name_are_two_messages(inbox: Mailbox) -> None:
    maildir = storage_of(inbox).maildir
    put(maildir.cur, "1.a:2,", b"one")
    inbox.synchronise()
    put(maildir.cur, "1.a:2,S", b"two")
    put(maildir.new, "1.a", b"three")
    inbox.synchronise()
    assert sorted(inbox.read(uid) for uid in inbox.uids()) == [b"one", b"three", b"two"]
    assert len(maildir.names_in(maildir.cur)) == 3


def test_a_file_in_cur_without_flags_part_gets_one(inbox: Mailbox) -> None:
    put(storage_of(inbox).maildir.cur, "1.a")
    inbox.synchronise()
    assert only_file(inbox).name == "1.a:2,"
    assert inbox.read(1) == LETTER


def test_our_own_changes_do_not_make_the_directory_be_listed(
    inbox: Mailbox, count_scans: Callable[[], int]
) -> None:
    put(storage_of(inbox).maildir.cur, "1.a:2,")
    inbox.synchronise()
    before = count_scans()
    for _ in range(5):
        uid = inbox.append([LETTER])
        inbox.store_flags([uid], FlagChange.ADD, FlagSet.of(["\\Seen"]))
        inbox.synchronise()
    inbox.expunge([1])
    inbox.synchronise()
    assert count_scans() == before


def test_what_changed_within_a_clock_tick_of_the_listing_is_found_later(inbox: Mailbox) -> None:
    maildir = storage_of(inbox).maildir
    put(maildir.cur, "1.a:2,")
    inbox.synchronise()
    times = os.stat(maildir.cur)
    put(maildir.cur, "2.b:2,")
    # The file system's clock has not ticked in between: the time is the same.
    os.utime(maildir.cur, ns=(times.st_atime_ns, times.st_mtime_ns))
    inbox.synchronise()
    assert len(inbox) == 1
    with storage_of(inbox).index.transaction():
        counters = storage_of(inbox).index.counters()
        assert counters.rescan_after > 0
        storage_of(inbox).index.set_cur_time(counters.cur_time, 1)
    inbox.synchronise()
    assert len(inbox) == 2


def test_a_file_that_must_be_read_is_read_without_the_lock(
    inbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = storage_of(inbox)
    put(storage.maildir.new, "1.a", b"x\n")
    held = []

    def measure(path: Path) -> Measure:
        held.append(storage.index._connection.in_transaction)
        return measure_by_reading(path)

    monkeypatch.setattr(scan, "measure_by_reading", measure)
    Scan(storage.maildir, storage.index).run(full=False)
    assert held == [False]
