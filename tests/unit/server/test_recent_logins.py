"""The options of POP before SMTP, taken together."""

from __future__ import annotations

import pytest

from mailfront.channels.channel import Channel
from mailfront.channels.table import ChannelTable, RuleIndex
from mailfront.configuration.msg_conf import Configuration
from mailfront.server.recent_logins import is_wanted, kludge_channel, login_table, problems

NAMES = ("tcp_local", "tcp_intranet")
CHANNELS = {name: Channel(name, "", 0) for name in NAMES}
TABLE = ChannelTable(CHANNELS, (), RuleIndex(), RuleIndex(), {})
TTL, CHANNEL = "service.authservicettl", "service.popbeforesmtpkludgechannel"
BOTH = {TTL: "900", CHANNEL: "tcp_intranet"}


def test_it_is_off_unless_both_options_ask_for_it() -> None:
    for options in ({}, {TTL: "900"}, {CHANNEL: "tcp_intranet"}):
        assert not is_wanted(Configuration.of(options))
        assert login_table(Configuration.of(options)) is None
    assert login_table(Configuration.of(BOTH)) is not None


async def test_addresses_of_proxies_are_never_noted() -> None:
    table = login_table(Configuration.of(BOTH | {"service.proxynetworks": "10.0.0.0/8"}))
    assert table is not None
    table.note("10.0.0.1", "alice@example.test", frozenset())
    assert not await table.knows("10.0.0.1")


def test_the_channel_is_the_one_in_force() -> None:
    channel = kludge_channel(Configuration.of(BOTH), lambda: TABLE)()
    assert channel is TABLE.channels["tcp_intranet"]
    gone = kludge_channel(Configuration.of({CHANNEL: "tcp_gone"}), lambda: TABLE)
    assert gone() is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, ""), (BOTH, ""), ({TTL: "900"}, "is set without"),
        ({CHANNEL: "tcp_intranet"}, "is set without"),
        (BOTH | {CHANNEL: "tcp_local"}, "may not relay"),
        (BOTH | {CHANNEL: "tcp_gone"}, "is no channel of imta.cnf"),
        (BOTH | {"service.pop.enable": "no", "service.imap.enable": "no"}, "neither POP3 nor IMAP"),
        (BOTH | {"service.workers": "2"}, "service.workers"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told(options: dict[str, str], told: str) -> None:
    found = problems(Configuration.of(options), TABLE)
    assert len(found) == bool(told)
    assert told in "".join(found)
