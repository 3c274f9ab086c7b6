"""TXT records as texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from dns.rdata import from_text

from mailfront.errors import DnsUnavailableError
from mailfront.outgoing.resolver import Answer, NameServer, Resolver
from mailfront.outgoing.text_records import ResolvedTexts


def no_servers() -> Sequence[NameServer]:
    return ()


@dataclass
class Zone(Resolver):
    """A resolver that knows one name."""

    lines: tuple[str, ...] = field(default_factory=tuple)

    async def lookup(self, name: str, kind: str) -> Answer:
        assert kind == "TXT"
        return Answer(name, tuple(from_text("IN", "TXT", line) for line in self.lines))


async def test_the_strings_of_a_record_are_one_text() -> None:
    zone = Zone(no_servers, lines=('"v=STSv1; " "id=1"', '"other"'))
    assert await ResolvedTexts(zone).texts("_mta-sts.example.org") == ["v=STSv1; id=1", "other"]


async def test_octets_that_are_no_ascii_stand_in_no_record_of_ours() -> None:
    (text,) = await ResolvedTexts(Zone(no_servers, lines=('"v=\\228"',))).texts("x.example.org")
    assert not text.isascii()


async def test_a_name_without_records_has_no_texts() -> None:
    assert await ResolvedTexts(Zone(no_servers)).texts("x.example.org") == []


async def test_a_dns_that_does_not_answer_is_no_empty_answer() -> None:
    with pytest.raises(DnsUnavailableError):
        await ResolvedTexts(Resolver(no_servers)).texts("x.example.org")
