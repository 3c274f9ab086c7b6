from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import UpstreamLoginError
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret
from mailfront.protocol.upstream_login.login import ClientFacts, LoggedIn, UpstreamCredentials
from mailfront.protocol.upstream_login.pop import PopLogin

CLIENT = ClientFacts(Peer("192.0.2.7", 40000, "198.51.100.1", 995))
ALICE = UpstreamCredentials("alice@example.test", Secret("pass wörd"))
ADMIN = UpstreamCredentials("front", Secret("s"), "alice@example.test")


def test_name_and_password_follow_one_after_the_other() -> None:
    conversation = PopLogin(ALICE, CLIENT)
    assert conversation.first == b""
    assert conversation.feed(b"+OK Dovecot ready.\r\n") == b"USER alice@example.test\r\n"
    assert conversation.feed(b"+OK\r\n") == "PASS pass wörd\r\n".encode()
    outcome = conversation.feed(b"+OK Logged in.\r\n+OK 2 320")
    assert outcome == LoggedIn(b"+OK Logged in.\r\n", b"+OK 2 320")


def test_a_front_end_that_is_trusted_tells_who_the_client_is() -> None:
    conversation = PopLogin(ALICE, CLIENT)
    assert conversation.feed(b"+OK [XCLIENT] Dovecot ready.\r\n") == (
        b"XCLIENT ADDR=192.0.2.7 PORT=40000 TTL=5\r\n"
    )
    assert conversation.feed(b"+OK Updated\r\n") == b"USER alice@example.test\r\n"


def test_an_administrator_logs_in_on_behalf_of_the_user() -> None:
    conversation = PopLogin(ADMIN, CLIENT)
    sent = conversation.feed(b"+OK ready\r\n")
    assert isinstance(sent, bytes)
    command, mechanism, message = sent.split()
    assert (command, mechanism) == (b"AUTH", b"PLAIN")
    assert base64.b64decode(message) == b"alice@example.test\0front\0s"
    assert isinstance(conversation.feed(b"+OK Logged in\r\n"), LoggedIn)


def test_a_message_too_long_for_a_command_waits_for_its_turn() -> None:
    long = UpstreamCredentials("front", Secret("s" * 250), "alice@example.test")
    conversation = PopLogin(long, CLIENT)
    assert conversation.feed(b"+OK ready\r\n") == b"AUTH PLAIN\r\n"
    assert conversation.feed(b"+ \r\n") == long.plain_message() + b"\r\n"


@pytest.mark.parametrize("password", ["x\r\nDELE 1", "nul\0", "line\n"])
def test_nothing_that_a_user_typed_is_ever_a_command(password: str) -> None:
    conversation = PopLogin(UpstreamCredentials("alice", Secret(password)), CLIENT)
    sent = conversation.feed(b"+OK ready\r\n")
    assert isinstance(sent, bytes)
    assert sent.startswith(b"AUTH PLAIN ")


def test_inside_tls_the_client_is_told_of_as_well() -> None:
    client = ClientFacts(CLIENT.peer, 3, "abc")
    conversation = PopLogin(ALICE, client, greeted=True, offers_xclient=True)
    assert conversation.first == b"XCLIENT ADDR=192.0.2.7 PORT=40000 TTL=3 SESSION=abc\r\n"
    assert conversation.feed(b"+OK Updated\r\n") == b"USER alice@example.test\r\n"


def test_an_access_token_goes_by_its_mechanism() -> None:
    token = UpstreamCredentials("alice", Secret("ey.x"), token_mechanism="OAUTHBEARER")
    sent = PopLogin(token, CLIENT).feed(b"+OK ready\r\n")
    assert isinstance(sent, bytes)
    command, mechanism, message = sent.split()
    assert (command, mechanism) == (b"AUTH", b"OAUTHBEARER")
    assert base64.b64decode(message) == b"n,a=alice,\x01auth=Bearer ey.x\x01\x01"


def test_inside_tls_there_is_no_second_greeting() -> None:
    assert PopLogin(ALICE, CLIENT, greeted=True).first == b"USER alice@example.test\r\n"


@pytest.mark.parametrize(
    ("received", "complaint", "temporary"),
    [
        (b"-ERR go away\r\n", "greets with -ERR go away", False),
        (b"* OK IMAP\r\n", "greets with", False),
        (b"+OKAY\r\n", "greets with", False),
        (b"-ERR [SYS/TEMP] later\r\n", "later", True),
        (b"+OK ready\r\n+OK again\r\n", "before its question", False),
    ],
)
def test_whoever_answers_otherwise_is_not_logged_in_at(
    received: bytes, complaint: str, temporary: bool
) -> None:
    with pytest.raises(UpstreamLoginError, match=complaint) as caught:
        PopLogin(ALICE, CLIENT).feed(received)
    assert caught.value.temporary is temporary


def test_a_mailbox_in_use_is_worth_another_try() -> None:
    conversation = PopLogin(ALICE, CLIENT)
    conversation.feed(b"+OK ready\r\n")
    conversation.feed(b"+OK\r\n")
    with pytest.raises(UpstreamLoginError) as caught:
        conversation.feed(b"-ERR [IN-USE] locked\r\n")
    assert caught.value.temporary


@given(st.binary(max_size=300))
def test_any_octets_are_taken_or_refused(received: bytes) -> None:
    conversation = PopLogin(ALICE, CLIENT)
    try:
        conversation.feed(received)
    except UpstreamLoginError:
        return


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_is_told_of_the_client_never_ends_the_command(address: str, session: str) -> None:
    client = ClientFacts(Peer(address, 1, "198.51.100.1", 995), session_id=session)
    sent = PopLogin(ALICE, client).feed(b"+OK [XCLIENT] ready\r\n")
    assert isinstance(sent, bytes)
    assert sent.endswith(b"\r\n")
    assert sent[:-2].decode("ascii").isprintable()
    names = [word.partition(b"=")[0] for word in sent.split()[1:]]
    assert [name for name in names if name not in (b"ADDR", b"SESSION")] == [b"PORT", b"TTL"]
