"""The way to the first MAIL: what is offered, whose mail it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import UpstreamMailError
from mailfront.interfaces.mail_relay import RelayAnswer, RelayClient
from mailfront.interfaces.peer import Peer
from mailfront.protocol.upstream_smtp.opening import (
    Capabilities,
    Opening,
    capabilities_of,
    xclient_attributes,
    xclient_commands,
    xtext,
)

CLIENT = RelayClient(
    Peer("192.0.2.7", 40000, "198.51.100.1", 465), None, "laptop.example", extended=True,
    user="alice@example.test",
)  # fmt: skip
GREETING = RelayAnswer(220, ("mta.example.test ESMTP",))
PLAIN = RelayAnswer(250, ("mta.example.test", "SIZE 1000", "8BITMIME", "SMTPUTF8", "AUTH PLAIN"))
TRUSTING = replace(PLAIN, lines=(*PLAIN.lines, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN"))


def test_without_xclient_it_is_ready_after_ehlo() -> None:
    opening = Opening("front.example.test", CLIENT)
    assert opening.first == b""
    assert opening.take(GREETING) == b"EHLO front.example.test\r\n"
    assert opening.take(PLAIN) == b""
    assert opening.is_ready
    assert opening.capabilities == Capabilities(True, 1000, True, True, auth=True)
    assert opening.attributes == frozenset()
    assert not opening.told_login


def test_who_the_client_is_is_told_where_it_is_welcome_and_the_session_begins_anew() -> None:
    opening = Opening("front.example.test", CLIENT)
    opening.take(GREETING)
    assert opening.take(TRUSTING) == (
        b"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=40000 PROTO=ESMTP HELO=laptop.example "
        b"LOGIN=alice@example.test\r\n"
    )
    assert opening.take(GREETING) == b"EHLO laptop.example\r\n"
    # What is offered to the client's own session counts, and XCLIENT is not part of it.
    assert opening.take(PLAIN) == b""
    assert opening.is_ready
    assert opening.told_login
    assert "ADDR" in opening.attributes


def test_only_attributes_that_are_offered_are_told() -> None:
    opening = Opening("front.example.test", CLIENT)
    opening.take(GREETING)
    offers_two = replace(PLAIN, lines=(*PLAIN.lines, "XCLIENT ADDR PORT"))
    assert opening.take(offers_two) == b"XCLIENT ADDR=192.0.2.7 PORT=40000\r\n"
    assert not opening.told_login


def test_behind_starttls_the_greeting_was_read_and_who_only_asks_tells_nothing() -> None:
    opening = Opening("front.example.test", None, greeted=True)
    assert opening.first == b"EHLO front.example.test\r\n"
    assert opening.take(TRUSTING) == b""
    assert opening.is_ready
    assert "ADDR" in opening.attributes


@pytest.mark.parametrize("code", [421, 450, 554])
def test_a_refusal_of_the_client_is_for_the_client(code: int) -> None:
    opening = Opening("front.example.test", CLIENT)
    opening.take(GREETING)
    opening.take(TRUSTING)
    assert opening.take(RelayAnswer(code, ("blocked",))) == b""
    assert opening.refusal == RelayAnswer(code, ("blocked",))
    assert opening.is_ready


@pytest.mark.parametrize("code", [421, 450, 501, 554])
@pytest.mark.parametrize(
    ("named", "before"),
    [(True, ()), (True, (GREETING,)), (False, (GREETING, TRUSTING, GREETING))],
)
def test_once_the_client_was_named_greeting_and_ehlo_refuse_it_alone(
    named: bool, before: tuple[RelayAnswer, ...], code: int
) -> None:
    opening = Opening("front.example.test", CLIENT, named=named)
    for answer in before:
        opening.take(answer)
    assert opening.take(RelayAnswer(code, ("blocked",))) == b""
    assert opening.refusal == RelayAnswer(code, ("blocked",))
    assert opening.is_ready


def test_what_is_no_refusal_is_the_servers_fault_whoever_was_named() -> None:
    with pytest.raises(UpstreamMailError):
        Opening("front.example.test", CLIENT, named=True).take(RelayAnswer(250, ("what",)))


@pytest.mark.parametrize(
    "answers",
    [
        (RelayAnswer(554, ("no",)),),
        (RelayAnswer(250, ("what",)),),
        (GREETING, RelayAnswer(502, ("no EHLO",))),
        (GREETING, TRUSTING, RelayAnswer(250, ("fine",))),
        (GREETING, TRUSTING, GREETING, RelayAnswer(354, ("what",))),
    ],
)
def test_a_server_that_does_not_serve_us_ends_it(answers: tuple[RelayAnswer, ...]) -> None:
    opening = Opening("front.example.test", CLIENT)
    for answer in answers[:-1]:
        opening.take(answer)
    with pytest.raises(UpstreamMailError):
        opening.take(answers[-1])


def test_what_cannot_be_read_counts_as_absent() -> None:
    lines = ("name", "SIZE many", "auth=PLAIN", "", " ", "8bitmime")
    assert capabilities_of(RelayAnswer(250, lines)) == Capabilities(
        size=True, eight_bit=True, auth=True
    )
    assert capabilities_of(RelayAnswer(250, ("SIZE 5",))) == Capabilities()


def test_ipv6_and_helo_are_told_as_postfix_wants_them() -> None:
    client = replace(CLIENT, peer=Peer("fe80::1%eth0", 1, "::1", 25), extended=False, user="")
    attributes = xclient_attributes(client)
    assert attributes["ADDR"] == "IPV6:fe80::1"
    assert attributes["PROTO"] == "SMTP"
    assert "LOGIN" not in attributes
    with pytest.raises(UpstreamMailError):
        xclient_attributes(replace(CLIENT, peer=Peer("unknown", 0, "unknown", 0)))


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_value_leaves_its_command(hello: str, user: str) -> None:
    attributes = xclient_attributes(replace(CLIENT, hello=hello, user=user or "x"))
    words = [line.split(" ") for line in xclient_commands(attributes)]
    assert {each[0] for each in words} == {"XCLIENT"}
    told = dict(word.split("=") for each in words for word in each[1:])
    assert told == {name: xtext(value) for name, value in attributes.items()}
    for line in xclient_commands(attributes):
        assert line.isascii()
        assert line.isprintable()
        assert len(line) <= 510 or line.count(" ") == 1


def test_xtext_is_rfc_3461s() -> None:
    assert xtext("a+b=c d\r\nü") == "a+2Bb+3Dc+20d+0D+0A+C3+BC"


def test_lmtp_begins_with_lhlo_and_so_does_the_session_of_the_client() -> None:
    opening = Opening("front.example.test", CLIENT, delivers=True)
    assert opening.take(GREETING) == b"LHLO front.example.test\r\n"
    assert opening.take(TRUSTING).startswith(b"XCLIENT ")
    assert opening.take(GREETING) == b"LHLO laptop.example\r\n"
    opening.take(RelayAnswer(500, ("what",)))
    assert opening.refusal is not None
    unnamed = Opening("front.example.test", CLIENT, delivers=True)
    unnamed.take(GREETING)
    with pytest.raises(UpstreamMailError, match="LHLO"):
        unnamed.take(RelayAnswer(500, ("what",)))
