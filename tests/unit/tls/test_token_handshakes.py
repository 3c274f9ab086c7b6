"""Handshakes in threads: the loop goes on, and nothing of the connection is lost."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable

import pytest

from mailfront.errors import TokenError
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
