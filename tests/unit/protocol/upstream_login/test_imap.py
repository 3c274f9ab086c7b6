from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import UpstreamLoginError
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret
from mailfront.protocol.upstream_login.imap import ImapLogin
from mailfront.protocol.upstream_login.login import ClientFacts, LoggedIn, UpstreamCredentials

CLIENT = ClientFacts(Peer("192.0.2.7", 40000, "198.51.100.1", 993))
ALICE = UpstreamCredentials("alice@example.test", Secret('pass"wörd'))
SIMPLE = UpstreamCredentials("alice", Secret('se"cr\\et'))
ADMIN = UpstreamCredentials("front", Secret("s"), "alice@example.test")
DOVECOT = (
    b"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE AUTH=PLAIN] ready.\r\n"
)
IDENTIFICATION = (
    b'id1 ID ("x-originating-ip" "192.0.2.7" "x-originating-port" "40000" '
    b'"x-connected-ip" "198.51.100.1" "x-connected-port" "993" "x-proxy-ttl" "5")\r\n'
)


def login(credentials: UpstreamCredentials = ALICE, *, greeted: bool = False) -> ImapLogin:
    return ImapLogin(b"a7", credentials, CLIENT, greeted=greeted)


def test_the_login_follows_the_greeting_in_one_flight() -> None:
    message = base64.b64encode('\0alice@example.test\0pass"wörd'.encode())
    assert login().feed(DOVECOT) == IDENTIFICATION + b"a7 AUTHENTICATE PLAIN " + message + b"\r\n"


def test_the_session_goes_by_one_name_in_all_logs() -> None:
    client = ClientFacts(CLIENT.peer, session_id="abc+/=")
    sent = ImapLogin(b"a7", SIMPLE, client).feed(DOVECOT)
    assert isinstance(sent, bytes)
    assert b'"x-session-id" "abc+/="' in sent


def test_what_is_between_the_upstream_and_us_is_not_told_after_the_login() -> None:
    conversation = login(SIMPLE)
    conversation.feed(DOVECOT)
    outcome = conversation.feed(
        b"a7 OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED AUTH=PLAIN COMPRESS=DEFLATE] In\r\n"
    )
    assert isinstance(outcome, LoggedIn)
    assert outcome.answer == b"a7 OK [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] In\r\n"
    assert outcome.capabilities.startswith(b"IMAP4rev1 SASL-IR")


def test_capabilities_told_before_the_answer_go_into_it() -> None:
    conversation = login(SIMPLE)
    conversation.feed(DOVECOT)
    outcome = conversation.feed(b"* CAPABILITY IMAP4rev1 IDLE\r\na7 OK\r\n* 3 EX")
    assert outcome == LoggedIn(b"a7 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n", b"* 3 EX")


def test_who_tells_none_with_the_answer_is_asked() -> None:
    conversation = login(SIMPLE)
    conversation.feed(DOVECOT)
    assert conversation.feed(b"a7 OK Welcome\r\nid1 OK late\r\n") == b"cp1 CAPABILITY\r\n"
    outcome = conversation.feed(b"* CAPABILITY IMAP4rev1 IDLE\r\ncp1 OK done\r\n")
    assert outcome == LoggedIn(b"a7 OK [CAPABILITY IMAP4rev1 IDLE] Welcome\r\n", b"")


def test_who_has_no_answer_to_that_logs_in_all_the_same() -> None:
    conversation = login(SIMPLE)
    conversation.feed(DOVECOT)
    conversation.feed(b"a7 OK Welcome\r\n")
    assert conversation.feed(b"cp1 BAD what\r\n") == LoggedIn(b"a7 OK Welcome\r\n", b"")


TOKEN = UpstreamCredentials("a,b@example.test", Secret("ey.x"), token_mechanism="OAUTHBEARER")
OAUTH = b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=OAUTHBEARER AUTH=XOAUTH2] ready\r\n"


def test_an_access_token_goes_by_the_mechanism_that_the_operator_named() -> None:
    sent = login(TOKEN).feed(OAUTH)
    assert isinstance(sent, bytes)
    tag, command, mechanism, message = sent.split()
    assert (tag, command, mechanism) == (b"a7", b"AUTHENTICATE", b"OAUTHBEARER")
    text = b"n,a=a=2Cb@example.test,\x01auth=Bearer ey.x\x01\x01"
    assert base64.b64decode(message) == text
    google = UpstreamCredentials("alice", Secret("ey.x"), token_mechanism="XOAUTH2")
    sent = login(google).feed(OAUTH)
    assert isinstance(sent, bytes)
    assert base64.b64decode(sent.split()[3]) == b"user=alice\x01auth=Bearer ey.x\x01\x01"


def test_whether_tokens_are_taken_is_asked_where_the_greeting_does_not_say() -> None:
    conversation = login(TOKEN)
    assert conversation.feed(b"* OK hello\r\n") == b"cp1 CAPABILITY\r\n"
    with pytest.raises(UpstreamLoginError, match="does not offer OAUTHBEARER"):
        conversation.feed(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")


def test_why_a_token_is_refused_is_told() -> None:
    conversation = login(TOKEN)
    conversation.feed(OAUTH)
    with pytest.raises(UpstreamLoginError, match="invalid_token"):
        conversation.feed(b"+ " + base64.b64encode(b'{"status":"invalid_token"}') + b"\r\n")


def test_the_answer_goes_to_the_client_as_it_is_and_nothing_behind_it_is_lost() -> None:
    conversation = login()
    conversation.feed(DOVECOT)
    outcome = conversation.feed(
        b'* ID ("name" "Dovecot")\r\nid1 OK ID completed.\r\n'
        b"* CAPABILITY IMAP4rev1 IDLE\r\na7 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n* 3 EX"
    )
    assert outcome == LoggedIn(b"a7 OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n", b"* 3 EX")


def test_an_administrator_logs_in_on_behalf_of_the_user() -> None:
    sent = login(ADMIN).feed(DOVECOT)
    assert isinstance(sent, bytes)
    message = sent.removeprefix(IDENTIFICATION).split()[-1]
    assert base64.b64decode(message) == b"alice@example.test\0front\0s"


def test_without_sasl_ir_the_message_waits_for_its_turn() -> None:
    conversation = login(ADMIN)
    assert conversation.feed(b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n") == (
        b"a7 AUTHENTICATE PLAIN\r\n"
    )
    assert conversation.feed(b"+ \r\n") == ADMIN.plain_message() + b"\r\n"
    with pytest.raises(UpstreamLoginError, match="nothing is left to say"):
        conversation.feed(b"+ \r\n")


def test_a_server_without_sasl_gets_login() -> None:
    assert login(SIMPLE).feed(b"* OK hello\r\n") == b'a7 LOGIN "alice" "se\\"cr\\\\et"\r\n'


@pytest.mark.parametrize("password", ["sëcret", "two\r\nlines", "nul\0"])
def test_what_a_quoted_string_cannot_hold_goes_in_base64(password: str) -> None:
    sent = login(UpstreamCredentials("alice", Secret(password))).feed(b"* OK hello\r\n")
    assert sent == b"a7 AUTHENTICATE PLAIN\r\n"


def test_inside_tls_capabilities_are_asked_anew() -> None:
    conversation = login(greeted=True)
    assert conversation.first == b"cp1 CAPABILITY\r\n"
    sent = conversation.feed(b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\ncp1 OK done\r\n")
    assert isinstance(sent, bytes)
    assert sent.startswith(b"a7 AUTHENTICATE PLAIN ")


def test_the_clients_tag_never_meets_ours() -> None:
    assert ImapLogin(b"cp1", ALICE, CLIENT, greeted=True).first == b"cp2 CAPABILITY\r\n"
    sent = ImapLogin(b"id1", ALICE, CLIENT).feed(DOVECOT)
    assert isinstance(sent, bytes)
    assert sent.startswith(b"id2 ID (")


@pytest.mark.parametrize(
    ("received", "complaint", "temporary"),
    [
        (b"* PREAUTH welcome\r\n", "PREAUTH", False),
        (b"* BYE too many connections\r\n", "too many connections", True),
        (b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\r\n", "without TLS", False),
        (DOVECOT + b"a7 NO [AUTHENTICATIONFAILED] no\r\n", "AUTHENTICATIONFAILED", False),
        (DOVECOT + b"a7 NO [UNAVAILABLE] later\r\n", "UNAVAILABLE", True),
        (DOVECOT + b"a7 BAD what\r\n", "BAD what", False),
        (DOVECOT + b"a8 OK hello\r\n", "no command of ours", False),
        (DOVECOT + b"* ID {10}\r\n", "a literal", False),
        (b"+OK POP3 ready\r\n", "no command of ours", False),
        (b"220 smtp.example.test ESMTP\r\n", "no command of ours", False),
        (b"* OK " + b"x" * 9000, "line of more than", False),
    ],
)
def test_whoever_answers_otherwise_is_not_logged_in_at(
    received: bytes, complaint: str, temporary: bool
) -> None:
    with pytest.raises(UpstreamLoginError, match=complaint) as caught:
        login(SIMPLE).feed(received)
    assert caught.value.temporary is temporary


def test_the_login_is_sent_once_whatever_an_upstream_repeats() -> None:
    conversation = login(SIMPLE)
    assert conversation.feed(DOVECOT)
    assert conversation.feed(DOVECOT + b"* CAPABILITY IMAP4rev1\r\n") == b""


@given(st.integers(1, 50))
def test_pieces_of_any_size_mean_the_same(size: int) -> None:
    received = DOVECOT + b"id1 OK\r\na7 OK [CAPABILITY IDLE] Logged in\r\n* 1 EXISTS\r\n"
    conversation = login(SIMPLE)
    outcome: bytes | LoggedIn = b""
    end = 0
    while not isinstance(outcome, LoggedIn):
        outcome = conversation.feed(received[end : end + size])
        end += size
    assert outcome.answer == b"a7 OK [CAPABILITY IDLE] Logged in\r\n"
    assert outcome.leftover + received[end:] == b"* 1 EXISTS\r\n"


@given(st.binary(max_size=300))
def test_any_octets_are_taken_or_refused(received: bytes) -> None:
    conversation = login(SIMPLE)
    try:
        conversation.feed(received)
    except UpstreamLoginError:
        return


@pytest.mark.parametrize(
    ("answer", "greeting"),
    [
        (b"OK [CAPABILITY IMAP4rev1 IDLE] Logged in", b"[CAPABILITY IMAP4rev1 IDLE] Logged in"),
        (b"OK [CAPABILITY IDLE]", b"[CAPABILITY IDLE] Logged in"),
    ],
)
def test_a_client_that_was_not_greeted_yet_is_greeted_as_logged_in(
    answer: bytes, greeting: bytes
) -> None:
    conversation = ImapLogin(b"", ADMIN, CLIENT)
    sent = conversation.feed(DOVECOT)
    assert isinstance(sent, bytes)
    tag = sent.splitlines()[-1].split()[0]
    assert conversation.feed(tag + b" " + answer + b"\r\n* 3 EX") == LoggedIn(
        b"* PREAUTH " + greeting + b"\r\n", b"* 3 EX"
    )


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_told_of_the_client_never_ends_the_command(address: str, session: str) -> None:
    client = ClientFacts(Peer(address, 1, "fe80::1%eth0\r\n", 993), session_id=session)
    sent = ImapLogin(b"a7", ALICE, client).feed(DOVECOT)
    assert isinstance(sent, bytes)
    assert len(sent.split(b"\r\n")) == 3
    assert sent.replace(b"\r\n", b"").decode("ascii").isprintable()
