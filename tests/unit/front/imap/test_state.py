"""IMAP before the login: greeting, capabilities, STARTTLS, ID, LOGIN, literals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.front.imap.state import COMMANDS, ImapFront
from mailfront.front.login_channel import LoginChannel
from mailfront.front.login_state import State
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.forwarded_client import ForwardedClient
from tests.support.login_dialogue import LoginDialogue, front_settings, grant_all


def clear(*, minimum: int = 128, tls_available: bool = True) -> LoginDialogue:
    return LoginDialogue(
        ImapFront(
            front_settings(plaintext_minimum_cipher=minimum, tls_available=tls_available),
            secure=False,
        ),
        grant_all,
    )


def secure() -> LoginDialogue:
    return LoginDialogue(ImapFront(front_settings(), secure=True), grant_all)


def test_in_clear_login_is_disabled_and_tls_offered() -> None:
    client = clear()
    assert client.greeting == (
        b"* OK [CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID STARTTLS LOGINDISABLED] "
        b"mail.example.test ready\r\n"
    )


def test_inside_tls_login_is_offered_and_tls_is_not() -> None:
    assert b"[CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID AUTH=PLAIN AUTH=LOGIN]" in secure().greeting


def test_an_operator_may_allow_passwords_in_clear() -> None:
    client = clear(minimum=0)
    assert b"LOGINDISABLED" not in client.greeting
    client.say("a LOGIN alice secret")
    assert client.checks == [("alice", "secret", "LOGIN")]


def test_a_whole_conversation() -> None:
    client = clear()
    assert client.say("a CAPABILITY") == [
        b"* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID STARTTLS LOGINDISABLED",
        b"a OK Capability completed",
    ]
    assert client.say("b STARTTLS") == [b"b OK Begin TLS negotiation now"]
    client.handshake()
    assert client.say("c CAPABILITY")[0].endswith(b"AUTH=PLAIN AUTH=LOGIN")
    assert client.say('d ID ("name" "test" "version" NIL)') == [
        b'* ID ("name" "mailfront")',
        b"d OK ID completed",
    ]
    assert client.say("e NOOP") == [b"e OK Noop completed"]
    assert client.say('f LOGIN "alice@example.test" "pass \\"word\\""') == []
    assert client.checks == [("alice@example.test", 'pass "word"', "LOGIN")]
    assert client.handed_over is not None
    assert client.handed_over.tag == b"f"


def test_logout_says_bye_and_ends() -> None:
    client = secure()
    assert client.say("a LOGOUT", "b NOOP") == [b"* BYE Logging out", b"a OK Logout completed"]
    assert client.closed == "logout before login"


@pytest.mark.parametrize(
    "command", ["a LOGIN alice secret", "a AUTHENTICATE PLAIN", "a AUTHENTICATE PLAIN AGEAYg=="]
)
def test_passwords_are_not_taken_in_clear(command: str) -> None:
    client = clear()
    [answer] = client.say(command)
    assert answer.startswith(b"a NO [PRIVACYREQUIRED]")
    assert client.checks == []


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("a SELECT INBOX", b"a BAD Unknown command, or not before login"),
        ("a", b"a BAD Invalid command"),
        ("", b"* BAD Invalid tag"),
        ("a+ NOOP", b"* BAD Invalid tag"),
        ("a NOOP now", b"a BAD Unexpected arguments"),
        ("a STARTTLS", b"a BAD Command not allowed now"),
        ("a LOGIN alice", b"a BAD Missing argument"),
        ("a LOGIN alice secret more", b"a BAD Unexpected arguments"),
        (b"a LOGIN alice\0 secret", b"a BAD NUL is not allowed"),
        (b'a LOGIN "\xff" secret', b"a BAD Name and password must be UTF-8"),
        ("a LOGIN {1+}\r\n\0 secret", b"a BAD NUL is not allowed in a literal"),
        ("a ID (" + '"x" NIL ' * 40 + '"y")', b"a BAD Too many ID values"),
        ("a ID x", b"a BAD Expected"),
        ("a AUTHENTICATE", b"a BAD Missing mechanism"),
        ("a AUTHENTICATE CRAM-MD5", b"a NO [CANNOT]"),
        ("a AUTHENTICATE PLAIN ", b"a BAD Invalid base64"),
    ],
)
def test_each_mistake_has_its_answer(command: str | bytes, answer: bytes) -> None:
    client = LoginDialogue(ImapFront(front_settings(), secure=True))
    [line] = client.say(command)
    assert line.startswith(answer)
    assert client.checks == []
    assert client.say("z NOOP") == [b"z OK Noop completed"]


def test_name_and_password_may_be_literals() -> None:
    client = secure()
    assert client.say("a LOGIN {5}") == [b"+ Ready for literal"]
    assert client.say("alice {6}") == [b"+ Ready for literal"]
    client.say("secret")
    assert client.checks == [("alice", "secret", "LOGIN")]


def test_a_literal_that_does_not_wait_is_read_at_once() -> None:
    client = secure()
    assert client.say("a LOGIN {5+}", "alice {6+}", "se\r\net") == []
    assert client.checks == [("alice", "se\r\net", "LOGIN")]


def test_a_literal_over_the_bound_is_refused_before_it_is_sent() -> None:
    client = secure()
    assert client.say("a LOGIN {4097}") == [b"a BAD [TOOBIG] Literal too large"]
    assert client.say("b NOOP") == [b"b OK Noop completed"]


def test_a_literal_over_the_bound_that_is_under_way_is_skipped() -> None:
    client = secure()
    assert client.say("a LOGIN {5000+}") == []
    assert client.say(b"x" * 5000 + b" secret") == [b"a BAD [TOOBIG] Literal too large"]
    assert client.say("b NOOP") == [b"b OK Noop completed"]


def test_a_literal_too_large_to_skip_ends_the_conversation() -> None:
    client = secure()
    answer = client.say("a LOGIN {99999999+}")
    assert answer == [b"a BAD [TOOBIG] Literal too large", b"* BYE Command too large"]
    assert client.closed == "command too large"


def test_an_overlong_line_ends_the_conversation_before_its_end_came() -> None:
    client = secure()
    answer = client.send(b"a LOGIN " + b"x" * 8200)
    assert answer == [b"* BAD Command line too long", b"* BYE Command too large"]
    assert client.closed == "command too large"


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [
        (Refusal("No", "wrong password"), b"a NO [AUTHENTICATIONFAILED] No"),
        (Refusal("Later", "busy", temporary=True), b"a NO [UNAVAILABLE] Later"),
    ],
)
def test_a_refused_login_tells_whether_it_is_worth_another_try(
    refusal: Refusal, answer: bytes
) -> None:
    client = LoginDialogue(ImapFront(front_settings(), secure=True), lambda check: refusal)
    assert client.say("a LOGIN alice secret") == [answer]


def test_a_half_command_in_clear_is_forgotten_inside_tls() -> None:
    client = clear()
    client.say("a STARTTLS")
    client.handshake()
    assert client.say("b NOOP") == [b"b OK Noop completed"]


def test_nothing_is_legal_outside_the_two_states_that_take_commands() -> None:
    for states in COMMANDS.values():
        assert states <= {State.PLAIN, State.SECURE}


FORWARDED = (
    b'a ID ("x-originating-ip" "192.0.2.7" "x-originating-port" "40000" "x-proxy-ttl" "4" '
    b'"x-session-id" "abc")'
)


@pytest.mark.parametrize("is_secure", [False, True])
def test_a_front_end_tells_of_its_client_by_id(is_secure: bool) -> None:
    state = ImapFront(front_settings(), secure=is_secure)
    front_end = LoginDialogue(state, grant_all, channel=LoginChannel(256, is_front_end=True))
    assert front_end.say(FORWARDED)[-1] == b"a OK ID completed"
    assert front_end.told == [ForwardedClient("192.0.2.7", 40000, 4, "abc")]


def test_of_anybody_else_only_the_time_to_live_is_believed() -> None:
    client = secure()
    client.say(FORWARDED, b'b ID ("name" "Thunderbird")', b"c ID NIL")
    assert client.told == [ForwardedClient(time_to_live=4)]


def test_what_upstreams_have_is_announced_instead_of_our_own() -> None:
    settings = replace(front_settings(), capabilities=lambda: (b"IMAP4rev1", b"ID", b"MOVE"))
    client = LoginDialogue(ImapFront(settings, secure=True), grant_all)
    assert b"[CAPABILITY IMAP4rev1 ID MOVE AUTH=PLAIN AUTH=LOGIN]" in client.greeting
