"""When reports go out, where to, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mailfront.errors import BackendError, DnsUnavailableError, TlsReportError
from mailfront.interfaces.message_sink import Envelope, Message
from mailfront.outgoing.tls_report import reporting as module
from mailfront.outgoing.tls_report.reporting import TlsReporting
from mailfront.outgoing.tls_report.store import ReportStore
from mailfront.outgoing.transport_policy import TlsResult
from tests.unit.outgoing.tls_report.test_document import BAD, GOOD, WHO

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
BOTH = "v=TLSRPTv1; rua=mailto:reports@example.com,https://r.example.com/v1"


class World:
    """DNS, clock, queue and HTTPS."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = NOON
        self.text: str | None = BOTH
        self.failure: Exception | None = None
        self.sent: list[tuple[Envelope, bytes]] = []
        self.posted: list[str] = []
        self.reporting = self.started()

    def started(self) -> TlsReporting:
        self.reporting = TlsReporting(
            ReportStore(self.path), self, self.send, self.post, WHO,
            excluded=frozenset({"quiet.example"}), clock=lambda: self.now, chance=lambda: 0.5,
        )  # fmt: skip
        return self.reporting

    async def texts(self, name: str) -> Sequence[str]:
        assert name == "_smtp._tls.example.com"
        if self.text is None:
            raise DnsUnavailableError("no answer")
        return [self.text]

    async def send(self, envelope: Envelope, message: Message) -> None:
        if isinstance(self.failure, BackendError):
            raise self.failure
        self.sent.append((envelope, b"".join(message.chunks())))

    async def post(self, url: str, content: bytes) -> None:
        if isinstance(self.failure, TlsReportError):
            raise self.failure
        self.posted.append(url)

    async def round(self) -> tuple[int, int]:
        await self.reporting.flush()
        await self.reporting.report_due()
        return len(self.sent), len(self.posted)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "reports.sqlite")


@pytest.fixture(autouse=True)
def close(world: World) -> Iterator[None]:
    yield
    asyncio.run(world.reporting.close())


async def test_a_report_leaves_once_at_its_moment_after_the_day(world: World) -> None:
    world.reporting.record(GOOD)
    world.reporting.record(BAD)
    assert await world.round() == (0, 0)
    world.now = MIDNIGHT + timedelta(hours=1, minutes=59)
    assert await world.round() == (0, 0)
    world.now = MIDNIGHT + timedelta(hours=2)
    assert await world.round() == (1, 1)
    world.now += timedelta(days=3)
    assert await world.round() == (1, 1)
    envelope, octets = world.sent[0]
    assert (envelope.sender, envelope.recipients) == (WHO.contact, ("reports@example.com",))
    assert envelope.options_of("reports@example.com").notify == {"NEVER"}
    assert b"TLS-Report-Domain: example.com" in octets


async def test_results_outlive_a_restart(world: World) -> None:
    world.reporting.record(GOOD)
    await world.reporting.close()
    world.now = MIDNIGHT + timedelta(minutes=1)
    world.started()
    assert await world.round() == (1, 1)


async def test_who_asks_for_none_gets_none(world: World) -> None:
    world.reporting.record(GOOD)
    world.text = "v=spf1 -all"
    await world.round()
    world.now = MIDNIGHT + timedelta(hours=2)
    assert await world.round() == (0, 0)
    world.text = BOTH
    world.now += timedelta(days=1)
    assert await world.round() == (0, 0)


async def test_who_is_excluded_is_not_counted(world: World) -> None:
    world.reporting.record(TlsResult("quiet.example", GOOD.policy_type, GOOD.result))
    world.now = MIDNIGHT + timedelta(hours=2)
    assert await world.round() == (0, 0)


@pytest.mark.parametrize(
    ("failure", "first"),
    [
        (TlsReportError("503"), (1, 0)),
        (BackendError("full", temporary=True), (0, 1)),
    ],
)
async def test_only_the_place_that_failed_is_tried_again(
    world: World, failure: Exception, first: tuple[int, int]
) -> None:
    world.reporting.record(GOOD)
    await world.round()
    world.failure = failure
    world.now = MIDNIGHT + timedelta(hours=2)
    assert await world.round() == first
    world.failure = None
    assert await world.round() == first
    world.now += timedelta(hours=1)
    assert await world.round() == (1, 1)


async def test_what_cannot_be_handed_over_for_days_is_given_up(world: World) -> None:
    world.reporting.record(GOOD)
    await world.round()
    world.text = None
    world.now = MIDNIGHT + timedelta(days=2, hours=2)
    await world.round()
    world.text = BOTH
    world.now += timedelta(hours=1)
    assert await world.round() == (0, 0)


async def test_sessions_that_went_well_differ_in_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_IN_MEMORY", 1)
    for address in ("192.0.2.1", "192.0.2.2"):
        world.reporting.record(TlsResult(
            "example.com", GOOD.policy_type, GOOD.result, receiving_address=address
        ))  # fmt: skip
    world.reporting.record(BAD)
    await world.reporting.flush()
    store = ReportStore(world.path)
    assert [number for _, number in store.results(NOON.date(), "example.com")] == [2]
    store.close()


async def test_the_task_writes_down_until_it_is_cancelled(world: World) -> None:
    world.reporting.record(GOOD)
    world.now = MIDNIGHT + timedelta(hours=2)
    running = asyncio.ensure_future(world.reporting.run())
    async with asyncio.timeout(60):
        while not world.posted:
            await asyncio.sleep(0.01)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
