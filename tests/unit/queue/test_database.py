"""What is to be done for each recipient: found by next hop, time, notice and report."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mailfront.errors import OperatorError
from mailfront.interfaces.message_sink import RecipientOptions
from mailfront.queue.database import FIRST_NOTICE, QueueDatabase
from mailfront.queue.entry import QueuedRecipient, Report, State
from mailfront.queue.mail_queue import unchanged
from mailfront.queue.message_file import FileHeader
from tests.support.mail_queues import letter_to


def recipient(address: str, hop: str = "h", moment: float = 10.0) -> QueuedRecipient:
    options = RecipientOptions(frozenset({"NEVER"}), "rfc822;x")
    return QueuedRecipient(0, address, options, State.WAITING, hop, moment, next_notice=100.0)


def add(database: QueueDatabase, name: str, *recipients: QueuedRecipient) -> None:
    envelope = letter_to(*(each.address for each in recipients))
    database.add([(name, FileHeader(envelope, 5.0, 0, 7, 0), recipients)])


@pytest.fixture
def database(tmp_path: Path) -> Iterator[QueueDatabase]:
    with closing(QueueDatabase(tmp_path / "queue.sqlite")) as opened:
        yield opened


def test_the_message_that_is_due_longest_comes_first(database: QueueDatabase) -> None:
    add(database, "late", recipient("a@x", moment=12.0))
    add(database, "early", recipient("a@x", moment=11.0), recipient("b@y", "other"))
    assert database.hops() == [("h", 11.0), ("other", 10.0)]
    assert database.due("h", 10.0, 10, ()) is None
    found = database.due("h", 20.0, 10, ())
    assert found is not None
    assert (found.identifier, found.size) == ("early", 7)
    assert [each.address for each in found.recipients] == ["a@x"]
    assert found.recipients[0].options == RecipientOptions(frozenset({"NEVER"}), "rfc822;x")
    second = database.due("h", 20.0, 10, ("early",))
    assert second is not None
    assert second.identifier == "late"
    assert database.next_attempt("h", ("early",)) == 12.0
    assert database.next_attempt("h", ("early", "late")) is None


def test_a_transaction_has_no_more_recipients_than_it_may(database: QueueDatabase) -> None:
    add(database, "many", *(recipient(f"{number}@x") for number in range(9)))
    found = database.due("h", 20.0, 4, ())
    assert found is not None
    assert len(found.recipients) == 4


def test_a_message_that_is_there_already_stays_as_it_is(database: QueueDatabase) -> None:
    add(database, "one", recipient("a@x"))
    add(database, "one", recipient("b@x"))
    found = database.find("one")
    assert found is not None
    assert [each.address for each in found.recipients] == ["a@x"]


def test_a_message_is_finished_once_nothing_is_left_to_do_or_to_tell(
    database: QueueDatabase,
) -> None:
    add(database, "one", recipient("a@x"), recipient("b@x"))
    mail = database.find("one")
    assert mail is not None
    first, second = map(unchanged, mail.recipients)
    database.update([replace(first, state=State.DELIVERED)])
    assert database.finished() == []
    database.update([replace(second, state=State.FAILED, report=Report.FAILED, text="no")])
    assert database.finished(["one"]) == []
    (untold,) = database.unreported(10)
    assert [(each.address, each.text) for each in untold.recipients] == [("b@x", "no")]
    database.clear_reports(untold.recipients)
    assert database.finished(["one", "two"]) == database.finished() == ["one"]
    assert database.remove(["one"]) == 2
    assert database.find("one") is None


def test_only_what_was_told_is_told_and_a_further_wait_changes_nothing_of_it(
    database: QueueDatabase,
) -> None:
    add(database, "one", recipient("a@x"))
    mail = database.find("one")
    assert mail is not None
    waiting = unchanged(mail.recipients[0])
    database.update([replace(waiting, report=Report.DELAYED)])
    (told,) = database.unreported(10)
    database.update([waiting])
    assert database.unreported(10) == [told]
    assert database.unreported(10, after="one") == []
    database.update([replace(waiting, state=State.FAILED, report=Report.FAILED)])
    database.clear_reports(told.recipients)
    (untold,) = database.unreported(10)
    assert untold.recipients[0].report is Report.FAILED


def test_what_is_held_is_not_tried_and_stays_held_after_an_attempt_that_was_under_way(
    database: QueueDatabase,
) -> None:
    add(database, "one", recipient("a@x"))
    mail = database.find("one")
    assert mail is not None
    assert database.change_state(["one", "two"], State.WAITING, State.HELD) == 1
    assert database.due("h", 20.0, 10, ()) is None
    database.update([replace(unchanged(mail.recipients[0]), attempts=1)])
    held = database.find("one")
    assert held is not None
    assert (held.recipients[0].state, held.recipients[0].attempts) == (State.HELD, 1)
    assert database.size().held == 1
    assert database.change_state(["one"], State.HELD, State.WAITING) == 1
    assert database.due("h", 20.0, 10, ()) is not None


def test_what_is_overdue_is_found_by_its_time(database: QueueDatabase) -> None:
    add(database, "one", recipient("a@x"))
    assert database.overdue(99.0, 10) == ([], FIRST_NOTICE)
    mails, after = database.overdue(100.0, 10)
    assert [each.identifier for each in mails] == ["one"]
    assert after == FIRST_NOTICE


def test_those_who_are_overdue_longest_come_first_and_all_have_their_turn(
    database: QueueDatabase,
) -> None:
    for number in range(7):
        moment = 50.0 if number < 3 else 50.0 - number
        each = replace(recipient("a@x"), next_notice=moment)
        add(database, f"m{number}", each, replace(each, address="b@x"))
    turns, after = [], FIRST_NOTICE
    for _ in range(4):
        mails, after = database.overdue(100.0, 2, after)
        turns.append([mail.identifier for mail in mails])
        assert all(len(mail.recipients) == 2 for mail in mails)
    assert turns == [["m6", "m5"], ["m4", "m3"], ["m0", "m1"], ["m2"]]
    assert after == FIRST_NOTICE


def test_messages_are_listed_by_destination(database: QueueDatabase) -> None:
    add(database, "one", recipient("a@x.example"))
    add(database, "two", recipient("a@y.example"))
    assert [each.identifier for each in database.listing("y.example")] == ["two"]
    assert [each.identifier for each in database.listing()] == ["one", "two"]


def test_a_destination_is_that_domain_and_no_pattern(database: QueueDatabase) -> None:
    add(database, "one", recipient("a@my_host.example"))
    add(database, "two", recipient("a@myXhost.Example"))
    add(database, "three", recipient("a@b.my_host.example"))
    assert [each.identifier for each in database.listing("my_host.example")] == ["one"]
    assert [each.identifier for each in database.listing("myxhost.example")] == ["two"]
    assert list(database.listing("%")) == []


def test_a_retry_and_another_next_hop_count_at_once(database: QueueDatabase) -> None:
    add(database, "one", recipient("a@x"))
    assert database.try_at(["one"], 0.0) == 1
    mail = database.due("h", 1.0, 10, ())
    assert mail is not None
    database.move_to_hop([mail.recipients[0].row], "elsewhere")
    assert database.hops() == [("elsewhere", 0.0)]


def test_a_reader_sees_it_and_changes_nothing(tmp_path: Path, database: QueueDatabase) -> None:
    add(database, "one", recipient("a@x"))
    with closing(QueueDatabase(tmp_path / "queue.sqlite", read_only=True)) as reader:
        assert reader.size().messages == 1
        with pytest.raises(sqlite3.OperationalError):
            reader.remove(["one"])


def test_damage_and_another_version_are_told(tmp_path: Path, database: QueueDatabase) -> None:
    database.check()
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA user_version = 9")
    with pytest.raises(OperatorError, match="version 9"):
        QueueDatabase(other)
    other.write_bytes(b"no database" * 1000)
    with pytest.raises(sqlite3.DatabaseError):
        QueueDatabase(other)


def test_every_question_is_answered_by_an_index(tmp_path: Path, database: QueueDatabase) -> None:
    add(database, "one", recipient("a@x"))
    questions = (
        "SELECT MIN(next_attempt) FROM recipients WHERE state = 0 AND hop = ?",
        "SELECT message FROM recipients WHERE state = 0 AND hop = ? AND next_attempt <= 1 "
        "ORDER BY next_attempt LIMIT 1",
        "SELECT message, next_notice, row FROM recipients WHERE state = 0 AND next_notice <= 1 "
        "AND next_notice >= 0 AND (next_notice > 0 OR row > 0) ORDER BY next_notice, row",
        "SELECT DISTINCT message FROM recipients WHERE report != ''",
    )
    with closing(sqlite3.connect(tmp_path / "queue.sqlite")) as connection:
        for question in questions:
            values = ("h",) * question.count("?")
            plan = connection.execute(f"EXPLAIN QUERY PLAN {question}", values).fetchall()
            assert "USING" in plan[0][3], (question, plan)
            assert "INDEX" in plan[0][3], (question, plan)
            assert "TEMP B-TREE" not in str(plan), (question, plan)
