"""What holds for the conversations of both protocols before the login."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.front.action import (
    STOPPING,
    TOO_SLOW,
    Ask,
    AskForHolder,
    Close,
    Farewell,
    Send,
)
from mailfront.front.imap.state import ImapFront
from mailfront.front.login_channel import LoginChannel
from mailfront.front.login_policy import LoginPolicy
from mailfront.front.login_state import LoginState
from mailfront.front.pop.state import PopFront
from mailfront.front.settings import HTTP_VERBS
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.credentials import (
    CertificateCredentials,
    ScramCredentials,
    VerifierRequest,
)
from mailfront.protocol import sasl
from tests.support.login_dialogue import (
    WRONG,
    Answer,
    Judge,
    LoginDialogue,
    front_settings,
    grant_all,
    refuse_all,
)
from tests.support.scram_client import ScramClient, verifier_of

Protocol = type[LoginState]
PROTOCOLS: list[type[ImapFront] | type[PopFront]] = [ImapFront, PopFront]
BOTH = pytest.mark.parametrize("protocol", PROTOCOLS, ids=["imap", "pop"])

PLAIN = base64.b64encode(b"\0alice@example.test\0secret")
SCRAM_FIRST = base64.b64encode(b"n,,n=alice,r=abc")
BEARER = base64.b64encode(b"n,,\x01auth=Bearer tok\x01\x01")
UPGRADE = {ImapFront: b"a STARTTLS", PopFront: b"STLS"}
AUTHENTICATE = {ImapFront: b"a AUTHENTICATE", PopFront: b"AUTH"}
LOGIN = {ImapFront: b"a LOGIN alice@example.test secret", PopFront: b"AUTH PLAIN " + PLAIN}
HARMLESS = {ImapFront: b"a CAPABILITY", PopFront: b"CAPA"}
NONSENSE = {ImapFront: b"a FROBNICATE", PopFront: b"FROBNICATE"}

# Pieces that lead into every state; whatever they are put together to must be survived.
PIECES = st.sampled_from(
    [
        b"a LOGIN alice secret\r\n", b"b LOGIN {5}\r\nalice {6+}\r\nsecret\r\n", b"USER alice\r\n",
        b"PASS secret\r\n", b"a AUTHENTICATE PLAIN\r\n", b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n",
        b"a AUTHENTICATE LOGIN\r\n", PLAIN + b"\r\n", b"YWxpY2U=\r\n", b"*\r\n", b"a NOOP\n",
        b'a ID ("name" "x")\r\n', b"a ID NIL\r\n", b"CAPA\r\n", b"a CAPABILITY\r\n", b"\0", b"\r\n",
        b"a LOGIN {9999+}\r\n", b"a LOGIN {9999999+}\r\n", b"a LOGIN {9999}\r\n", b"x" * 300,
        b"x" * 9000, b"AUTH PLAIN =\r\n", b"QUIT\r\n", b"a LOGOUT\r\n", b"\xff\xfe", b"(", b'"',
        b"{0+}\r\n", b" ", b"GET / HTTP/1.1\r\n", b"AUTH EXTERNAL =\r\n", b"=\r\n",
        b"a AUTHENTICATE EXTERNAL\r\n", b"AUTH SCRAM-SHA-256 " + SCRAM_FIRST + b"\r\n",
        b"a AUTHENTICATE OAUTHBEARER " + BEARER + b"\r\n", SCRAM_FIRST + b"\r\n", BEARER + b"\r\n",
    ]
)  # fmt: skip
CONVERSATIONS = st.lists(PIECES | st.binary(max_size=40), max_size=12).map(b"".join)
JUDGES = st.sampled_from([refuse_all, grant_all])


@BOTH
@given(data=CONVERSATIONS, judge=JUDGES)
def test_how_octets_are_cut_into_pieces_changes_nothing(
    protocol: Protocol, data: bytes, judge: Callable[..., Refusal | None]
) -> None:
    whole = LoginDialogue(protocol(front_settings(), secure=True), judge)
    whole.send(data)
    dripped = LoginDialogue(protocol(front_settings(), secure=True), judge)
    for octet in data:
        dripped.send(bytes([octet]))
    if whole.handed_over is None:
        assert dripped.outcome() == whole.outcome()
    else:
        # What is unread goes with the session; here the rest had not come yet.
        assert dripped.handed_over is not None
        assert dripped.handed_over.tag == whole.handed_over.tag
        assert dripped.outcome()[:-1] == whole.outcome()[:-1]
        assert data.endswith(whole.handed_over.leftover)


@BOTH
@given(data=CONVERSATIONS, tls_available=st.booleans(), minimum=st.sampled_from([-1, 0, 128]))
def test_any_octets_give_actions_and_never_an_exception(
    protocol: Protocol, data: bytes, tls_available: bool, minimum: int
) -> None:
    settings = front_settings(tls_available=tls_available, plaintext_minimum_cipher=minimum)
    client = LoginDialogue(protocol(settings, secure=False))
    client.send(data)
    if minimum:
        assert client.checks == []


@BOTH
def test_a_command_pipelined_behind_the_upgrade_is_an_attack(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=False))
    assert client.say(UPGRADE[protocol], HARMLESS[protocol]) == []
    assert client.events == ["starttls_injection"]
    assert client.closed is not None
    assert not client.upgrading


@BOTH
def test_a_single_octet_behind_the_upgrade_is_an_attack_too(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=False))
    client.send(UPGRADE[protocol] + b"\r\n\x16")
    assert client.events == ["starttls_injection"]


@BOTH
def test_the_upgrade_is_offered_once(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=False))
    assert b"TLS" in b"".join(client.say(HARMLESS[protocol])).replace(b"STLS", b"STARTTLS")
    client.say(UPGRADE[protocol])
    client.handshake()
    assert b"STARTTLS" not in b"".join(client.say(HARMLESS[protocol]))
    assert b"STLS" not in b"".join(client.say(HARMLESS[protocol]))
    [answer] = client.say(UPGRADE[protocol])
    assert b"not allowed now" in answer
    assert not client.upgrading


@BOTH
def test_where_tls_is_switched_off_the_upgrade_is_refused(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(tls_available=False), secure=False))
    [answer] = client.say(UPGRADE[protocol])
    assert b"not available" in answer
    assert not client.upgrading


@BOTH
def test_mistakes_in_clear_are_forgotten_with_everything_else(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(bad_command_limit=3), secure=False))
    client.say(NONSENSE[protocol], NONSENSE[protocol])
    client.say(UPGRADE[protocol])
    client.handshake()
    client.say(NONSENSE[protocol], NONSENSE[protocol])
    assert client.closed is None


@BOTH
def test_twenty_bad_commands_end_the_conversation(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True))
    client.say(*[NONSENSE[protocol]] * 19)
    assert client.closed is None
    replies = client.say(*[NONSENSE[protocol]] * 30)
    assert len(replies) == 2
    assert b"Too many invalid commands" in replies[-1]
    assert client.closed == "too many invalid commands"


@BOTH
def test_three_failed_logins_end_the_conversation(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True))
    replies = client.say(*[LOGIN[protocol]] * 5)
    assert client.checks == [("alice@example.test", "secret", client.checks[0][2])] * 3
    assert len(replies) == 4
    assert client.closed == "too many failed logins"


@BOTH
def test_after_a_refused_login_what_was_pipelined_is_answered_once(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True))
    replies = client.say(LOGIN[protocol], NONSENSE[protocol], NONSENSE[protocol])
    assert len(client.checks) == 1
    assert [b"Unknown command" in reply for reply in replies] == [False, True, True]


@BOTH
def test_a_granted_login_hands_over_what_was_pipelined_behind_it(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True), grant_all)
    assert client.say(LOGIN[protocol], "b SELECT INBOX", "c FE") == []
    assert client.handed_over is not None
    assert client.handed_over.leftover == b"b SELECT INBOX\r\nc FE\r\n"
    assert client.handed_over.tag == (b"a" if protocol is ImapFront else b"")


@BOTH
def test_sasl_plain_takes_an_initial_response(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True), grant_all)
    client.say(AUTHENTICATE[protocol] + b" PLAIN " + PLAIN)
    assert client.checks == [("alice@example.test", "secret", "PLAIN")]


@BOTH
def test_sasl_plain_asks_where_there_is_no_initial_response(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True), grant_all)
    assert client.say(AUTHENTICATE[protocol] + b" plain") == [b"+ "]
    client.say(PLAIN)
    assert client.checks == [("alice@example.test", "secret", "PLAIN")]


@BOTH
@pytest.mark.parametrize("initial", [False, True])
def test_sasl_login_asks_for_name_and_password(protocol: Protocol, initial: bool) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True), grant_all)
    command = AUTHENTICATE[protocol] + b" LOGIN"
    if initial:
        assert client.say(command + b" YWxpY2U=") == [b"+ UGFzc3dvcmQ6"]
    else:
        assert client.say(command) == [b"+ VXNlcm5hbWU6"]
        assert client.say(b"YWxpY2U=") == [b"+ UGFzc3dvcmQ6"]
    client.say(b"c2VjcmV0")
    assert client.checks == [("alice", "secret", "LOGIN")]


@BOTH
@pytest.mark.parametrize(
    ("response", "text"),
    [
        (b"*", b"cancelled"),
        (b"no base64!", b"Invalid base64"),
        (b"", b"Invalid credentials"),
        (base64.b64encode(b"\0\0"), b"Invalid credentials"),
        (base64.b64encode(b"\0ali\xffce\0secret"), b"Invalid credentials"),
    ],
)
def test_a_sasl_exchange_that_fails_leaves_the_conversation_usable(
    protocol: Protocol, response: bytes, text: bytes
) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True), grant_all)
    client.say(AUTHENTICATE[protocol] + b" PLAIN")
    [answer] = client.say(response)
    assert text in answer
    assert client.checks == []
    client.say(LOGIN[protocol])
    assert client.handed_over is not None


@BOTH
def test_a_sasl_response_has_a_bound(protocol: Protocol) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True), grant_all)
    client.say(AUTHENTICATE[protocol] + b" PLAIN")
    client.send(b"A" * 12290)
    assert client.closed == "command too large"


@BOTH
@pytest.mark.parametrize("verb", sorted(HTTP_VERBS))
def test_a_browser_gets_no_word(protocol: Protocol, verb: bytes) -> None:
    client = LoginDialogue(protocol(front_settings(), secure=True))
    assert client.send(verb + b" / HTTP/1.1\r\nHost: x\r\n\r\na LOGIN alice secret\r\n") == []
    assert client.events == ["http_request"]
    assert client.closed is not None
    assert client.checks == []


@BOTH
@pytest.mark.parametrize("farewell", [STOPPING, TOO_SLOW])
def test_the_server_says_why_it_ends_the_conversation(
    protocol: Protocol, farewell: Farewell
) -> None:
    state = protocol(front_settings(), secure=True)
    send, close = state.end(farewell)
    assert isinstance(send, Send)
    assert farewell.text.encode() in send.data
    assert close == Close(farewell.reason)
    assert state.receive(HARMLESS[protocol] + b"\r\n") == []


@BOTH
def test_in_the_middle_of_a_handshake_it_ends_without_a_word(protocol: Protocol) -> None:
    state = protocol(front_settings(), secure=False)
    state.receive(UPGRADE[protocol] + b"\r\n")
    assert state.end(STOPPING) == [Close("server stopping")]


@BOTH
@pytest.mark.parametrize(
    ("minimum", "bits", "taken"),
    [
        (-1, 0, False), (-1, 256, False), (0, 0, True), (0, 128, True), (1, 0, False),
        (128, 0, False), (128, 112, False), (128, 128, True), (256, 128, False), (256, 256, True),
    ],
)  # fmt: skip
def test_a_password_needs_a_cipher_as_strong_as_the_operator_says(
    protocol: Protocol, minimum: int, bits: int, taken: bool
) -> None:
    settings = front_settings(plaintext_minimum_cipher=minimum)
    client = LoginDialogue(protocol(settings, secure=bits > 0), cipher_bits=bits)
    offered = client.greeting + b"\n".join(client.say(HARMLESS[protocol]))
    assert (b"LOGINDISABLED" not in offered) is (taken or protocol is PopFront)
    assert (b"AUTH=PLAIN" in offered or b"SASL PLAIN" in offered) is taken
    assert (b"USER" in offered) is (taken and protocol is PopFront)
    for line in (LOGIN[protocol], AUTHENTICATE[protocol] + b" PLAIN " + PLAIN):
        client.say(line)
        assert bool(client.checks) is taken


@BOTH
def test_the_strength_of_the_cipher_is_that_after_the_upgrade(protocol: Protocol) -> None:
    settings = front_settings(plaintext_minimum_cipher=256)
    client = LoginDialogue(protocol(settings, secure=False), cipher_bits=128)
    client.say(UPGRADE[protocol])
    client.handshake()
    client.say("USER alice", "PASS secret", "a LOGIN alice secret")
    assert client.checks == []
    assert b"stronger cipher" in client.sent


# Mechanisms beyond passwords, the same in both protocols.

EVERYTHING = LoginPolicy(mechanisms=sasl.MECHANISMS)
CERTIFIED = LoginChannel(256, certificate=True, channel_binding=lambda kind: kind.encode())


def conversation(
    protocol: Protocol,
    judge: Judge = grant_all,
    *,
    policy: LoginPolicy = EVERYTHING,
    channel: LoginChannel = CERTIFIED,
    secure: bool = True,
) -> LoginDialogue:
    return LoginDialogue(
        protocol(front_settings(login=policy), secure=secure), judge, channel=channel
    )


def announced(protocol: Protocol, client: LoginDialogue) -> list[str]:
    """The mechanisms in the list of capabilities."""
    lines = b"\r\n".join(client.say(HARMLESS[protocol])).decode()
    if protocol is ImapFront:
        return [word[5:] for word in lines.split() if word.startswith("AUTH=")]
    return next((line.split()[1:] for line in lines.splitlines() if line.startswith("SASL")), [])


@BOTH
def test_what_is_announced_changes_when_tls_begins(protocol: Protocol) -> None:
    client = conversation(protocol, secure=False)
    assert announced(protocol, client) == []
    client.say(UPGRADE[protocol])
    client.handshake()
    assert announced(protocol, client) == list(sasl.MECHANISMS)


@BOTH
@pytest.mark.parametrize("mechanism", sasl.MECHANISMS)
def test_what_is_not_announced_is_not_taken(protocol: Protocol, mechanism: str) -> None:
    others = tuple(name for name in sasl.MECHANISMS if name != mechanism)
    client = conversation(protocol, policy=LoginPolicy(mechanisms=others))
    assert mechanism not in announced(protocol, client)
    client.say(AUTHENTICATE[protocol] + b" " + mechanism.encode(), b"=")
    assert client.asked == []
    assert client.handed_over is None


@BOTH
@pytest.mark.parametrize(("initial", "name"), [(b"=", ""), (b"Ym9i", "bob")])
def test_external_asks_for_the_certificates_user(
    protocol: Protocol, initial: bytes, name: str
) -> None:
    client = conversation(protocol)
    client.say(AUTHENTICATE[protocol] + b" EXTERNAL " + initial)
    assert client.asked == [Ask(CertificateCredentials(name), "EXTERNAL")]
    assert client.handed_over is not None


@BOTH
def test_external_without_an_initial_response_is_asked_for_it(protocol: Protocol) -> None:
    client = conversation(protocol)
    assert client.say(AUTHENTICATE[protocol] + b" EXTERNAL") == [b"+ "]
    client.say(b"")
    assert client.asked == [Ask(CertificateCredentials(""), "EXTERNAL")]


@BOTH
def test_only_whom_the_client_may_not_act_as_is_told_apart(protocol: Protocol) -> None:
    refusal = Refusal("You may not act as this user.", "no", authorization=True)
    client = conversation(protocol, lambda ask: refusal)
    [answer] = client.say(AUTHENTICATE[protocol] + b" EXTERNAL Ym9i")
    code = b"[AUTHORIZATIONFAILED]" if protocol is ImapFront else b"[AUTH]"
    assert code + b" You may not act as this user." in answer


@BOTH
def test_where_certificates_are_the_only_door_no_password_is_announced_or_asked_about(
    protocol: Protocol,
) -> None:
    policy = LoginPolicy(password_login=False, mechanisms=sasl.MECHANISMS)
    client = conversation(protocol, policy=policy)
    assert announced(protocol, client) == ["EXTERNAL"]
    capabilities = b"".join(client.say(HARMLESS[protocol]))
    assert (b"LOGINDISABLED" in capabilities) is (protocol is ImapFront)
    assert b"USER" not in capabilities
    [answer] = client.say(LOGIN[protocol])
    assert b"Passwords are not taken" in answer
    assert client.asked == []


@BOTH
def test_who_has_a_certificate_may_say_so_with_any_password(protocol: Protocol) -> None:
    policy = LoginPolicy(password_login=False, any_password=True)
    client = conversation(protocol, policy=policy)
    client.say(LOGIN[protocol])
    assert len(client.checks) == 1
    without = conversation(protocol, policy=policy, channel=LoginChannel(256))
    without.say(LOGIN[protocol])
    assert without.checks == []


@BOTH
@pytest.mark.parametrize("certificate", [True, False])
@pytest.mark.parametrize("secure", [True, False])
def test_a_greeting_waits_for_the_certificate_only_where_tls_came_first(
    protocol: Protocol, certificate: bool, secure: bool
) -> None:
    policy = LoginPolicy(preauthenticated=True)
    channel = LoginChannel(256, certificate)
    client = conversation(protocol, policy=policy, channel=channel, secure=secure)
    if certificate and secure:
        assert (client.greeting, client.asked) == (b"", [AskForHolder()])
        assert client.handed_over is not None
        assert client.handed_over.tag == b""
    else:
        assert client.greeting
        assert client.asked == []


@BOTH
def test_who_is_not_preauthenticated_is_greeted_and_has_all_attempts_left(
    protocol: Protocol,
) -> None:
    policy = LoginPolicy(preauthenticated=True)
    client = conversation(protocol, refuse_all, policy=policy)
    assert client.greeting.startswith((b"* OK", b"+OK"))
    for _ in range(2):
        client.say(LOGIN[protocol])
    assert client.closed is None
    client.say(LOGIN[protocol])
    assert client.closed == "too many failed logins"


@BOTH
@pytest.mark.parametrize("judge", [grant_all, refuse_all])
def test_a_token_is_asked_about_and_a_refusal_explained_before_it_is_told(
    protocol: Protocol, judge: Judge
) -> None:
    message = base64.b64encode(b"n,,\x01auth=Bearer tok\x01\x01")
    client = conversation(protocol, judge)
    answer = client.say(AUTHENTICATE[protocol] + b" OAUTHBEARER " + message)
    if judge is grant_all:
        assert client.handed_over is not None
        return
    assert base64.b64decode(answer[0][2:]) == b'{"status": "invalid_token"}'
    [told] = client.say(b"AQ==")
    assert told.startswith((b"a NO [AUTHENTICATIONFAILED]", b"-ERR [AUTH]"))
    assert b"not allowed" not in b"".join(client.say(HARMLESS[protocol]))


@BOTH
@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_scram_goes_through_every_step(protocol: Protocol, password: str) -> None:
    def judge(ask: Ask | AskForHolder) -> Answer:
        assert isinstance(ask, Ask)
        if isinstance(ask.question, VerifierRequest):
            return verifier_of("secret")
        assert isinstance(ask.question, ScramCredentials)
        return None if ask.question.proven else WRONG

    client = conversation(protocol, judge)
    exchange = ScramClient("alice", password, "tls-exporter", b"tls-exporter")
    first = base64.b64encode(exchange.first())
    [challenge] = client.say(AUTHENTICATE[protocol] + b" SCRAM-SHA-256-PLUS " + first)
    last = base64.b64encode(exchange.last(base64.b64decode(challenge[2:])))
    [answer] = client.say(last)
    if password == "wrong":
        assert answer.startswith((b"a NO [AUTHENTICATIONFAILED]", b"-ERR [AUTH]"))
        return
    assert exchange.is_server(base64.b64decode(answer[2:]))
    assert client.handed_over is None
    client.say(b"")
    assert client.handed_over is not None


@BOTH
@given(data=CONVERSATIONS, judge=JUDGES)
def test_any_octets_are_survived_with_every_mechanism_offered(
    protocol: Protocol, data: bytes, judge: Judge
) -> None:
    conversation(protocol, judge).send(data)
