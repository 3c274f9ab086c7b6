from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.interfaces.forwarded_client import NOTHING_TOLD, ForwardedClient
from mailfront.protocol.forwarded_client import told_by_id, told_by_xclient


def test_an_id_tells_what_dovecot_tells() -> None:
    values = [
        b"x-originating-ip", b"192.0.2.7", b"X-Originating-Port", b"40000",
        b"x-connected-ip", b"198.51.100.1", b"x-proxy-ttl", b"4", b"x-session-id", b"a+/=",
        b"name", None,
    ]  # fmt: skip
    assert told_by_id(values) == ForwardedClient("192.0.2.7", 40000, 4, "a+/=")


def test_an_xclient_tells_the_same() -> None:
    told = told_by_xclient(b"ADDR=2001:DB8::7 PORT=40000 SESSION=abc TTL=1 FORWARD=x")
    assert told == ForwardedClient("2001:db8::7", 40000, 1, "abc")


def test_a_client_that_is_no_front_end_tells_nothing() -> None:
    assert told_by_id([b"name", b"Thunderbird", b"version", b"1"]) == NOTHING_TOLD
    assert told_by_id([]) == NOTHING_TOLD


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"x-originating-ip", b"example.test"),
        (b"x-originating-ip", b"fe80::1%eth0"),
        (b"x-originating-ip", b'fe80::1%x"\r\nA1 LOGOUT'),
        (b"x-originating-port", b"-1"),
        (b"x-originating-port", b"99999"),
        (b"x-proxy-ttl", b"many"),
        (b"x-proxy-ttl", b""),
        (b"x-session-id", b"two words"),
        (b"x-session-id", b"x" * 65),
        (b"x-session-id", None),
    ],
)
def test_what_makes_no_sense_is_as_if_it_were_not_there(name: bytes, value: bytes | None) -> None:
    assert told_by_id([name, value]) == NOTHING_TOLD


@given(st.text(alphabet='0123456789abcdef:.%\r\n" x', max_size=40).map(str.encode))
def test_an_address_holds_nothing_that_an_address_does_not(text: bytes) -> None:
    for value in (text, b"fe80::1" + text, b"192.0.2.7" + text):
        address = told_by_id([b"x-originating-ip", value]).address
        assert not set(address) - set("0123456789abcdef:.")


@given(st.lists(st.none() | st.binary(max_size=20), max_size=8), st.binary(max_size=100))
def test_any_octets_are_taken(values: list[bytes | None], argument: bytes) -> None:
    told_by_id(values)
    told_by_xclient(argument)
