"""Which hosts take a domain's mail."""

from __future__ import annotations

import dns.rdata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.channels.channel import Exchangers
from mailfront.errors import DestinationError, DnsUnavailableError
from mailfront.outgoing.mail_exchangers import (
    MOST_ADDRESSES,
    MOST_HOSTS,
    HostAddresses,
    MailExchangers,
    address_literal,
    host_addresses,
    mail_exchangers,
)
from mailfront.outgoing.resolver import Answer
from tests.support.outgoing import MemoryDns, NoDns, channel


def answer(kind: str, *texts: str, authenticated: bool = False, name: str = "x") -> Answer:
    records = tuple(dns.rdata.from_text("IN", kind, text) for text in texts)
    return Answer(name, records, authenticated)


async def exchangers(*texts: str, exchangers_: Exchangers = Exchangers.MX) -> tuple[str, ...]:
    dns_ = MemoryDns({("x.test", "MX"): answer("MX", *texts)})
    found = await mail_exchangers(
        dns_, channel(exchangers=exchangers_), "x.test", lambda host: host == "us.test"
    )
    return found.hosts


async def test_exchangers_are_tried_by_preference() -> None:
    assert await exchangers("20 b.test.", "10 A.test.", "30 c.test.") == (
        "a.test", "b.test", "c.test",
    )  # fmt: skip


async def test_equals_are_tried_in_any_order() -> None:
    seen = {await exchangers("10 a.test.", "10 b.test.", "20 c.test.") for _ in range(200)}
    assert seen == {("a.test", "b.test", "c.test"), ("b.test", "a.test", "c.test")}


async def test_no_exchanger_is_tried_that_is_no_better_than_we() -> None:
    assert await exchangers("10 a.test.", "20 us.test.", "20 b.test.", "30 c.test.") == ("a.test",)


@pytest.mark.parametrize(
    ("texts", "status"), [(("10 us.test.", "20 b.test."), "5.4.6"), (("0 .",), "5.1.10")]
)
async def test_a_loop_and_a_null_mx_fail_for_good(texts: tuple[str, ...], status: str) -> None:
    with pytest.raises(DestinationError) as caught:
        await exchangers(*texts)
    assert (caught.value.temporary, caught.value.status) == (False, status)


async def test_a_domain_without_mx_takes_its_mail_itself() -> None:
    assert await exchangers() == ("x.test",)


async def test_a_domain_that_does_not_exist_fails_for_good() -> None:
    with pytest.raises(DestinationError) as caught:
        await mail_exchangers(MemoryDns(), channel(), "x.test", lambda host: False)
    assert (caught.value.temporary, caught.value.status) == (False, "5.1.2")


async def test_without_an_answer_the_mail_waits() -> None:
    with pytest.raises(DnsUnavailableError) as caught:
        await mail_exchangers(NoDns(), channel(), "x.test", lambda host: False)
    assert (caught.value.temporary, caught.value.status) == (True, "4.4.3")


async def test_the_number_of_exchangers_is_bounded() -> None:
    assert len(await exchangers(*(f"10 h{each}.test." for each in range(100)))) == MOST_HOSTS


@pytest.mark.parametrize(
    ("daemon", "domain", "host"),
    [
        ("Relay.test.", "x.test", "relay.test"),
        ("[relay.test]", "x.test", "relay.test"),
        ("[192.0.2.1]", "x.test", "[192.0.2.1]"),
        ("", "[IPv6:2001:db8::1]", "[ipv6:2001:db8::1]"),
    ],
)
async def test_a_host_that_is_named_is_not_asked_for(daemon: str, domain: str, host: str) -> None:
    found = await mail_exchangers(NoDns(), channel(daemon=daemon), domain, lambda host: False)
    assert found == MailExchangers((host,), authenticated=True, are_named=True)


async def test_nomx_is_the_domain_itself() -> None:
    found = await mail_exchangers(
        NoDns(), channel(exchangers=Exchangers.NONE), "x.test", lambda host: False
    )
    assert found.hosts == ("x.test",)


async def test_addresses_of_both_families_take_turns_and_are_bounded() -> None:
    dns_ = MemoryDns(
        {
            ("x.test", "A"): answer("A", *(f"192.0.2.{each}" for each in range(9))),
            ("x.test", "AAAA"): answer("AAAA", "2001:db8::1"),
        }
    )
    found = await host_addresses(dns_, "x.test")
    assert found.addresses[0] == "2001:db8::1"
    assert len(found.addresses) == MOST_ADDRESSES
    assert all("." in each for each in found.addresses[1:])


async def test_addresses_are_proved_only_if_both_answers_are() -> None:
    dns_ = MemoryDns(
        {
            ("x.test", "A"): answer("A", "192.0.2.1", authenticated=True),
            ("x.test", "AAAA"): answer("AAAA", authenticated=False),
        }
    )
    assert not (await host_addresses(dns_, "x.test")).authenticated


async def test_a_host_without_address_fails_for_good() -> None:
    with pytest.raises(DestinationError) as caught:
        await host_addresses(MemoryDns(), "x.test")
    assert not caught.value.temporary


async def test_a_literal_and_localhost_need_no_dns() -> None:
    found = await host_addresses(NoDns(), "[192.0.2.1]")
    assert found == HostAddresses(("192.0.2.1",), "[192.0.2.1]", authenticated=False)
    assert (await host_addresses(NoDns(), "localhost")).addresses == ("::1", "127.0.0.1")


@given(st.text(max_size=40))
def test_only_an_address_is_a_literal(text: str) -> None:
    assert address_literal(text) == ""


@pytest.mark.parametrize("text", ["[192.0.2.1]", "[IPv6:2001:db8::1]", "[::1]"])
def test_literals_are_understood(text: str) -> None:
    assert address_literal(text) in {"192.0.2.1", "2001:db8::1", "::1"}
