"""The client's side of STARTTLS: what leads to the handshake, and all that must not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import StarttlsError, StarttlsFault
from mailfront.protocol.starttls_client import (
    LONGEST_LINE,
    MOST_LINES,
    Dialogue,
    StarttlsProtocol,
)

SMTP, IMAP, POP3 = StarttlsProtocol.SMTP, StarttlsProtocol.IMAP, StarttlsProtocol.POP3

# What the server sends, and what the client answers to it.
GOOD = {
    SMTP: (
        (b"220-mail.example.org\r\n220 ESMTP\r\n", b"EHLO client.invalid\r\n"),
        (b"250-mail.example.org\r\n250-STARTTLS\r\n250 8BITMIME\r\n", b"STARTTLS\r\n"),
        (b"220 2.0.0 Go ahead\r\n", b""),
    ),
    IMAP: (
        (b"* OK [CAPABILITY IMAP4rev1] ready\r\n", b"c1 CAPABILITY\r\n"),
        (
            b"* CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED\r\nc1 OK done\r\n",
            b"c2 STARTTLS\r\n",
        ),
        (b"c2 OK begin\r\n", b""),
    ),
    POP3: (
        (b"+OK ready\r\n", b"CAPA\r\n"),
        (b"+OK list\r\nUIDL\r\nSTLS\r\n.\r\n", b"STLS\r\n"),
        (b"+OK begin\r\n", b""),
    ),
}
CAPABILITIES = {
    SMTP: ("STARTTLS", "8BITMIME"),
    IMAP: ("IMAP4REV1", "STARTTLS", "LOGINDISABLED"),
    POP3: ("UIDL", "STLS"),
}
every_protocol = pytest.mark.parametrize("protocol", StarttlsProtocol)


def after(protocol: StarttlsProtocol, steps: int) -> Dialogue:
    """A dialogue that went well so far."""
    dialogue = Dialogue(protocol)
    for received, sent in GOOD[protocol][:steps]:
        assert dialogue.feed(received) == sent
    return dialogue


def fault(dialogue: Dialogue, received: bytes) -> StarttlsFault:
    """Why the dialogue ends when it receives this."""
    with pytest.raises(StarttlsError) as caught:
        dialogue.feed(received)
    return caught.value.fault


@every_protocol
def test_a_server_that_offers_it_leads_to_the_handshake(protocol: StarttlsProtocol) -> None:
    dialogue = after(protocol, 2)
    dialogue.feed(GOOD[protocol][2][0])
    assert dialogue.is_ready
    assert dialogue.capabilities == CAPABILITIES[protocol]


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_what_an_smtp_server_refuses_with_is_told(steps: int) -> None:
    with pytest.raises(StarttlsError) as caught:
        after(SMTP, steps).feed(b"421 4.7.0 too many connections\r\n")
    assert caught.value.refusal == (421, "4.7.0 too many connections")
    with pytest.raises(StarttlsError) as caught:
        after(SMTP, steps).feed(b"354 what\r\n")
    assert caught.value.refusal is None


@every_protocol
def test_it_does_not_matter_how_the_octets_arrive(protocol: StarttlsProtocol) -> None:
    dialogue = Dialogue(protocol)
    for received, sent in GOOD[protocol]:
        answers = [dialogue.feed(received[at : at + 1]) for at in range(len(received))]
        assert b"".join(answers) == sent
    assert dialogue.is_ready


@every_protocol
def test_octets_in_clear_behind_the_go_ahead_are_an_injection(protocol: StarttlsProtocol) -> None:
    dialogue = after(protocol, 2)
    go_ahead = GOOD[protocol][2][0]
    assert fault(dialogue, go_ahead + b"2") is StarttlsFault.INJECTION


@every_protocol
def test_octets_in_clear_that_come_a_moment_later_are_one_too(protocol: StarttlsProtocol) -> None:
    dialogue = after(protocol, 3)
    assert fault(dialogue, b"250 injected\r\n") is StarttlsFault.INJECTION


@pytest.mark.parametrize(
    ("protocol", "answer"),
    [
        (SMTP, b"250-mail.example.org\r\n250 XXXXXXXX\r\n"),
        (IMAP, b"* CAPABILITY IMAP4rev1 XSTARTTLS\r\nc1 OK done\r\n"),
        (IMAP, b"c1 OK nothing announced\r\n"),
        (POP3, b"+OK list\r\nUIDL\r\n.\r\n"),
        (POP3, b"-ERR what is CAPA\r\n"),
    ],
)
def test_what_is_not_offered_is_not_asked_for(protocol: StarttlsProtocol, answer: bytes) -> None:
    assert fault(after(protocol, 1), answer) is StarttlsFault.NOT_OFFERED


@pytest.mark.parametrize(
    ("protocol", "steps", "answer"),
    [
        (SMTP, 0, b"554 no\r\n"),
        (SMTP, 1, b"421 too busy\r\n"),
        (SMTP, 2, b"454 4.7.0 TLS not available\r\n"),
        (IMAP, 0, b"* BYE too busy\r\n"),
        (IMAP, 1, b"* BYE\r\n"),
        (IMAP, 1, b"c1 BAD no\r\n"),
        (IMAP, 2, b"c2 NO\r\n"),
        (POP3, 0, b"-ERR [SYS/TEMP] too busy\r\n"),
        (POP3, 2, b"-ERR no\r\n"),
    ],
)
def test_a_refusal_is_told_as_one(protocol: StarttlsProtocol, steps: int, answer: bytes) -> None:
    assert fault(after(protocol, steps), answer) is StarttlsFault.REFUSED


def test_preauth_before_tls_is_never_followed() -> None:
    assert fault(Dialogue(IMAP), b"* PREAUTH welcome back\r\n") is StarttlsFault.PREAUTH


@pytest.mark.parametrize(
    ("protocol", "steps", "answer"),
    [
        (SMTP, 0, b"SSH-2.0-OpenSSH\r\n"),
        (SMTP, 1, b"2500 x\r\n"),
        (IMAP, 0, b"+OK POP3 ready\r\n"),
        (IMAP, 1, b"c2 OK not asked yet\r\n"),
        (IMAP, 1, b"* CAPABILITY {5}\r\n"),
        (SMTP, 0, b"220 x\r\n250-x\r\n"),
    ],
)
def test_what_is_no_answer_ends_it(protocol: StarttlsProtocol, steps: int, answer: bytes) -> None:
    assert fault(after(protocol, steps), answer) is StarttlsFault.MALFORMED


@every_protocol
def test_a_line_without_end_is_bounded(protocol: StarttlsProtocol) -> None:
    assert fault(Dialogue(protocol), b"2" * (LONGEST_LINE + 3)) is StarttlsFault.MALFORMED


def test_lines_without_end_are_bounded() -> None:
    assert fault(Dialogue(SMTP), b"220-x\r\n" * (MOST_LINES + 1)) is StarttlsFault.MALFORMED


def test_inside_tls_the_dialogue_ends_with_the_capabilities() -> None:
    dialogue = Dialogue(SMTP, upgrade=False, greeted=True)
    assert dialogue.first == b"EHLO client.invalid\r\n"
    assert dialogue.feed(b"250-mail.example.org\r\n250 AUTH PLAIN\r\n") == b""
    assert dialogue.is_ready
    assert dialogue.capabilities == ("AUTH PLAIN",)


def test_what_a_tester_pipelines_goes_out_with_the_command() -> None:
    dialogue = Dialogue(POP3, behind=b"XINJECTED\r\n")
    dialogue.feed(GOOD[POP3][0][0])
    assert dialogue.feed(GOOD[POP3][1][0]) == b"STLS\r\nXINJECTED\r\n"


@given(st.sampled_from(StarttlsProtocol), st.integers(0, 2), st.lists(st.binary(max_size=60)))
def test_any_octets_give_a_result_more_or_one_error(
    protocol: StarttlsProtocol, steps: int, chunks: list[bytes]
) -> None:
    dialogue = after(protocol, steps)
    try:
        for chunk in chunks:
            dialogue.feed(chunk)
    except StarttlsError:
        return
    assert not dialogue.is_ready or dialogue.capabilities


def test_lmtp_says_lhlo() -> None:
    dialogue = Dialogue(SMTP, client_name="front.test", delivers=True)
    assert dialogue.feed(b"220 store\r\n") == b"LHLO front.test\r\n"
    assert dialogue.feed(b"250-store\r\n250 STARTTLS\r\n") == b"STARTTLS\r\n"
