"""POP3 before the login: greeting, CAPA, STLS, USER and PASS, AUTH."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.front.login_channel import LoginChannel
from mailfront.front.login_state import State
from mailfront.front.pop.state import COMMANDS, LINE_LIMIT, PopFront
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.forwarded_client import ForwardedClient
from tests.support.login_dialogue import LoginDialogue, front_settings, grant_all


def clear(*, minimum: int = 128, tls_available: bool = True) -> LoginDialogue:
    return LoginDialogue(
        PopFront(
            front_settings(plaintext_minimum_cipher=minimum, tls_available=tls_available),
            secure=False,
        ),
        grant_all,
    )


def secure() -> LoginDialogue:
    return LoginDialogue(PopFront(front_settings(), secure=True), grant_all)


def test_a_whole_conversation() -> None:
    client = clear()
    assert client.greeting == b"+OK mail.example.test ready\r\n"
    assert client.say("CAPA") == [
        b"+OK Capabilities", b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING",
        b"STLS", b".",
    ]  # fmt: skip
    assert client.say("stls") == [b"+OK Begin TLS negotiation now"]
    client.handshake()
    assert client.say("CAPA")[-3:] == [b"USER", b"SASL PLAIN LOGIN", b"."]
    assert client.say("USER alice@example.test") == [b"+OK Send your password"]
    assert client.say("PASS with  two blanks ") == []
    assert client.checks == [("alice@example.test", "with  two blanks ", "USER")]
    assert client.handed_over is not None


def test_quit_says_goodbye_and_ends() -> None:
    client = secure()
    assert client.say("QUIT", "CAPA") == [b"+OK Goodbye"]
    assert client.closed == "quit before login"


@pytest.mark.parametrize("command", ["USER alice", "PASS secret", "AUTH PLAIN", "AUTH PLAIN eA=="])
def test_passwords_are_not_taken_in_clear(command: str) -> None:
    client = clear()
    assert client.say(command) == [b"-ERR [AUTH] Passwords are taken only inside TLS"]
    assert client.checks == []


def test_an_operator_may_allow_passwords_in_clear() -> None:
    client = clear(minimum=0)
    client.say("USER alice", "PASS secret")
    assert client.checks == [("alice", "secret", "USER")]


def test_a_name_given_in_clear_is_forgotten_inside_tls() -> None:
    client = clear(minimum=0)
    client.say("USER alice")
    client.say("STLS")
    client.handshake()
    assert client.say("PASS secret") == [b"-ERR Send USER first"]


def test_a_name_serves_for_one_password() -> None:
    client = LoginDialogue(PopFront(front_settings(), secure=True))
    replies = client.say("USER alice", "PASS wrong", "PASS again")
    assert replies[1:] == [b"-ERR [AUTH] Wrong name or password", b"-ERR Send USER first"]
    assert client.checks == [("alice", "wrong", "USER")]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("LIST", b"-ERR Unknown command, or not before login"),
        ("APOP alice c4c9334bac560ecc979e58001b3e22fb", b"-ERR Unknown command"),
        ("", b"-ERR Unknown command"),
        ("USER", b"-ERR USER needs a name in UTF-8"),
        (b"USER \xff", b"-ERR USER needs a name in UTF-8"),
        ("PASS secret", b"-ERR Send USER first"),
        (b"USER al\0ice", b"-ERR NUL is not allowed in a command"),
        ("AUTH", b"-ERR Unsupported mechanism"),
        ("AUTH CRAM-MD5", b"-ERR Unsupported mechanism"),
        ("AUTH PLAIN ", b"-ERR Invalid base64 response"),
        ("STLS", b"-ERR Command not allowed now"),
    ],
)
def test_each_mistake_has_its_answer(command: str | bytes, answer: bytes) -> None:
    client = secure()
    [line] = client.say(command)
    assert line.startswith(answer)
    assert client.checks == []
    assert client.say("CAPA")[0] == b"+OK Capabilities"


def test_stls_takes_no_argument() -> None:
    assert clear().say("STLS now") == [b"-ERR STLS takes no argument"]


def test_a_password_that_is_no_text_is_refused() -> None:
    client = secure()
    client.say("USER alice")
    assert client.say(b"PASS \xff") == [b"-ERR The password must be UTF-8"]


def test_a_line_may_have_255_octets_with_its_end() -> None:
    client = secure()
    assert client.say("USER " + "x" * (LINE_LIMIT - 5)) == [b"+OK Send your password"]
    assert client.say("USER " + "x" * (LINE_LIMIT - 4)) == [b"-ERR Command too large"]
    assert client.closed == "command too large"


def test_only_the_line_of_auth_may_be_longer() -> None:
    client = secure()
    [answer] = client.say("AUTH PLAIN " + "A" * 12288)
    assert answer == b"-ERR [AUTH] Invalid credentials"
    client.send(b"AUTH PLAIN " + b"A" * 13000)
    assert client.closed == "command too large"


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [
        (Refusal("No", "wrong password"), b"-ERR [AUTH] No"),
        (Refusal("Later", "busy", temporary=True), b"-ERR [SYS/TEMP] Later"),
    ],
)
def test_a_refused_login_tells_whether_it_is_worth_another_try(
    refusal: Refusal, answer: bytes
) -> None:
    client = LoginDialogue(PopFront(front_settings(), secure=True), lambda check: refusal)
    assert client.say("USER alice", "PASS secret")[1:] == [answer]


def test_nothing_is_legal_outside_the_two_states_that_take_commands() -> None:
    for states in COMMANDS.values():
        assert states <= {State.PLAIN, State.SECURE}


def test_a_front_end_tells_of_its_client_by_xclient() -> None:
    channel = LoginChannel(256, is_front_end=True)
    front_end = LoginDialogue(PopFront(front_settings(), secure=False), grant_all, channel=channel)
    assert front_end.greeting.startswith(b"+OK [XCLIENT] ")
    assert front_end.say("XCLIENT ADDR=192.0.2.7 PORT=40000 TTL=4 SESSION=abc") == [b"+OK Updated"]
    assert front_end.told == [ForwardedClient("192.0.2.7", 40000, 4, "abc")]


def test_nobody_else_has_that_command() -> None:
    client = secure()
    assert client.say("XCLIENT ADDR=192.0.2.7")[0].startswith(b"-ERR ")
    assert client.told == []


def test_what_upstreams_have_is_announced_instead_of_our_own() -> None:
    settings = replace(front_settings(), capabilities=lambda: (b"UIDL", b"EXPIRE 30"))
    client = LoginDialogue(PopFront(settings, secure=True), grant_all)
    assert client.say("CAPA")[1:3] == [b"UIDL", b"EXPIRE 30"]
    assert b"TOP" not in client.say("CAPA")
