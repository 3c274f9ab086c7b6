"""Which servers an attempt would try, and what TLS it would demand."""

from __future__ import annotations

import dns.rdata
import pytest

from mailfront.channels.channel import Demand
from mailfront.errors import DestinationError
from mailfront.outgoing.ourselves import Ourselves
from mailfront.outgoing.resolver import Answer
from mailfront.outgoing.route_survey import KnownPolicies, SurveyedHost, survey
from mailfront.outgoing.transport_policy import StsMode, StsPolicy
from tests.support.outgoing import Hop, MemoryDns, NoDns, channel


def answer(name: str, kind: str, *texts: str) -> Answer:
    return Answer(name, tuple(dns.rdata.from_text("IN", kind, text) for text in texts))


DNS = MemoryDns(
    {
        ("x.test", "MX"): answer("x.test", "MX", "10 a.test.", "20 gone.test."),
        ("a.test", "A"): answer("a.test", "A", "192.0.2.1"),
        ("here.test", "A"): answer("here.test", "A", "127.0.0.1"),
    }
)


async def surveyed(
    tls: Demand = Demand.MAY, *, sts: StsPolicy | None = None, daemon: str = "", port: int = 25
) -> tuple[SurveyedHost, ...]:
    hop = Hop(channel(tls_client=tls, daemon=daemon, port=port), "x.test")
    return await survey(DNS, hop, Ourselves.of({"us.test"}, 2525), KnownPolicies(None, sts))


async def test_servers_are_told_in_order_with_what_is_demanded_of_them() -> None:
    first, second = await surveyed()
    assert (first.host, first.addresses, first.problem) == ("a.test", ("192.0.2.1",), "")
    assert first.tls == "TLS if offered (maytls)"
    assert (second.host, second.tls) == ("gone.test", "")
    assert second.problem


@pytest.mark.parametrize(
    ("tls", "told"),
    [(Demand.NEVER, "no TLS (the channel says notls)"), (Demand.MUST, "TLS, verified by a CA")],
)
async def test_the_channel_decides(tls: Demand, told: str) -> None:
    assert (await surveyed(tls))[0].tls.startswith(told)


async def test_a_kept_policy_counts_and_a_server_that_it_lacks_is_not_used() -> None:
    policy = StsPolicy("x.test", StsMode.ENFORCE, ("a.test",))
    assert "MTA-STS of x.test" in (await surveyed(sts=policy))[0].tls
    other = StsPolicy("x.test", StsMode.ENFORCE, ("b.test",))
    assert "not in the MTA-STS policy" in (await surveyed(sts=other))[0].problem


async def test_a_smarthost_takes_the_place_of_the_exchangers() -> None:
    (host,) = await surveyed(daemon="here.test", port=2526)
    assert (host.host, host.problem) == ("here.test", "")


async def test_a_loop_is_told() -> None:
    (host,) = await surveyed(daemon="here.test", port=2525)
    assert "mail would loop" in host.problem


async def test_without_a_name_server_there_are_no_servers() -> None:
    with pytest.raises(DestinationError):
        await survey(NoDns(), Hop(channel(), "x.test"), Ourselves.of(()), KnownPolicies())
