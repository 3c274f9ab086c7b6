"""Answers of resolvers: what is believed, what is kept, what is no answer."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ConfigurationError, DnsUnavailableError
from mailfront.outgoing.resolver import (
    NameServer,
    Resolver,
    SystemServers,
    name_servers,
)

OURS, THEIRS = NameServer("127.0.0.1", 53, True), NameServer("192.0.2.53")


def record(line: str) -> dns.rrset.RRset:
    name, lasts, net, kind, data = line.split(maxsplit=4)
    return dns.rrset.from_text(name, int(lasts), net, kind, data)


class Net:
    """What the servers answer: a rcode, lines of an answer, the AD bit; None is silence."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.rcode = dns.rcode.NOERROR
        self.lines: list[str] = []
        self.proved = True
        self.silent: set[str] = set()

    async def ask(
        self, query: dns.message.Message, where: str, **more: object
    ) -> tuple[dns.message.Message, bool]:
        self.asked.append(where)
        await asyncio.sleep(0)
        if where in self.silent:
            raise dns.exception.Timeout
        response = dns.message.make_response(query)
        response.set_rcode(self.rcode)
        if self.proved:
            response.flags |= dns.flags.AD
        response.answer += [record(line) for line in self.lines]
        return dns.message.from_wire(response.to_wire(max_size=65535)), False


@pytest.fixture
def net(monkeypatch: pytest.MonkeyPatch) -> Net:
    made = Net()
    monkeypatch.setattr(dns.asyncquery, "udp_with_fallback", made.ask)
    return made


async def test_an_answer_is_believed_by_where_the_resolver_is(net: Net) -> None:
    net.lines = ["x.test. 60 IN A 192.0.2.1"]
    assert (await Resolver(lambda: [OURS]).lookup("x.test", "A")).authenticated
    assert not (await Resolver(lambda: [THEIRS]).lookup("x.test", "A")).authenticated
    net.proved = False
    assert not (await Resolver(lambda: [OURS]).lookup("x.test", "A")).authenticated


async def test_an_alias_is_followed_and_told(net: Net) -> None:
    net.lines = ["x.test. 60 IN CNAME Y.test.", "y.test. 60 IN A 192.0.2.1"]
    answer = await Resolver(lambda: [OURS]).lookup("X.test.", "A")
    assert (answer.name, answer.is_alias, len(answer.records)) == ("y.test", True, 1)


async def test_an_answer_is_kept_for_its_time_to_live(net: Net) -> None:
    net.lines = ["x.test. 60 IN A 192.0.2.1"]
    now = 0.0
    resolver = Resolver(lambda: [OURS], clock=lambda: now)
    await resolver.lookup("x.test", "A")
    now = 59.0
    await resolver.lookup("x.test", "A")
    assert len(net.asked) == 1
    now = 61.0
    await resolver.lookup("x.test", "A")
    assert len(net.asked) == 2


async def test_equal_questions_at_the_same_time_are_one(net: Net) -> None:
    net.lines = ["x.test. 60 IN A 192.0.2.1"]
    resolver = Resolver(lambda: [OURS])
    await asyncio.gather(*(resolver.lookup("x.test", "A") for _ in range(5)))
    assert len(net.asked) == 1


async def test_no_such_name_is_an_answer_and_a_failure_is_none(net: Net) -> None:
    net.rcode = dns.rcode.NXDOMAIN
    assert not (await Resolver(lambda: [OURS]).lookup("x.test", "A")).exists
    net.rcode = dns.rcode.SERVFAIL
    with pytest.raises(DnsUnavailableError, match="SERVFAIL"):
        await Resolver(lambda: [OURS]).lookup("x.test", "A")


async def test_the_next_server_is_asked_if_one_is_silent(net: Net) -> None:
    net.silent = {THEIRS.address}
    net.lines = ["x.test. 60 IN A 192.0.2.1"]
    another = NameServer("192.0.2.54")
    answer = await Resolver(lambda: [THEIRS, another]).lookup("x.test", "A")
    assert (len(answer.records), net.asked) == (1, [THEIRS.address, another.address])


async def test_where_one_is_believed_nobody_else_is_asked(net: Net) -> None:
    net.rcode = dns.rcode.SERVFAIL
    with pytest.raises(DnsUnavailableError, match="SERVFAIL"):
        await Resolver(lambda: [THEIRS, OURS]).lookup("x.test", "A")
    assert set(net.asked) == {OURS.address}


async def test_an_answer_of_many_octets_is_given_and_not_kept(net: Net) -> None:
    net.lines = [f'x.test. 60 IN TXT "{number:0250}"' for number in range(20)]
    resolver = Resolver(lambda: [OURS])
    assert len((await resolver.lookup("x.test", "TXT")).records) == 20
    await resolver.lookup("x.test", "TXT")
    assert len(net.asked) == 2


async def test_a_failure_is_not_kept(net: Net) -> None:
    resolver = Resolver(lambda: [OURS])
    net.silent = {OURS.address}
    with pytest.raises(DnsUnavailableError):
        await resolver.lookup("x.test", "A")
    net.silent = set()
    assert (await resolver.lookup("x.test", "A")).exists


@pytest.mark.parametrize("name", ["x..test", "x" * 64 + ".test", "é.test" * 60])
async def test_what_can_be_no_name_is_not_asked_for(net: Net, name: str) -> None:
    assert not (await Resolver(lambda: [OURS]).lookup(name, "A")).exists
    assert net.asked == []


def test_only_this_machine_is_believed_unless_the_operator_says_so() -> None:
    found = name_servers("127.0.0.1, ::1#5353 192.0.2.1 127.0.0.11")
    assert [each.is_believed for each in found] == [True, True, False, False]
    assert str(found[1]) == "::1#5353"
    assert all(each.is_believed for each in name_servers("192.0.2.1", believe_all=True))


@given(st.text(max_size=40))
def test_any_text_names_servers_or_is_refused(text: str) -> None:
    try:
        found = name_servers(text)
    except ConfigurationError:
        return
    assert all(0 < each.port < 65536 for each in found)


def test_resolv_conf_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text("search test\nnameserver 192.0.2.1\nnameserver nonsense\n# nameserver ::1\n")
    servers = SystemServers(path)
    assert [str(each) for each in servers()] == ["192.0.2.1"]
    path.write_text("nameserver ::1\n")
    os.utime(path, ns=(1, 1))
    assert servers() == (NameServer("::1", 53, True),)
    path.unlink()
    assert servers()
