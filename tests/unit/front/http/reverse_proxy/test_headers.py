"""Header fields on their way through: what ends here, and what is said of the client."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from mailfront.front.http.reverse_proxy.headers import (
    has_known_framing,
    is_within,
    request_headers,
    response_headers,
    tell_client,
)
from mailfront.interfaces.peer import Peer

OWN = frozenset({"__Host-session"})
RESERVED = ("X-Client-User", "X-Who")
PEER = Peer("192.0.2.7", 50000, "192.0.2.1", 443)


def passed_on(*fields: tuple[str, str], trusted: bool = False) -> list[tuple[str, str]]:
    kept = request_headers(fields, reserved=RESERVED, own_cookies=OWN, trusted=trusted)
    return list(kept.items())


@pytest.mark.parametrize(
    ("values", "known"),
    [([], True), (["Chunked "], True), (["gzip, chunked"], False), (["gzip", "chunked"], False)],
)
def test_a_transfer_coding_but_chunked_is_not_known(values: list[str], known: bool) -> None:
    assert has_known_framing(values) is known


def test_end_to_end_fields_pass_in_their_order_and_number() -> None:
    fields = [("Host", "a"), ("Accept", "x"), ("Accept", "y"), ("Cookie", "a=1;b=2"), ("Range", "")]
    assert passed_on(*fields) == fields


@pytest.mark.parametrize(
    "name",
    ["Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding",
     "Upgrade", "Proxy-Authorization", "Expect", "Proxy", "Sec-WebSocket-Key"],
)  # fmt: skip
def test_fields_of_one_connection_end_here(name: str) -> None:
    assert passed_on((name, "x")) == []


def test_what_connection_names_ends_here_but_never_what_a_request_needs() -> None:
    fields = [("Connection", "close, X-Mine"), ("Connection", "host, cookie"), ("X-Mine", "1")]
    kept = [("Host", "a"), ("Cookie", "b=1")]
    assert passed_on(*fields, *kept) == kept


@given(
    name=st.sampled_from(["x-client-user", "x-who", "remote-user", "x-forwarded-for"]),
    dividers=st.lists(st.sampled_from("_."), min_size=1, max_size=3),
    upper=st.booleans(),
)
def test_no_spelling_of_a_reserved_name_passes(name: str, dividers: list[str], upper: bool) -> None:
    spelled = name
    for divider in dividers:
        spelled = spelled.replace("-", divider, 1)
    for each in (spelled, name):
        assert passed_on((each.upper() if upper else each, "admin")) == []


def test_only_a_balancer_is_believed_and_only_on_its_client() -> None:
    said = [("X-Forwarded-For", "198.51.100.1"), ("Forwarded", "for=198.51.100.1")]
    more = [("X-Forwarded-User", "admin"), ("X-Client-User", "admin")]
    assert passed_on(*said, *more) == []
    assert passed_on(*said, *more, trusted=True) == said


def test_cookies_of_our_own_pages_stay_here_both_ways() -> None:
    assert passed_on(("Cookie", "a=1; __Host-session=x; b=2")) == [("Cookie", "a=1; b=2")]
    assert passed_on(("Cookie", "__Host-session=x")) == []
    fields = [("Set-Cookie", "__Host-session=x; Path=/"), ("Set-Cookie", "a=1"), ("Etag", "b")]
    kept = response_headers(fields, own_cookies=OWN)
    assert list(kept.items()) == [("Set-Cookie", "a=1"), ("Etag", "b")]


def test_an_answers_framing_and_connection_are_ours() -> None:
    fields = [("Connection", "X-Hop"), ("X-Hop", "1"), ("Transfer-Encoding", "chunked"),
              ("Content-Length", "5"), ("Alt-Svc", "h3"), ("Content-Encoding", "gzip")]  # fmt: skip
    kept = response_headers(fields, own_cookies=OWN)
    assert list(kept.items()) == [("Content-Encoding", "gzip")]


def test_octets_that_are_no_utf8_can_be_written() -> None:
    value = b"attachment; filename=\xfc.txt".decode("utf-8", "surrogateescape")
    kept = response_headers([("Content-Disposition", value)], own_cookies=OWN)
    assert kept["Content-Disposition"].encode() == "attachment; filename=ü.txt".encode()


def test_the_client_is_told_in_both_forms() -> None:
    headers: CIMultiDict[str] = CIMultiDict()
    tell_client(headers, PEER, "mail.test:8443")
    assert dict(headers) == {
        "X-Forwarded-For": "192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "mail.test:8443",
        "X-Forwarded-Port": "443",
        "Forwarded": 'for=192.0.2.7;host="mail.test:8443";proto=https',
    }
    headers = CIMultiDict()
    tell_client(headers, Peer("2001:db8::7", 1, "::1", 443), "mail.test")
    assert headers["Forwarded"] == 'for="[2001:db8::7]";host=mail.test;proto=https'


def test_what_a_balancer_said_stands_first() -> None:
    headers = CIMultiDict(
        {"X-Forwarded-For": "198.51.100.1", "X-Forwarded-Proto": "http", "Forwarded": "for=a"}
    )
    tell_client(headers, PEER, "mail.test")
    assert headers["X-Forwarded-For"] == "198.51.100.1, 192.0.2.7"
    assert headers["X-Forwarded-Proto"] == "http"
    assert headers["Forwarded"] == "for=a, for=192.0.2.7;host=mail.test;proto=https"


def test_networks_hold_their_addresses() -> None:
    networks = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))
    assert is_within("10.1.2.3", networks)
    assert is_within("2001:db8::1", networks)
    assert not is_within("192.0.2.1", networks)
    assert not is_within("", networks)
