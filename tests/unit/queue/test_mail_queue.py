"""Spool and database together: whatever a crash left is put right when the queue is opened."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.queue.database import NAME
from mailfront.queue.entry import Report, State
from mailfront.queue.mail_queue import MailQueue, given_up, unchanged
from mailfront.queue.message_file import DamagedFileError
from mailfront.queue.spool import Spool
from tests.support.mail_queues import LETTER, letter_to, routing


def accept(directory: Path, *recipients: str) -> str:
    spool = Spool(directory)
    spool.create()
    prepared = spool.prepare(letter_to(*recipients), [LETTER])
    prepared.commit()
    return prepared.identifier


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[MailQueue]:
    rules = routing()
    queue = MailQueue(Spool(directory), rules.hop_of, rules.first_notice)
    await queue.start()
    try:
        yield queue
    finally:
        await queue.close()


async def finish(queue: MailQueue, name: str) -> None:
    mail = await queue.find(name)
    assert mail is not None
    await queue.update([given_up(each, "no") for each in mail.recipients])
    (untold,) = await queue.unreported(9)
    await queue.clear_reports(untold.recipients)


async def test_what_was_accepted_is_taken_in_and_found_by_its_next_hop(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        name = accept(tmp_path, "a@one.example", "b@two.example")
        assert (await queue.size()).incoming == 1
        assert await queue.take_in() == {"tcp_local one.example", "tcp_local two.example"}
        assert await queue.take_in() == set()
        mail = await queue.due("tcp_local one.example", 1e12, 10, ())
        assert mail is not None
        assert (mail.identifier, mail.size) == (name, len(LETTER))
        with await queue.open(name) as message:
            assert b"".join(message.chunks()) == LETTER
        assert (await queue.size()).waiting == 2


async def test_recipients_of_a_channel_with_a_daemon_share_a_next_hop(tmp_path: Path) -> None:
    accept(tmp_path, "a@one.far", "b@two.far")
    async with opened(tmp_path) as queue:
        assert await queue.take_in() == {"tcp_out relay.example"}


async def test_a_message_without_rows_is_taken_in_again(tmp_path: Path) -> None:
    name = accept(tmp_path, "a@one.example")
    Spool(tmp_path).take_in([name])
    async with opened(tmp_path) as queue:
        assert await queue.find(name) is not None


async def test_a_finished_message_that_was_not_removed_is_removed_at_the_start(
    tmp_path: Path,
) -> None:
    name = accept(tmp_path, "a@one.example")
    async with opened(tmp_path) as queue:
        await queue.take_in()
        await finish(queue, name)
    async with opened(tmp_path) as queue:
        assert await queue.find(name) is None
        assert queue.problems == []
    assert list(Spool(tmp_path).known()) == []


async def test_the_sender_of_a_message_whose_file_is_gone_is_told(tmp_path: Path) -> None:
    name = accept(tmp_path, "a@one.example")
    async with opened(tmp_path) as queue:
        await queue.take_in()
    (tmp_path / "messages" / name).unlink()
    async with opened(tmp_path) as queue:
        (mail,) = await queue.unreported(10)
        assert mail.recipients[0].state is State.FAILED
        assert mail.recipients[0].report is Report.FAILED
        assert name in queue.problems[0]
        with pytest.raises(DamagedFileError):
            await queue.open(name)


async def test_a_damaged_database_is_set_aside_and_made_again_from_the_messages(
    tmp_path: Path,
) -> None:
    name = accept(tmp_path, "a@one.example")
    async with opened(tmp_path) as queue:
        await queue.take_in()
    (tmp_path / NAME).write_bytes(b"nothing of a database" * 400)
    async with opened(tmp_path) as queue:
        assert await queue.find(name) is not None
        assert "delivered twice" in queue.problems[0]
    assert [each.name for each in (tmp_path / "damaged").glob(f"{NAME}.*")] != []


async def test_a_damaged_message_is_set_aside_and_the_others_go_on(tmp_path: Path) -> None:
    bad, good = accept(tmp_path, "a@one.example"), accept(tmp_path, "b@one.example")
    path = tmp_path / "new" / bad
    path.write_bytes(path.read_bytes()[:-1])
    async with opened(tmp_path) as queue:
        await queue.take_in()
        assert await queue.find(bad) is None
        assert await queue.find(good) is not None
        assert bad in queue.problems[0]
    assert [each.name.partition(".")[0] for each in (tmp_path / "damaged").iterdir()] == [bad]


async def test_what_cannot_be_read_is_told_once_and_the_others_go_on(tmp_path: Path) -> None:
    accept(tmp_path, "a@one.example")
    for name in ("lost+found", "x.tmp", "00112233"):
        (tmp_path / "new" / name).mkdir()
        (tmp_path / "messages" / name).mkdir()
    async with opened(tmp_path) as queue:
        assert await queue.take_in() == {"tcp_local one.example"}
        good = accept(tmp_path, "b@two.example")
        assert await queue.take_in() == {"tcp_local two.example"}
        assert await queue.find(good) is not None
        assert ["00112233" in each for each in queue.problems] == [True, True]


async def test_a_batch_that_cannot_be_read_does_not_hide_what_comes_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailfront.queue.mail_queue.BATCH", 2)
    names = [accept(tmp_path, "a@one.example") for _ in range(3)]
    for number in range(5):
        (tmp_path / "new" / f"0011223{number}").mkdir()
    async with opened(tmp_path) as queue:
        await queue.take_in()
        assert sorted(await queue.select("")) == sorted(names)


async def test_the_database_of_another_release_is_left_where_it_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / NAME)) as connection:
        connection.execute("PRAGMA user_version = 2")
    queue = MailQueue(Spool(tmp_path), lambda _: "-", lambda _: 0.0)
    with pytest.raises(BackendError, match="version 2"):
        await queue.start()
    await queue.close()
    assert list((tmp_path / "damaged").iterdir()) == []


async def test_what_was_never_accepted_is_cleared_away_while_the_queue_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailfront.queue.mail_queue.CLEARING_SECONDS", 0.0)
    async with opened(tmp_path) as queue:
        (tmp_path / "tmp" / "00112233").write_bytes(b"x")
        os.utime(tmp_path / "tmp" / "00112233", (1, 1))
        await queue.take_in()
        assert list((tmp_path / "tmp").iterdir()) == []


async def test_those_for_whom_nothing_is_done_keep_no_other_sender_waiting(tmp_path: Path) -> None:
    names = {accept(tmp_path, "a@one.example") for _ in range(5)}
    async with opened(tmp_path) as queue:
        await queue.take_in()
        turns = [await queue.overdue(1e12, 2) for _ in range(4)]
        assert [len(each) for each in turns] == [2, 2, 1, 2]
        assert {mail.identifier for turn in turns for mail in turn} == names
        assert turns[3] == turns[0]


async def test_a_message_that_rots_on_the_disk_is_not_sent(tmp_path: Path) -> None:
    name = accept(tmp_path, "a@one.example")
    async with opened(tmp_path) as queue:
        await queue.take_in()
        path = tmp_path / "messages" / name
        path.write_bytes(path.read_bytes().replace(b"body", b"BODY"))
        with pytest.raises(DamagedFileError):
            await queue.open(name)
        assert not path.exists()
        assert name in queue.problems[0]


async def test_a_disk_that_fails_is_a_temporary_failure(tmp_path: Path) -> None:
    async with opened(tmp_path / "queue") as queue:
        (tmp_path / "queue" / "new").rmdir()
        with pytest.raises(BackendError) as caught:
            await queue.take_in()
        assert caught.value.temporary


async def test_removing_and_deleting_take_the_files_too(tmp_path: Path) -> None:
    names = [accept(tmp_path, "a@one.example") for _ in range(3)]
    async with opened(tmp_path) as queue:
        await queue.take_in()
        await finish(queue, names[0])
        assert await queue.remove_finished(names) == 1
        assert await queue.delete([names[1]]) == 1
        assert list(queue.spool.known()) == [names[2]]
        assert await queue.select("one.example") == [names[2]]


async def test_ten_thousand_messages_cost_a_step_no_more_than_few(tmp_path: Path) -> None:
    async with opened(tmp_path) as queue:
        accept(tmp_path, "a@one.example")
        await queue.take_in()
    steps: list[int] = []
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.executescript(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000) "
            "INSERT INTO messages SELECT 'm' || i, '', NULL, '{}', 1, 1 FROM n;"
            "INSERT INTO recipients (message, address, notify, original, state, hop, "
            "next_attempt, attempts, next_notice, notices, text, status, remote_host, report) "
            "SELECT id, 'a@two.example', '', '', 0, 'h', 1, 0, 1e12, 0, '', '', '', '' "
            "FROM messages WHERE id LIKE 'm%';"
        )

        def count_step() -> None:
            steps.append(1)

        connection.set_progress_handler(count_step, 100)
        busy = tuple(f"m{number}" for number in range(1, 11))
        marks = ", ".join("?" * len(busy))
        found = connection.execute(
            "SELECT message FROM recipients WHERE state = 0 AND hop = 'h' AND next_attempt <= 2 "
            f"AND message NOT IN ({marks}) ORDER BY next_attempt LIMIT 1",
            busy,
        ).fetchone()
    assert found is not None
    # Instructions of SQLite in hundreds: all of the rows would be some hundred thousand.
    assert len(steps) < 20


async def test_what_is_done_already_is_not_given_up(tmp_path: Path) -> None:
    name = accept(tmp_path, "a@one.example")
    async with opened(tmp_path) as queue:
        await queue.take_in()
        await finish(queue, name)
        mail = await queue.find(name)
        assert mail is not None
        assert given_up(mail.recipients[0], "again") == unchanged(mail.recipients[0])
    await asyncio.sleep(0)
