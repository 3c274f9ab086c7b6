"""The shell of the IMAP and POP3 fronts, over a transport in memory."""

from __future__ import annotations

import asyncio
import base64
import gc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import pytest

from mailfront.errors import PeerGoneError, ServerStoppingError
from mailfront.front.connection import FrontConnection
from mailfront.front.imap.state import ImapFront
from mailfront.front.login_policy import LoginPolicy
from mailfront.interfaces.authenticator import Identity, LoginClient, Refusal
from mailfront.interfaces.backend import AuthenticatedSession
from mailfront.interfaces.client_certificate import CertificateFault, ClientCertificate
from mailfront.interfaces.credentials import (
    Credentials,
    PasswordCredentials,
    ScramCredentials,
    ScramVerifier,
)
from mailfront.interfaces.peer import Peer, TlsFacts
from mailfront.protocol import sasl
from tests.support.login_dialogue import WRONG, front_settings
from tests.support.memory_transport import MemoryTransport
from tests.support.scram_client import ScramClient, verifier_of

TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", 256, resumed=False, nickname="imap-cert")
ALICE = Identity("alice@example.test", frozenset({"alice@example.test"}), "LOGIN")


@dataclass
class Record:
    user: str = ""
    method: str = ""
    reason: str = ""

    def end(self, reason: str) -> None:
        self.reason = self.reason or reason


class ClientTransport(MemoryTransport):
    """A client's connection; the handshake waits for the test to finish it."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = Peer("192.0.2.7", 40000, "192.0.2.1", 143)
        self.record = Record()
        self.tls_facts: TlsFacts | None = None
        self.handshake: Callable[[TlsFacts], None] | None = None

    def channel_binding(self, kind: str) -> bytes | None:
        return kind.encode()

    def start_tls(self, on_done: Callable[[TlsFacts], None]) -> None:
        self.handshake = on_done


class Users:
    """Answers each login when the test says so: `right`, any other refusal, or an exception."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[Identity | Refusal]] = []
        self.logins: list[str] = []

    async def authenticate(
        self, client: LoginClient, credentials: Credentials
    ) -> Identity | Refusal:
        if isinstance(credentials, PasswordCredentials | ScramCredentials):
            self.logins.append(credentials.login)
        return await self._answer()

    async def scram_verifier(self, client: LoginClient, login: str) -> ScramVerifier | Refusal:
        return verifier_of("secret")

    async def certificate_holder(self, client: LoginClient) -> Identity | Refusal:
        assert client.method == "PREAUTH"
        return await self._answer()

    def accepts_certificate(self, client: LoginClient) -> bool:
        return client.certificate is not None and client.certificate.verified

    async def _answer(self) -> Identity | Refusal:
        self.waiting.append(asyncio.get_running_loop().create_future())
        return await self.waiting[-1]

    def answer(self, outcome: Identity | Refusal | Exception) -> None:
        waiting = self.waiting.pop(0)
        if isinstance(outcome, Exception):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)


class RecordingBackend:
    """Serves until the test lets it end with `result`."""

    def __init__(self) -> None:
        self.sessions: list[AuthenticatedSession] = []
        self.result: asyncio.Future[str | Exception] = asyncio.get_running_loop().create_future()

    async def serve(self, session: AuthenticatedSession) -> str:
        self.sessions.append(session)
        session.transport.set_protocol(asyncio.Protocol())
        result = await self.result
        if isinstance(result, Exception):
            # A new one: what the test holds must not hold the frames that it passes through.
            raise type(result)(*result.args)
        return result


class ConnectingBackend:
    """Is still on its way to where the session goes on."""

    def __init__(self) -> None:
        self.cancelled = False

    async def serve(self, session: AuthenticatedSession) -> str:
        session.transport.pause_reading()
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return ""


class Conversation:
    """One connection to an IMAP front, its users and its backend."""

    def __init__(
        self,
        *,
        secure: bool = True,
        login_timeout: float = 60,
        tls: TlsFacts = TLS,
        login: LoginPolicy | None = None,
    ) -> None:
        self.users = Users()
        self.backend = RecordingBackend()
        self.counters: Counter[str] = Counter()
        self.transport = ClientTransport()
        self.transport.tls_facts = tls if secure else None
        settings = replace(front_settings(login=login), login_timeout=login_timeout)
        # Bound to the counters alone: this object must not be held by the connection it watches.
        count = partial(_count, self.counters)
        self.front = FrontConnection(
            "imap", ImapFront(settings, secure=secure), settings, self.users, self.backend, count
        )
        self.transport.set_protocol(self.front)
        self.front.connection_made(self.transport)
        self.greeting = self.transport.take()

    def is_read(self) -> bool:
        return self.transport.reading

    async def say(self, *lines: str) -> bytes:
        self.front.data_received("".join(f"{line}\r\n" for line in lines).encode())
        return await self.replies()

    async def replies(self) -> bytes:
        for _ in range(10):
            await asyncio.sleep(0)
        return self.transport.take()


def _count(counters: Counter[str], name: str) -> None:
    counters[name] += 1


@contextmanager
def without_garbage_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def test_a_granted_login_goes_to_the_backend_with_everything_known() -> None:
    client = Conversation()
    client.transport.tls_facts = TLS
    await client.say("a LOGIN alice secret", "b SELECT INBOX")
    assert not client.is_read()
    client.users.answer(ALICE)
    assert await client.replies() == b""
    [session] = client.backend.sessions
    assert (session.tag, session.leftover) == (b"a", b"b SELECT INBOX\r\n")
    assert (session.identity, session.tls) == (ALICE, TLS)
    assert session.idle_timeout == 1800
    assert client.is_read()
    client.backend.result.set_result("logout")
    await client.replies()
    assert client.transport.is_closing()
    assert client.transport.record == Record("alice@example.test", "LOGIN", "logout")
    assert client.counters == {"imap.logins": 1}


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (PeerGoneError("gone"), "gone"),
        (TimeoutError(), "idle time-out"),
        (ServerStoppingError("stopping"), "server stopping"),
        (ValueError("private"), "internal error"),
    ],
)
async def test_a_session_that_fails_is_closed_with_its_reason(
    failure: Exception, reason: str
) -> None:
    client = Conversation()
    await client.say("a LOGIN alice secret")
    client.users.answer(ALICE)
    await client.replies()
    client.backend.result.set_result(failure)
    await client.replies()
    assert client.transport.is_closing()
    assert client.transport.record.reason == reason


async def test_while_a_login_is_judged_the_client_waits_in_the_kernel() -> None:
    client = Conversation()
    assert await client.say("a LOGIN alice secret", "b NOOP") == b""
    assert not client.is_read()
    client.users.answer(WRONG)
    answer = await client.replies()
    assert answer.splitlines()[0].startswith(b"a NO [AUTHENTICATIONFAILED]")
    assert answer.splitlines()[1:] == [b"b OK Noop completed"]
    assert client.is_read()
    assert client.counters == {"imap.logins_refused": 1}


async def test_a_login_pipelined_behind_a_refused_one_is_judged_once_and_tracked() -> None:
    client = Conversation()
    await client.say("a LOGIN alice wrong", "b LOGIN bob secret")
    client.users.answer(WRONG)
    await client.replies()
    assert client.users.logins == ["alice", "bob"]
    assert not client.is_read()
    [waiting] = client.users.waiting
    client.transport.hang_up()
    await client.replies()
    assert waiting.cancelled()


async def test_a_fault_of_the_authenticator_is_a_temporary_refusal(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Conversation()
    await client.say("a LOGIN alice secret")
    client.users.answer(ValueError("private"))
    assert b"a NO [UNAVAILABLE]" in await client.replies()
    assert "could not be judged" in caplog.text
    assert client.is_read()


async def test_a_client_that_does_not_log_in_is_told_and_dropped() -> None:
    client = Conversation(login_timeout=0)
    assert b"* BYE Too long without a login" in await client.replies()
    assert client.transport.record.reason == "login time-out"


async def test_a_refusal_after_the_deadline_is_the_last_word() -> None:
    client = Conversation(login_timeout=0)
    await client.say("a LOGIN alice wrong")
    assert not client.transport.is_closing()
    client.users.answer(WRONG)
    answer = await client.replies()
    assert [line[:5] for line in answer.splitlines()] == [b"a NO ", b"* BYE"]
    assert client.transport.record.reason == "login time-out"


async def test_a_login_granted_after_the_deadline_is_granted() -> None:
    client = Conversation(login_timeout=0)
    await client.say("a LOGIN alice secret")
    client.users.answer(ALICE)
    await client.replies()
    assert len(client.backend.sessions) == 1


@pytest.mark.parametrize("outcome", [ALICE, WRONG])
async def test_a_stopping_server_begins_no_session(outcome: Identity | Refusal) -> None:
    client = Conversation()
    await client.say("a LOGIN alice secret")
    client.front.stop()
    client.users.answer(outcome)
    assert b"* BYE Server is shutting down" in await client.replies()
    assert client.backend.sessions == []
    assert client.transport.record.reason == "server stopping"


async def test_a_stopping_server_ends_a_conversation_that_waits() -> None:
    client = Conversation()
    client.front.stop()
    assert await client.replies() == b"* BYE Server is shutting down\r\n"
    assert client.transport.is_closing()


async def test_a_stopping_server_ends_a_session_whose_backend_still_connects() -> None:
    client = Conversation()
    backend = client.front._backend = ConnectingBackend()
    await client.say("a LOGIN alice secret")
    client.users.answer(ALICE)
    assert await client.replies() == b""
    client.front.stop()
    client.front.stop()
    assert await client.replies() == b"* BYE Server is shutting down\r\n"
    assert backend.cancelled
    assert client.transport.is_closing()
    assert client.transport.record.reason == "server stopping"


async def test_a_session_that_its_backend_has_taken_over_is_not_ended_by_the_front() -> None:
    client = Conversation()
    await client.say("a LOGIN alice secret")
    client.users.answer(ALICE)
    await client.replies()
    client.front.stop()
    assert await client.replies() == b""
    assert not client.transport.is_closing()


async def test_the_upgrade_begins_after_its_reply_and_forgets() -> None:
    client = Conversation(secure=False)
    assert await client.say("a STARTTLS") == b"a OK Begin TLS negotiation now\r\n"
    assert client.transport.handshake is not None
    client.transport.tls_facts = TLS
    client.transport.handshake(TLS)
    assert b"AUTH=PLAIN" in await client.say("b CAPABILITY")


async def test_an_attack_is_counted_and_logged_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Conversation(secure=False)
    assert await client.say("a STARTTLS", "b LOGIN alice hunter2") == b""
    assert client.counters == {"imap.starttls_injection": 1}
    assert "192.0.2.7:40000" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_client_that_goes_away_while_its_login_is_judged_leaves_nothing() -> None:
    client = Conversation()
    await client.say("a LOGIN alice secret")
    client.transport.hang_up()
    await client.replies()
    assert client.backend.sessions == []
    assert client.counters == {}


@pytest.mark.parametrize("lines", [[], ["a LOGIN alice wrong"], ["a AUTHENTICATE PLAIN"]])
async def test_an_ended_connection_is_freed_without_the_garbage_collector(
    lines: list[str],
) -> None:
    with without_garbage_collector():
        client = Conversation()
        await client.say(*lines)
        for _ in client.users.waiting[:]:
            client.users.answer(WRONG)
        await client.replies()
        client.transport.hang_up()
        parts: list[object] = [client.front, client.front._state]
        freed = [weakref.ref(part) for part in parts]
        del client, parts
        await asyncio.sleep(0)
        assert [reference() for reference in freed] == [None, None]


@pytest.mark.parametrize("result", ["logout", PeerGoneError("gone")])
async def test_an_ended_session_frees_its_front_without_the_garbage_collector(
    result: str | Exception,
) -> None:
    with without_garbage_collector():
        client = Conversation()
        await client.say("a LOGIN alice secret")
        client.users.answer(ALICE)
        await client.replies()
        client.backend.result.set_result(result)
        await client.replies()
        client.transport.hang_up()
        freed = weakref.ref(client.front)
        del client
        await asyncio.sleep(0)
        assert freed() is None


CERTIFIED = replace(TLS, client_certificate=ClientCertificate(b"leaf"))
PREAUTHENTICATED = LoginPolicy(preauthenticated=True)


async def test_a_certificate_may_log_in_before_the_greeting() -> None:
    client = Conversation(tls=CERTIFIED, login=PREAUTHENTICATED)
    assert client.greeting == b""
    assert not client.is_read()
    await client.replies()
    client.users.answer(replace(ALICE, method="PREAUTH", by_certificate=True))
    await client.replies()
    [session] = client.backend.sessions
    assert (session.tag, session.password) == (b"", None)
    assert client.transport.record.method == "PREAUTH"


async def test_a_certificate_that_maps_to_nobody_is_greeted_and_no_failed_login() -> None:
    client = Conversation(tls=CERTIFIED, login=PREAUTHENTICATED)
    await client.replies()
    client.users.answer(Refusal("Not yours", "no entry"))
    greeting = await client.replies()
    assert greeting.startswith(b"* OK [CAPABILITY ")
    assert b"AUTH=EXTERNAL" in greeting
    assert client.is_read()
    assert client.counters == {}


@pytest.mark.parametrize(
    "certificate", [None, ClientCertificate(b"leaf", fault=CertificateFault.EXPIRED)]
)
async def test_without_a_good_certificate_external_is_neither_offered_nor_taken(
    certificate: ClientCertificate | None,
) -> None:
    tls = replace(TLS, client_certificate=certificate)
    client = Conversation(tls=tls, login=PREAUTHENTICATED)
    assert b"AUTH=EXTERNAL" not in client.greeting
    assert b"a NO [CANNOT]" in await client.say("a AUTHENTICATE EXTERNAL =")


async def test_external_on_a_connection_that_became_tls() -> None:
    client = Conversation(secure=False, login=PREAUTHENTICATED)
    assert client.greeting.startswith(b"* OK")
    await client.say("a STARTTLS")
    assert client.transport.handshake is not None
    client.transport.tls_facts = CERTIFIED
    client.transport.handshake(CERTIFIED)
    assert b"AUTH=EXTERNAL" in await client.say("b CAPABILITY")
    await client.say("c AUTHENTICATE EXTERNAL =")
    client.users.answer(replace(ALICE, by_certificate=True))
    await client.replies()
    assert client.backend.sessions[0].tag == b"c"


@pytest.mark.parametrize(
    ("identity", "handed_on"),
    [
        (ALICE, True),
        (replace(ALICE, acting="admin@example.test"), False),
        (replace(ALICE, by_certificate=True), False),
    ],
)
async def test_only_the_users_own_password_goes_to_the_backend(
    identity: Identity, handed_on: bool
) -> None:
    client = Conversation()
    await client.say("a LOGIN alice secret")
    client.users.answer(identity)
    await client.replies()
    assert (client.backend.sessions[0].password is not None) is handed_on


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
async def test_scram_ends_in_a_session_once_the_client_has_heard_the_servers_proof(
    version: str,
) -> None:
    login = LoginPolicy(mechanisms=sasl.MECHANISMS)
    client = Conversation(tls=replace(TLS, version=version), login=login)
    plus = version == "TLSv1.3"
    assert (b"AUTH=SCRAM-SHA-256-PLUS" in client.greeting) is plus
    kind = "tls-exporter" if plus else ""
    # A client that can bind and is not offered it says so.
    scram = ScramClient("alice", "secret", kind, kind.encode(), flag="" if plus else "y")
    name = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
    first = base64.b64encode(scram.first()).decode()
    challenge = await client.say(f"a AUTHENTICATE {name} {first}")
    last = scram.last(base64.b64decode(challenge[2:]))
    assert await client.say(base64.b64encode(last).decode()) == b""
    client.users.answer(replace(ALICE, method=name))
    proof = await client.replies()
    assert scram.is_server(base64.b64decode(proof[2:]))
    assert client.backend.sessions == []
    await client.say("", "b SELECT INBOX")
    [session] = client.backend.sessions
    assert (session.tag, session.leftover, session.password) == (b"a", b"b SELECT INBOX\r\n", None)
    assert client.is_read()


async def test_who_takes_plus_out_of_our_list_is_found_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Conversation(login=LoginPolicy(mechanisms=sasl.MECHANISMS))
    first = base64.b64encode(ScramClient("alice", "secret", flag="y").first()).decode()
    answer = await client.say(f"a AUTHENTICATE SCRAM-SHA-256 {first}")
    assert answer.startswith(b"a NO [AUTHENTICATIONFAILED]")
    assert client.counters == {"imap.scram_downgrade": 1}
    assert "PLUS" in caplog.text
