"""Senders are told what the queue has marked, each once, and nobody hears of what nobody sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.interfaces.message_sink import Envelope
from mailfront.outgoing.notification import Notification
from mailfront.outgoing.reporting import Reporter, Told
from mailfront.outgoing.sink import QueueingSink
from mailfront.queue.entry import Report
from mailfront.queue.mail_queue import given_up, unchanged
from tests.support.mail_queues import (
    ALICE,
    HOSTNAME,
    QueueSite,
    ScriptedServers,
    letter,
    letter_to,
    queue_site,
)

FOREIGN = "carol@there.example"


class Broken(QueueingSink):
    """Some senders cannot be told now."""

    broken: frozenset[str] = frozenset()
    fault: Exception = BackendError("mail storage: Input/output error", temporary=True)

    async def notify(self, notification: Notification) -> None:
        if notification.sender in self.broken:
            raise self.fault
        await super().notify(notification)


async def fail_all(site: QueueSite) -> str:
    await site.queue.take_in()
    (name,) = await site.queue.select("")
    mail = await site.queue.find(name)
    assert mail is not None
    await site.queue.update([given_up(each, "550 5.1.1 no") for each in mail.recipients])
    return name


async def test_one_notification_tells_of_all_recipients_of_a_message(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to(FOREIGN, "dave@there.example"), letter())
        name = await fail_all(site)
        reporter = Reporter(site.queue, site.sink, HOSTNAME)
        assert await reporter.work_off() == Told([name], 1)
        ((envelope, content),) = site.mailboxes.taken
        assert (envelope.sender, envelope.recipients) == ("", (ALICE,))
        assert content.count(b"Action: failed") == 2
        assert await reporter.work_off() == Told()


async def test_what_cannot_be_told_now_is_told_later(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to(FOREIGN), letter())
        name = await fail_all(site)
        reporter = Reporter(site.queue, site.sink, HOSTNAME)
        site.mailboxes.failure = BackendError("full", temporary=True)
        assert await reporter.work_off() == Told(is_left=True)
        site.mailboxes.failure = None
        assert await reporter.work_off() == Told([name], 1)


async def test_a_sender_who_is_nobody_any_more_holds_nothing_up(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to(FOREIGN), letter())
        await fail_all(site)
        site.mailboxes.failure = BackendError("no such user", temporary=False)
        await Reporter(site.queue, site.sink, HOSTNAME).work_off()
        assert await site.queue.unreported(9) == []


async def test_the_null_sender_is_never_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.send(Envelope("", (FOREIGN,)), letter())
        name = await fail_all(site)
        assert await Reporter(site.queue, site.sink, HOSTNAME).work_off() == Told([name], 0)
        assert site.mailboxes.taken == []
    assert "nobody is told" in caplog.text


async def test_a_message_whose_file_is_gone_is_told_without_it(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to(FOREIGN), letter())
        name = await fail_all(site)
        (site.spool.messages / name).unlink()
        assert await Reporter(site.queue, site.sink, HOSTNAME).work_off() == Told([name], 1)
        assert b"Returned message" not in site.mailboxes.taken[0][1]


async def many_failed(site: QueueSite, senders: list[str]) -> None:
    for sender in senders:
        await site.sink.accept(letter_to(FOREIGN, sender=sender), letter())
    await site.queue.take_in()
    for name in await site.queue.select(""):
        mail = await site.queue.find(name)
        assert mail is not None
        await site.queue.update([given_up(each, "550 5.1.1 no") for each in mail.recipients])


@pytest.mark.parametrize("fault", [Broken.fault, ZeroDivisionError()])
async def test_a_sender_who_cannot_be_told_keeps_nobody_else_from_being_told(
    tmp_path: Path, fault: Exception
) -> None:
    senders = [f"{number}@example.test" for number in range(8)]
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await many_failed(site, senders)
        sink = Broken(site.mailboxes, site.spool, HOSTNAME)
        sink.broken, sink.fault = frozenset(senders[:3]), fault
        reporter = Reporter(site.queue, sink, HOSTNAME)
        told = await reporter.work_off()
        assert (len(told.messages), told.notifications, told.is_left) == (5, 5, True)
        assert len(await site.queue.unreported(9)) == 3
        sink.broken = frozenset()
        assert (await reporter.work_off()).notifications == 3
        assert await reporter.work_off() == Told()
        sink.close()


async def test_many_who_cannot_be_told_hide_the_others_for_some_rounds_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailfront.outgoing.reporting.MOST_FAILURES", 2)
    senders = [f"{number}@example.test" for number in range(9)]
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await many_failed(site, [*senders, ALICE])
        sink = Broken(site.mailboxes, site.spool, HOSTNAME)
        sink.broken = frozenset(senders)
        reporter = Reporter(site.queue, sink, HOSTNAME)
        rounds = [await reporter.work_off() for _ in range(6)]
        assert sum(each.notifications for each in rounds) == 1
        assert all(each.is_left for each in rounds)
        sink.close()


async def test_what_happens_while_the_sender_is_told_of_something_else_is_told_too(
    tmp_path: Path,
) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to(FOREIGN), letter())
        await site.queue.take_in()
        (name,) = await site.queue.select("")
        mail = await site.queue.find(name)
        assert mail is not None
        delayed = replace(unchanged(mail.recipients[0]), report=Report.DELAYED)
        await site.queue.update([delayed])

        class Meanwhile(QueueingSink):
            async def notify(self, notification: Notification) -> None:
                if notification.reports[0].action is Report.DELAYED:
                    await fail_all(site)
                await super().notify(notification)

        sink = Meanwhile(site.mailboxes, site.spool, HOSTNAME)
        reporter = Reporter(site.queue, sink, HOSTNAME)
        rounds = [await reporter.work_off() for _ in "123"]
        assert [each.notifications for each in rounds] == [1, 1, 0]
        _, failed = site.mailboxes.taken
        assert b"Action: failed" in failed[1]
        sink.close()
