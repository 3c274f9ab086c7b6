"""Senders are told what the queue has marked, each once, and nobody hears of what nobody sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.interfaces.message_sink import Envelope
from mailfront.outgoing.reporting import Reporter
from mailfront.queue.mail_queue import given_up
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
        assert await reporter.work_off() == ([name], 1)
        ((envelope, content),) = site.mailboxes.taken
        assert (envelope.sender, envelope.recipients) == ("", (ALICE,))
        assert content.count(b"Action: failed") == 2
        assert await reporter.work_off() == ([], 0)


async def test_what_cannot_be_told_now_is_told_later(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to(FOREIGN), letter())
        name = await fail_all(site)
        reporter = Reporter(site.queue, site.sink, HOSTNAME)
        site.mailboxes.failure = BackendError("full", temporary=True)
        with pytest.raises(BackendError):
            await reporter.work_off()
        site.mailboxes.failure = None
        assert await reporter.work_off() == ([name], 1)


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
        assert await Reporter(site.queue, site.sink, HOSTNAME).work_off() == ([name], 0)
        assert site.mailboxes.taken == []
    assert "nobody is told" in caplog.text


async def test_a_message_whose_file_is_gone_is_told_without_it(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to(FOREIGN), letter())
        name = await fail_all(site)
        (site.spool.messages / name).unlink()
        assert await Reporter(site.queue, site.sink, HOSTNAME).work_off() == ([name], 1)
        assert b"Returned message" not in site.mailboxes.taken[0][1]
