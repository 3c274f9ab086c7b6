"""Who shares a next hop, and who has none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.channels.channel import Channel
from mailfront.errors import RoutingError
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.outgoing.retry import RetrySettings
from mailfront.outgoing.routing import NOWHERE, Routing
from mailfront.queue.entry import QueuedMail, QueuedRecipient, State
from tests.support.mail_queues import Hop, route, routing


def mail_to(*recipients: str, hop: str) -> QueuedMail:
    queued = tuple(
        QueuedRecipient(row, address, RecipientOptions(), State.WAITING, hop, 0.0)
        for row, address in enumerate(recipients, 1)
    )
    return QueuedMail("id", "", MailOptions(), 0.0, 1, None, queued)


@pytest.mark.parametrize(
    ("address", "hop"),
    [
        ("a@one.example", "tcp_local one.example"),
        ("b@ONE.example", "tcp_local one.example"),
        ("b@bücher.example", "tcp_local xn--bcher-kva.example"),
        ("b@[192.0.2.1]", "tcp_local [192.0.2.1]"),
        ("a@two.far", "tcp_out relay.example"),
        ("a@not a domain", NOWHERE),
    ],
)
def test_the_next_hop_is_channel_and_domain_or_daemon(address: str, hop: str) -> None:
    assert routing().hop_of(address) == hop


def test_recipients_are_judged_anew_when_their_turn_comes() -> None:
    mail = mail_to("a@one.example", "b@two.far", "c@two.example", hop="tcp_local one.example")
    found = routing().sort(mail, "tcp_local one.example")
    assert [each.address for each in found.mail.recipients] == ["a@one.example"]
    assert found.moved == {"tcp_out relay.example": [2], "tcp_local two.example": [3]}
    assert found.route == route("one.example")


def test_what_has_no_rule_or_leads_back_here_is_refused() -> None:
    def strange(domain: str) -> Hop:
        if domain == "nowhere.example":
            raise RoutingError("no rule")
        return Hop(replace(Channel("l", "localhost", 1), local=True), domain)

    rules = Routing(strange, RetrySettings())
    assert rules.channel_of("a@nowhere.example") is None
    found = rules.sort(mail_to("a@nowhere.example", "b@here.example", hop="x"), "x")
    assert found.route is None
    assert [each.status for each in found.refused.values()] == ["5.4.4", "5.4.6"]


def test_the_first_notice_is_that_of_the_channel() -> None:
    channel = replace(Channel("c", "h", 1), notices=(7.0, 9.0))
    assert Routing(lambda domain: Hop(channel, domain), RetrySettings()).first_notice("a@b.c") == 7
