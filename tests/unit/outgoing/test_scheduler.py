"""The scheduler over a real queue on disk; servers are scripted, waits are short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.outgoing.delivery_result import DeliveryJob, RecipientResult
from mailfront.outgoing.retry import RetrySettings
from tests.support.mail_queues import (
    LETTER,
    QueueSite,
    ScriptedServers,
    deferred,
    delivered,
    letter,
    letter_to,
    queue_site,
    refused,
    unreachable,
)

QUICK = RetrySettings(first=0.05, longest=0.1)
CAROL, DAVE = "carol@there.example", "dave@there.example"


async def until(condition: Callable[[], bool], site: QueueSite) -> None:
    async with asyncio.timeout(60):
        while not condition():
            site.scheduler.notice()
            await asyncio.sleep(0.01)


def is_empty(site: QueueSite) -> Callable[[], bool]:
    return lambda: not [*site.spool.known(), *site.spool.accepted(9)]


async def test_recipients_of_one_domain_go_in_one_transaction(tmp_path: Path) -> None:
    servers = ScriptedServers()
    async with queue_site(tmp_path, servers) as site:
        await site.sink.accept(letter_to(CAROL, DAVE, "erin@elsewhere.example"), letter())
        await until(is_empty(site), site)
    assert sorted(servers.jobs) == [
        ("elsewhere.example", ("erin@elsewhere.example",)), ("there.example", (CAROL, DAVE)),
    ]  # fmt: skip
    assert servers.contents == [LETTER, LETTER]
    assert site.counted == {"outgoing.delivered": 3}


async def test_only_who_was_deferred_is_tried_again(tmp_path: Path) -> None:
    servers = ScriptedServers({CAROL: [deferred(), deferred(), delivered()]})
    async with queue_site(tmp_path, servers, retry=QUICK) as site:
        await site.sink.accept(letter_to(CAROL, DAVE), letter())
        await until(is_empty(site), site)
    assert [recipients for _, recipients in servers.jobs] == [(CAROL, DAVE), (CAROL,), (CAROL,)]


async def test_who_is_refused_goes_back_to_the_sender(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers({CAROL: [refused()]})) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await until(is_empty(site), site)
        assert b"5.1.1 no such user" in site.mailboxes.taken[0][1]
    assert site.counted == {"outgoing.failed": 1, "outgoing.notifications": 1}


async def test_a_next_hop_that_is_down_is_not_tried_for_each_message(tmp_path: Path) -> None:
    recipients = [f"{number}@there.example" for number in range(30)]
    servers = ScriptedServers({each: [unreachable()] for each in recipients})
    async with queue_site(tmp_path, servers) as site:
        await site.sink.accept(letter_to(recipients[0]), letter())
        await until(lambda: bool(site.scheduler.hops.resting), site)
        for recipient in recipients[1:]:
            await site.sink.accept(letter_to(recipient), letter())
        await site.sink.accept(letter_to("up@elsewhere.example"), letter())
        await until(lambda: "outgoing.delivered" in site.counted, site)
        await until(lambda: site.counted.get("outgoing.deferred", 0) >= 1, site)
        for _ in range(20):
            site.scheduler.notice()
            await asyncio.sleep(0.01)
        assert site.counted["outgoing.deferred"] == 1
        assert [hop.name for hop in site.scheduler.hops.resting] == ["tcp_local there.example"]


async def test_an_operator_may_have_it_tried_at_once(tmp_path: Path) -> None:
    servers = ScriptedServers({CAROL: [unreachable(), delivered()]})
    async with queue_site(tmp_path, servers) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await until(lambda: bool(site.scheduler.hops.resting), site)
        await site.queue.retry(await site.queue.select(""))
        site.scheduler.try_again()
        await site.scheduler.look_at_everything()
        await until(is_empty(site), site)


async def test_what_waits_too_long_goes_back_after_one_more_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailfront.outgoing.scheduler.OVERDUE_SECONDS", 0.0)
    short = RetrySettings(first=1000, warnings=(), expiry=0.0)
    servers = ScriptedServers({CAROL: [deferred()]})
    async with queue_site(tmp_path, servers, retry=short) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await until(is_empty(site), site)
        assert b"Status: 4.4.7" in site.mailboxes.taken[0][1]
    assert len(site.servers.jobs) == 1


async def test_what_waits_too_long_for_a_next_hop_that_is_down_goes_back_untried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailfront.outgoing.scheduler.OVERDUE_SECONDS", 0.0)
    short = RetrySettings(first=1000, warnings=(), expiry=0.0)
    recipients = [f"{number}@there.example" for number in range(5)]
    servers = ScriptedServers({each: [unreachable()] for each in recipients})
    async with queue_site(tmp_path, servers, retry=short) as site:
        await site.sink.accept(letter_to(recipients[0]), letter())
        await until(lambda: bool(site.scheduler.hops.resting), site)
        for recipient in recipients[1:]:
            await site.sink.accept(letter_to(recipient), letter())
        await until(is_empty(site), site)
    assert len(site.servers.jobs) == 1
    assert site.counted["outgoing.notifications"] == 5


@dataclass
class SlowServers(ScriptedServers):
    """Deliveries that wait until they are let go."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    most: int = 0
    now: int = 0

    async def deliver(self, job: DeliveryJob) -> Mapping[str, RecipientResult]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.go.wait()
            return await super().deliver(job)
        finally:
            self.now -= 1


async def test_a_next_hop_has_no_more_jobs_at_a_time_than_its_channel_allows(
    tmp_path: Path,
) -> None:
    servers = SlowServers()
    async with queue_site(tmp_path, servers) as site:
        for number in range(15):
            await site.sink.accept(letter_to(f"{number}@there.example"), letter())
        await until(lambda: servers.now == 10, site)
        # The others have their turn all the same.
        await site.sink.accept(letter_to("x@elsewhere.example"), letter())
        await until(lambda: servers.now == 11, site)
        servers.go.set()
        await until(is_empty(site), site)
    assert servers.most == 11


async def test_a_stop_puts_back_what_does_not_end_in_time(tmp_path: Path) -> None:
    servers = SlowServers()
    async with queue_site(tmp_path, servers) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await until(lambda: servers.now == 1, site)
        await site.scheduler.stop(0.05)
        assert (await site.queue.size()).waiting == 1
    async with queue_site(tmp_path, ScriptedServers()) as again:
        await until(is_empty(again), again)
        assert again.counted == {"outgoing.delivered": 1}


async def test_a_message_that_is_held_while_it_is_tried_stays_held(tmp_path: Path) -> None:
    servers = SlowServers({CAROL: [deferred()]})
    async with queue_site(tmp_path, servers, retry=QUICK) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await until(lambda: servers.now == 1, site)
        await site.queue.hold(await site.queue.select(""))
        servers.go.set()
        await until(lambda: "outgoing.deferred" in site.counted, site)
        await until(lambda: servers.now == 0, site)
        size = await site.queue.size()
        assert (size.waiting, size.held) == (0, 1)


class Faulty(ScriptedServers):
    """A fault of ours at the first attempt."""

    async def deliver(self, job: DeliveryJob) -> Mapping[str, RecipientResult]:
        if not self.jobs:
            self.jobs.append(("", ()))
            raise ZeroDivisionError
        return await super().deliver(job)


async def test_a_fault_of_ours_loses_nothing(tmp_path: Path) -> None:
    async with queue_site(tmp_path, Faulty(), retry=QUICK) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await until(is_empty(site), site)
    assert site.counted == {"outgoing.deferred": 1, "outgoing.delivered": 1}


async def test_a_result_is_written_down_however_long_the_disk_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailfront.outgoing.scheduler.PAUSE_SECONDS", 0.05)
    servers = ScriptedServers()
    async with queue_site(tmp_path, servers) as site:
        update, failures = site.queue.update, [BackendError("no space", temporary=True)] * 3

        async def failing(*arguments: object) -> None:
            if failures:
                raise failures.pop()
            await update(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(site.queue, "update", failing)
        await site.sink.accept(letter_to(CAROL), letter())
        await until(is_empty(site), site)
    # It was sent once, although writing that down failed three times.
    assert len(servers.jobs) == 1


async def test_a_changed_route_counts_from_the_next_attempt_on(tmp_path: Path) -> None:
    servers = ScriptedServers()
    async with queue_site(tmp_path, servers, start=False) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await site.queue.take_in()
        (name,) = await site.queue.select("")
        mail = await site.queue.find(name)
        assert mail is not None
        await site.queue.move_to_hop([each.row for each in mail.recipients], "tcp_old gone")
        await site.scheduler.start()
        await until(is_empty(site), site)
    assert servers.jobs == [("there.example", (CAROL,))]


async def test_a_recipient_that_leads_nowhere_is_given_up(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers()) as site:
        await site.sink.accept(letter_to("x@not_a_domain"), letter())
        await until(is_empty(site), site)
        assert b"Status: 5.4.4" in site.mailboxes.taken[0][1]


async def test_a_damaged_message_is_not_sent_and_its_sender_is_told(tmp_path: Path) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await site.queue.take_in()
        (name,) = site.spool.known()
        path = site.spool.messages / name
        path.write_bytes(path.read_bytes().replace(b"body", b"BODY"))
        await site.scheduler.start()
        await until(lambda: "outgoing.notifications" in site.counted, site)
        await until(is_empty(site), site)
    assert site.servers.jobs == []
    assert len(list(site.spool.damaged.iterdir())) == 1


async def test_a_down_next_hop_comes_up_by_itself(tmp_path: Path) -> None:
    servers = ScriptedServers({CAROL: [unreachable(), replace(unreachable()), delivered()]})
    async with queue_site(tmp_path, servers, retry=QUICK) as site:
        await site.sink.accept(letter_to(CAROL), letter())
        await until(is_empty(site), site)
        assert site.scheduler.hops.resting == []


async def test_jobs_that_fail_together_make_one_rest(tmp_path: Path) -> None:
    recipients = [f"{number}@there.example" for number in range(10)]
    servers = SlowServers({each: [unreachable()] for each in recipients})
    async with queue_site(tmp_path, servers) as site:
        for recipient in recipients:
            await site.sink.accept(letter_to(recipient), letter())
        await until(lambda: servers.now == 10, site)
        servers.go.set()
        await until(lambda: site.counted.get("outgoing.deferred") == 10, site)
        await until(lambda: bool(site.scheduler.hops.resting), site)
        assert [hop.failures for hop in site.scheduler.hops.resting] == [1]


async def test_a_sender_who_cannot_be_told_keeps_no_finished_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailfront.outgoing.scheduler.PAUSE_SECONDS", 0.05)
    async with queue_site(tmp_path, ScriptedServers({CAROL: [refused()]})) as site:
        site.mailboxes.failure = BackendError("Input/output error", temporary=True)
        await site.sink.accept(letter_to(CAROL), letter())
        await until(lambda: "outgoing.failed" in site.counted, site)
        await site.sink.accept(letter_to(DAVE), letter())
        await until(lambda: "outgoing.delivered" in site.counted, site)
        await until(lambda: len([*site.spool.known(), *site.spool.accepted(9)]) == 1, site)
        site.mailboxes.failure = None
        await until(is_empty(site), site)


async def test_what_cannot_be_removed_now_is_removed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mailfront.outgoing.scheduler.PAUSE_SECONDS", 0.05)
    async with queue_site(tmp_path, ScriptedServers()) as site:
        remove, failures = site.queue.remove_finished, [BackendError("disk", temporary=True)]

        async def failing(among: Iterable[str]) -> int:
            if failures:
                raise failures.pop()
            return await remove(among)

        monkeypatch.setattr(site.queue, "remove_finished", failing)
        await site.sink.accept(letter_to(CAROL), letter())
        await until(is_empty(site), site)
    assert failures == []


async def test_a_step_that_hangs_does_not_hold_up_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with queue_site(tmp_path, ScriptedServers(), start=False) as site:
        hanging = asyncio.Event()

        async def take_in() -> set[str]:
            hanging.set()
            await asyncio.Event().wait()
            return set()

        monkeypatch.setattr(site.queue, "take_in", take_in)
        await site.scheduler.start()
        await hanging.wait()
        await site.scheduler.stop(0.05)
    assert "did not end in time" in caplog.text
