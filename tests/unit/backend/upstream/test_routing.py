from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.backend.upstream.routing import MOST_MAIL_HOSTS, Routes
from mailfront.backend.upstream.upstream_map import UpstreamMap, parse_upstream_map
from mailfront.configuration.upstream_list import parse_upstreams
from mailfront.errors import BackendError
from mailfront.interfaces.authenticator import Identity

IMAP = ("imap",)
STORES = parse_upstreams("imaps://store1,imaps://store2", IMAP)


def user(mail_host: str = "", name: str = "alice@example.test") -> Identity:
    return Identity(name, frozenset(), "LOGIN", mail_host=mail_host)


def routes(*, embedded: bool = False) -> Routes:
    upstreams = () if embedded else STORES
    return Routes(upstreams, "imaps://%h:1993", IMAP, ["mail.example.test", "localhost"])


def hosts(found: Routes, identity: Identity) -> list[str]:
    balance = found.find(identity)
    assert balance is not None
    return sorted(map(str, balance.candidates(0.0)))


def test_without_a_mail_host_a_user_goes_to_the_services_upstreams() -> None:
    assert hosts(routes(), user()) == ["store1:993", "store2:993"]


def test_a_mail_host_decides() -> None:
    assert hosts(routes(), user("store7.example.test")) == ["store7.example.test:1993"]


def test_case_and_a_final_dot_of_a_host_mean_nothing() -> None:
    found = routes()
    assert found.find(user("Store7.example.test.")) is found.find(user("store7.example.test"))


def test_an_address_of_the_sixth_version_is_written_in_brackets() -> None:
    assert hosts(routes(), user("2001:db8::7")) == ["[2001:db8::7]:1993"]


def test_without_upstreams_the_mailbox_is_here() -> None:
    assert routes(embedded=True).find(user()) is None
    assert routes(embedded=True).find(user("Mail.Example.Test")) is None


def test_a_mail_host_elsewhere_counts_even_where_the_store_here_is_the_default() -> None:
    assert hosts(routes(embedded=True), user("store7")) == ["store7:1993"]


def test_our_own_name_is_a_host_like_others_where_mailboxes_are_elsewhere() -> None:
    assert hosts(routes(), user("mail.example.test")) == ["mail.example.test:1993"]


@pytest.mark.parametrize("host", ["a b", "store7?tls=none", "store7:25", "x@store7", "[::1", "ü"])
def test_what_is_no_host_leads_nowhere_and_nobody_is_told_wrong_password(host: str) -> None:
    with pytest.raises(BackendError, match="mailHost") as caught:
        routes().find(user(host))
    assert caught.value.temporary


def test_what_is_known_of_hosts_is_bounded() -> None:
    found = routes()
    first = found.find(user("s0"))
    for number in range(MOST_MAIL_HOSTS + 1):
        found.find(user(f"s{number}"))
    assert found.find(user("s0")) is not first


def test_problems_are_told_of_all_of_them() -> None:
    found = routes()
    balance = found.find(user("store7"))
    assert balance is not None
    [upstream] = balance.candidates(0.0)
    balance.failed(upstream, "connection refused", 0.0)
    assert found.problems() == ["upstream store7:1993: connection refused"]


def mapping(*lines: str) -> UpstreamMap:
    return parse_upstream_map(lines, Path("upstream_map"))


def test_the_map_counts_after_the_mail_host_and_before_the_default() -> None:
    found = routes()
    found.follow_map(mapping("alice@example.test imaps://store8", "@example.org embedded:"))
    assert hosts(found, user()) == ["store8:993"]
    assert hosts(found, user("store7")) == ["store7:1993"]
    assert hosts(found, user(name="bob@example.test")) == ["store1:993", "store2:993"]
    assert found.find(user(name="carol@example.org")) is None
    assert found.keeps_some_here


def test_a_line_that_names_the_default_servers_shares_what_is_known_of_them() -> None:
    found = routes()
    found.follow_map(mapping("alice@example.test imaps://store1,imaps://store2"))
    assert found.find(user()) is found.find(user(name="bob@example.test"))


def test_a_changed_map_keeps_what_is_known_of_servers_that_stay() -> None:
    found = routes()
    found.follow_map(mapping("alice@example.test imaps://store8", "@b.test imaps://store9"))
    before = found.find(user())
    found.follow_map(mapping("alice@example.test imaps://store8"))
    assert found.find(user()) is before
    assert len(found.configured()) == 2
    assert not found.keeps_some_here
