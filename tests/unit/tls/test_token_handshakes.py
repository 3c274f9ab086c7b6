"""Handshakes in threads: the loop goes on, and nothing of the connection is lost."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from collections.abc import Callable
from functools import partial

import pytest

from mailfront.errors import TokenError
from mailfront.protocol.tls_probe.code_points import TLS13, X25519
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls import token_handshakes
from mailfront.tls.context import build_server_context
from mailfront.tls.policy import policy_named
from mailfront.tls.token_handshakes import THREADS, SigningThreads, TokenRecords
from tests.support.authority import self_signed
from tests.support.memory_tls import client_context

DEADLINE = 30.0


@pytest.fixture(scope="module")
def context() -> ssl.SSLContext:
    made = build_server_context(
        [self_signed("imap-cert")], policy_named("intermediate"), alpn=(), tickets=False
    )
    return made.ssl_context


class Client:
    """The other side, between two BIOs."""

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client_context().wrap_bio(self.incoming, self.outgoing)

    def step(self) -> bool:
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True


def records(context: ssl.SSLContext, went_on: asyncio.Event) -> TokenRecords:
    def ask(tls: ssl.SSLObject) -> None:
        assert tls.server_side

    return TokenRecords(context, ask, went_on.set, asyncio.get_running_loop())


async def taken(server: TokenRecords, went_on: asyncio.Event) -> bool:
    """Take a step and wait for its end."""
    went_on.clear()
    if server.handshake():
        return True
    assert server.busy
    async with asyncio.timeout(DEADLINE):
        await went_on.wait()
    return server.handshake()


async def test_a_handshake_is_finished_step_by_step_and_then_is_like_any_other(
    context: ssl.SSLContext,
) -> None:
    went_on = asyncio.Event()
    server, client = records(context, went_on), Client()
    assert not client.step()
    server.incoming.write(client.outgoing.read())
    assert not await taken(server, went_on)
    client.incoming.write(server.outgoing.read())
    assert client.step()
    client.tls.write(b"at once behind the handshake")
    server.incoming.write(client.outgoing.read())
    assert await taken(server, went_on)
    assert server.decrypt() == b"at once behind the handshake"
    server.tls.write(b"and back")
    client.incoming.write(server.outgoing.read())
    assert client.tls.read(100) == b"and back"


async def test_what_arrives_during_a_step_waits_for_the_next(context: ssl.SSLContext) -> None:
    went_on = asyncio.Event()
    server, client = records(context, went_on), Client()
    client.step()
    hello = client.outgoing.read()
    server.incoming.write(hello[:50])
    server.handshake()
    server.incoming.write(hello[50:])
    async with asyncio.timeout(DEADLINE):
        await went_on.wait()
    assert not await taken(server, went_on)
    client.incoming.write(server.outgoing.read())
    assert client.step()


async def test_a_failure_is_raised_and_its_alert_is_there_to_be_sent(
    context: ssl.SSLContext,
) -> None:
    went_on = asyncio.Event()
    server = records(context, went_on)
    server.incoming.write(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00")
    with pytest.raises(ssl.SSLError):
        await taken(server, went_on)
    assert server.outgoing.read().startswith(b"\x15\x03")
    with pytest.raises(ssl.SSLError):
        server.handshake()


@pytest.mark.parametrize(
    ("reason", "ours"), [("", True), ("EVP_LIB", True), ("NO_SHARED_CIPHER", False)]
)
def test_the_peers_faults_are_told_from_those_of_a_token(reason: str, ours: bool) -> None:
    failure = ssl.SSLError(1, "x")
    failure.reason = reason
    assert token_handshakes._is_ours(failure) is ours


class SlowToken:
    """Signs for nobody until it is released; counts for how many it was to sign."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads = SigningThreads()
        self.asked = 0
        self.begun = threading.Semaphore(0)
        self.release = threading.Event()
        self.context = build_server_context(
            [self_signed("imap-cert")], policy_named("intermediate"), alpn=(), tickets=False
        ).ssl_context
        self.context.sni_callback = self._sign
        monkeypatch.setattr(token_handshakes, "signing_threads", lambda: self.threads)

    def _sign(self, *_: object) -> None:
        self.asked += 1
        self.begun.release()
        self.release.wait(DEADLINE)

    def asked_for(self, went_on: asyncio.Event) -> tuple[TokenRecords, Client]:
        """A handshake that needs a signature."""
        server, client = records(self.context, went_on), Client()
        client.step()
        server.incoming.write(client.outgoing.read())
        assert not server.handshake()
        return server, client

    def occupied(self) -> list[TokenRecords]:
        """Keep all threads busy."""
        busy = [self.asked_for(asyncio.Event())[0] for _ in range(THREADS)]
        assert all(self.begun.acquire(timeout=DEADLINE) for _ in busy)
        return busy


async def test_a_token_signs_for_none_of_1600_that_are_gone_but_for_the_one_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = SlowToken(monkeypatch)
    busy = token.occupied()
    assert all(each.at_token for each in busy)
    gone, went_on = asyncio.Event(), asyncio.Event()
    before = [token.asked_for(gone)[0] for _ in range(800)]
    live, client = token.asked_for(went_on)
    after = [token.asked_for(gone)[0] for _ in range(800)]
    assert not live.at_token
    for each in (*busy, *before, *after):
        each.abandon()
    # What waits, and so what it keeps in memory, is what lives.
    assert token.threads.waiting == 1
    token.release.set()
    async with asyncio.timeout(DEADLINE):
        await went_on.wait()
    assert not live.handshake()
    client.incoming.write(live.outgoing.read())
    assert client.step()
    live.incoming.write(client.outgoing.read())
    assert await taken(live, went_on)
    assert token.asked == THREADS + 1
    assert not gone.is_set()


async def test_what_was_abandoned_takes_no_step_and_tells_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token, went_on = SlowToken(monkeypatch), asyncio.Event()
    token.release.set()
    server = records(token.context, went_on)
    server.abandon()
    server._step()
    server._step_done(finished=True, failure=None)
    server.incoming.write(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00")
    assert not server.handshake()
    assert (token.asked, server.busy, went_on.is_set()) == (0, False, False)


@pytest.mark.parametrize("shares", [((X25519, os.urandom(32)),), ()], ids=["answer", "retry"])
async def test_a_handshake_goes_before_others_once_it_was_answered(
    context: ssl.SSLContext, shares: tuple[tuple[int, bytes], ...]
) -> None:
    went_on = asyncio.Event()
    server = records(context, went_on)
    server.incoming.write(Offer(TLS13, groups=(X25519,), key_shares=shares).record())
    assert not await taken(server, went_on)
    assert server._answered is bool(shares)


def test_the_last_of_the_patient_comes_first_and_all_others_before_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(token_handshakes, "THREADS", 1)
    threads = SigningThreads()
    release, begun = held(threads, 1)
    assert begun.acquire(timeout=DEADLINE)
    order: list[str] = []
    done = threading.Event()
    threads.submit(done.set, patient=True)
    numbers = [threads.submit(partial(order.append, name), patient=True) for name in "abc"]
    for name in "de":
        threads.submit(partial(order.append, name))
    for _ in range(2):
        threads.withdraw(numbers[1])
    assert threads.waiting == 5
    release.set()
    assert done.wait(DEADLINE)
    assert order == ["d", "e", "c", "a"]


def held(threads: SigningThreads, number: int) -> tuple[threading.Event, threading.Semaphore]:
    """Steps that wait for the event; the semaphore counts those that have begun."""
    release, begun = threading.Event(), threading.Semaphore(0)

    def step() -> None:
        begun.release()
        release.wait(DEADLINE)

    for _ in range(number):
        threads.submit(step)
    return release, begun


def test_so_many_steps_are_taken_at_once_and_no_more() -> None:
    threads = SigningThreads()
    release, begun = held(threads, THREADS + 3)
    assert all(begun.acquire(timeout=DEADLINE) for _ in range(THREADS))
    assert not begun.acquire(timeout=0.1)
    release.set()
    assert all(begun.acquire(timeout=DEADLINE) for _ in range(3))


def test_a_step_that_fails_ends_no_thread() -> None:
    threads = SigningThreads()
    done = threading.Event()

    def fail() -> None:
        raise ValueError

    steps: list[Callable[[], None]] = [fail] * (THREADS * 2)
    for step in (*steps, done.set):
        threads.submit(step)
    assert done.wait(DEADLINE)


def test_a_module_is_renewed_only_while_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_handshakes, "_PATIENCE", 0.05)
    threads = SigningThreads()
    release, begun = held(threads, 1)
    assert begun.acquire(timeout=DEADLINE)
    with pytest.raises(TokenError, match="still busy"):
        threads.alone(lambda: None)
    release.set()
    monkeypatch.setattr(token_handshakes, "_PATIENCE", DEADLINE)
    called = threading.Event()
    threads.alone(called.set)
    assert called.is_set()


def test_the_end_of_the_process_waits_for_a_signature_but_not_forever() -> None:
    threads = SigningThreads()
    threads.finish(0)
    release, begun = held(threads, 1)
    assert begun.acquire(timeout=DEADLINE)
    threads.finish(0.05)
    release.set()
    threads.finish(DEADLINE)
    threads.alone(lambda: None)


def test_a_suspicion_is_told_once() -> None:
    threads = SigningThreads()
    assert not threads.were_suspected()
    threads.suspect()
    assert threads.were_suspected()
    assert not threads.were_suspected()
