from __future__ import annotations

from mailfront.backend.upstream.words import ImapWords, PopWords
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.backend import AuthenticatedSession
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.secret import Secret
from mailfront.protocol.upstream_login.login import ClientFacts, UpstreamCredentials
from tests.support.memory_transport import MemoryTransport

PEER = Peer("192.0.2.7", 40000, "198.51.100.1", 993)
ALICE = UpstreamCredentials("alice", Secret("s3cret"))


def session() -> AuthenticatedSession:
    identity = Identity("alice@example.test", frozenset({"alice@example.test"}), "LOGIN")
    return AuthenticatedSession(MemoryTransport(), identity, b"a7", b"", PEER, None, 60.0)


def test_imap_logs_in_under_the_clients_tag() -> None:
    login = ImapWords().login(session(), ALICE, ClientFacts(PEER), greeting=None)
    assert login.feed(b"* OK hello\r\n") == b'a7 LOGIN "alice" "s3cret"\r\n'


def test_pop_logs_in_with_user_and_pass() -> None:
    login = PopWords().login(session(), ALICE, ClientFacts(PEER), greeting=None)
    assert login.feed(b"+OK hello\r\n") == b"USER alice\r\n"


def test_a_mailbox_that_cannot_be_reached_is_no_wrong_password() -> None:
    refusal, farewell, end = ImapWords().unavailable(session()).split(b"\r\n")
    assert refusal.startswith(b"a7 NO [UNAVAILABLE] ")
    assert farewell.startswith(b"* BYE ")
    assert end == b""
    assert PopWords().unavailable(session()).startswith(b"-ERR [SYS/TEMP] ")


def test_every_word_is_one_line() -> None:
    for farewells in (ImapWords.farewells, PopWords.farewells):
        for word in (farewells.upstream_gone, farewells.idle, farewells.stopping, farewells.kicked):
            assert word.endswith(b"\r\n")
            assert word.count(b"\n") == 1
