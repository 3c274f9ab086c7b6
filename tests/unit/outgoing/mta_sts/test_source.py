"""When policies are looked for, kept, refreshed and given up."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from mailfront.errors import DnsUnavailableError, MtaStsError
from mailfront.outgoing.mta_sts import source as module
from mailfront.outgoing.mta_sts.fetch import CertificateRefusedError, PolicyInvalidError
from mailfront.outgoing.mta_sts.policy import Policy, parse_policy
from mailfront.outgoing.mta_sts.policy_files import PolicyFiles
from mailfront.outgoing.mta_sts.source import RECORD_SECONDS, RETRY_SECONDS, StsPolicies
from mailfront.outgoing.transport_policy import ResultType, StsMode, TlsResult

DOMAIN = "example.com"
DAY = 86_400.0
WEEK = 7 * DAY


class World:
    """DNS, the policy's host, the clock and who gathers results."""

    def __init__(self, directory: Path) -> None:
        self.now = 1_000_000.0
        self.texts_there: list[str] | None = ["v=STSv1; id=1"]
        self.mode = "enforce"
        self.failure: MtaStsError | None = None
        self.fetches = 0
        self.lookups = 0
        self.results: list[TlsResult] = []
        self.directory = directory
        self.policies = self.restarted()

    def restarted(self) -> StsPolicies:
        self.policies = StsPolicies(
            PolicyFiles(self.directory), self, self.fetch,
            lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self,
            clock=lambda: self.now, chance=lambda: 0.0,
        )  # fmt: skip
        return self.policies

    async def texts(self, name: str) -> Sequence[str]:
        self.lookups += 1
        await asyncio.sleep(0)
        if self.texts_there is None:
            raise DnsUnavailableError("no answer")
        return self.texts_there if name.endswith(f"_mta-sts.{DOMAIN}") else []

    async def fetch(self, domain: str, _context: ssl.SSLContext) -> Policy:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        text = f"version: STSv1\nmode: {self.mode}\nmx: mx.{domain}\nmax_age: {WEEK:.0f}"
        return parse_policy(text.encode())

    def record(self, result: TlsResult) -> None:
        self.results.append(result)

    async def mode_now(self, domain: str = DOMAIN) -> StsMode | None:
        policy = await self.policies.policy_for(domain)
        return None if policy is None else policy.mode


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "sts")


async def test_a_policy_is_fetched_once_and_kept(world: World) -> None:
    policy = await world.policies.policy_for(DOMAIN)
    assert policy is not None
    assert (policy.mode, policy.patterns) == (StsMode.ENFORCE, ("mx.example.com",))
    assert (policy.identifier, policy.lines[0]) == ("1", "version: STSv1")
    world.now += RECORD_SECONDS + 1
    assert await world.mode_now() is StsMode.ENFORCE
    assert (world.fetches, world.lookups) == (1, 2)


async def test_who_asks_at_the_same_time_waits_for_one_fetch(world: World) -> None:
    found = await asyncio.gather(*[world.mode_now() for _ in range(20)])
    assert found == [StsMode.ENFORCE] * 20
    assert (world.fetches, world.lookups) == (1, 1)


async def test_a_restart_forgets_nothing_though_dns_is_away(world: World) -> None:
    await world.mode_now()
    world.restarted()
    world.texts_there = None
    assert await world.mode_now() is StsMode.ENFORCE
    assert world.fetches == 1


async def test_another_id_makes_the_policy_be_fetched_anew(world: World) -> None:
    await world.mode_now()
    world.texts_there, world.mode = ["v=STSv1; id=2"], "testing"
    assert await world.mode_now() is StsMode.ENFORCE
    world.now += RECORD_SECONDS
    assert await world.mode_now() is StsMode.TESTING
    assert world.fetches == 2


async def test_a_server_that_does_not_fit_makes_the_record_be_asked_for_at_once(
    world: World,
) -> None:
    await world.mode_now()
    world.texts_there, world.mode = ["v=STSv1; id=2"], "none"
    world.policies.validation_failed(DOMAIN)
    assert await world.mode_now() is StsMode.NONE


@pytest.mark.parametrize("texts", [None, [], ["v=STSv1; id=2"]])
async def test_whatever_fails_the_policy_counts_until_it_expires(
    world: World, texts: list[str] | None
) -> None:
    await world.mode_now()
    world.texts_there, world.failure = texts, MtaStsError("gone")
    world.now += WEEK - 1
    assert await world.mode_now() is StsMode.ENFORCE
    world.now += 2
    assert await world.mode_now() is None


async def test_a_domain_without_record_is_asked_for_no_policy(world: World) -> None:
    assert await world.mode_now("example.org") is None
    assert await world.mode_now("example.org") is None
    assert (world.fetches, world.lookups) == (0, 1)
    world.now += RECORD_SECONDS
    await world.mode_now("example.org")
    assert world.lookups == 2


async def test_a_failed_fetch_is_not_repeated_for_a_while(world: World) -> None:
    world.failure = MtaStsError("no answer")
    assert await world.mode_now() is None
    world.policies.validation_failed(DOMAIN)
    assert await world.mode_now() is None
    assert world.fetches == 1
    world.failure = None
    world.now += RETRY_SECONDS
    assert await world.mode_now() is StsMode.ENFORCE


@pytest.mark.parametrize(
    ("failure", "result"),
    [
        (MtaStsError("no answer"), ResultType.STS_POLICY_FETCH_ERROR),
        (CertificateRefusedError("expired"), ResultType.STS_WEBPKI_INVALID),
        (PolicyInvalidError("no policy"), ResultType.STS_POLICY_INVALID),
    ],
)
async def test_a_failed_fetch_is_reported(
    world: World, failure: MtaStsError, result: ResultType
) -> None:
    world.failure = failure
    await world.mode_now()
    assert [(each.domain, each.result) for each in world.results] == [(DOMAIN, result)]


async def test_policies_are_refreshed_before_they_expire(world: World) -> None:
    await world.mode_now()
    world.now += DAY - 1
    await world.policies.refresh_due()
    assert world.fetches == 1
    world.now += 1
    await world.policies.refresh_due()
    assert world.fetches == 2
    world.now += WEEK - 1
    assert await world.mode_now() is StsMode.ENFORCE


async def test_a_refresh_that_fails_is_tried_again_after_a_while(world: World) -> None:
    await world.mode_now()
    world.now += DAY
    world.failure = MtaStsError("down")
    await world.policies.refresh_due()
    await world.policies.refresh_due()
    assert world.fetches == 2
    world.now += RETRY_SECONDS
    world.failure = None
    await world.policies.refresh_due()
    assert world.fetches == 3


async def test_what_has_expired_is_removed_from_disk(world: World) -> None:
    await world.mode_now()
    world.now += WEEK + 1
    await world.policies.refresh_due()
    assert list(world.directory.iterdir()) == []


async def test_a_policy_from_the_future_is_not_believed(world: World) -> None:
    await world.mode_now()
    world.now -= DAY
    world.restarted()
    world.texts_there = []
    assert await world.mode_now() is None


async def test_memory_is_bounded_and_a_policy_that_made_room_is_found_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_DOMAINS", 3)
    await world.mode_now()
    for number in range(5):
        await world.mode_now(f"d{number}._mta-sts.{DOMAIN}")
    world.texts_there = None
    assert await world.mode_now() is StsMode.ENFORCE


async def test_a_directory_that_cannot_be_written_costs_nothing_but_the_restart(
    world: World,
) -> None:
    world.directory.write_text("a file")
    assert await world.mode_now() is StsMode.ENFORCE


async def test_the_task_refreshes_until_it_is_cancelled(world: World) -> None:
    await world.mode_now()
    world.now += DAY
    running = asyncio.ensure_future(world.policies.run())
    while world.fetches < 2:
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
