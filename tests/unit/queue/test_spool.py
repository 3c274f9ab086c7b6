"""Messages are put down durably, within bounds, and nothing half-written is ever taken for one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.queue.spool import ABANDONED_SECONDS, Spool
from tests.support.mail_queues import LETTER, letter_to

ENVELOPE = letter_to("a@there.example")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "queue")
    made.create()
    return made


def test_nobody_else_may_look_into_it(spool: Spool) -> None:
    for each in (spool.directory, spool.new, spool.messages):
        assert each.stat().st_mode & 0o777 == 0o700


def test_a_message_counts_once_it_is_committed(spool: Spool) -> None:
    prepared = spool.prepare(ENVELOPE, [LETTER], "0123456789abcdef")
    assert spool.accepted(10) == []
    prepared.commit()
    assert spool.accepted(10) == ["0123456789abcdef"]
    assert list(spool.temporary.iterdir()) == []
    with spool.open("0123456789abcdef") as message:
        assert b"".join(message.chunks()) == LETTER


def test_a_discarded_message_leaves_nothing(spool: Spool) -> None:
    spool.prepare(ENVELOPE, [LETTER]).discard()
    assert [*spool.temporary.iterdir(), *spool.new.iterdir()] == []


def test_a_message_is_found_before_and_after_it_was_taken_in(spool: Spool) -> None:
    prepared = spool.prepare(ENVELOPE, [LETTER])
    prepared.commit()
    spool.open(prepared.identifier).close()
    spool.take_in([prepared.identifier, "gone"])
    spool.open(prepared.identifier).close()
    assert list(spool.known()) == [prepared.identifier]
    spool.remove([prepared.identifier])
    with pytest.raises(FileNotFoundError):
        spool.open(prepared.identifier)


@pytest.mark.parametrize("is_taken_in", [False, True])
def test_what_was_not_accepted_for_sure_is_nowhere(
    spool: Spool, is_taken_in: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = spool.prepare(ENVELOPE, [LETTER])

    def fail(_: Path) -> None:
        if is_taken_in:
            spool.take_in([prepared.identifier])
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("mailfront.queue.spool.sync_directory", fail)
    with pytest.raises(OSError, match="Input"):
        prepared.commit()
    assert [*spool.new.iterdir(), *spool.messages.iterdir()] == []


def test_what_has_no_name_of_a_message_is_none(spool: Spool) -> None:
    for directory in (spool.new, spool.messages):
        (directory / "lost+found").mkdir()
    assert spool.accepted(10) == []
    assert list(spool.known()) == []


def test_a_full_queue_takes_nothing_for_now(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "queue", most_messages=1)
    spool.create()
    spool.prepare(ENVELOPE, [LETTER]).commit()
    again = Spool(tmp_path / "queue", most_messages=1)
    with pytest.raises(BackendError, match="full") as caught:
        again.prepare(ENVELOPE, [LETTER])
    assert caught.value.temporary


def test_a_nearly_full_disk_takes_nothing_for_now(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "queue", reserve=2**62)
    spool.create()
    with pytest.raises(BackendError, match="disk") as caught:
        spool.prepare(ENVELOPE, [LETTER])
    assert caught.value.temporary
    assert list(spool.temporary.iterdir()) == []


def test_a_disk_that_fails_leaves_nothing_half_written(spool: Spool) -> None:
    def chunks() -> Iterator[bytes]:
        yield LETTER
        raise OSError(28, "No space left on device")

    with pytest.raises(BackendError, match="No space") as caught:
        spool.prepare(ENVELOPE, chunks())
    assert caught.value.temporary
    assert list(spool.temporary.iterdir()) == []


def test_only_what_was_left_long_ago_is_cleared_away(spool: Spool) -> None:
    old, young = spool.temporary / "old", spool.temporary / "young"
    for each in (old, young):
        each.write_bytes(b"x")
    past = old.stat().st_mtime - ABANDONED_SECONDS - 60
    os.utime(old, (past, past))
    assert spool.forget_abandoned() == 1
    assert list(spool.temporary.iterdir()) == [young]
