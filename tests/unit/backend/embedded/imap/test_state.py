"""What a command works with: its output goes out in pieces."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mailfront.backend.client_stream import ClientStream
from mailfront.backend.embedded.imap.state import CHUNK, Session
from mailfront.backend.embedded.imap.view import View
from mailfront.errors import MailboxError
from mailfront.interfaces.tasks import start_task
from mailfront.store.mail_store import MailStore
from tests.support.imap_session import USER
from tests.support.memory_transport import MemoryTransport


@pytest.fixture
def transport() -> MemoryTransport:
    return MemoryTransport()


@pytest.fixture
async def state(store: MailStore, transport: MemoryTransport) -> Session:
    return Session(ClientStream(transport, b"", 5), store, store.account(USER), 1000)


async def select(state: Session) -> None:
    state.view = View(await state.open("INBOX"), read_only=True)


async def test_small_output_waits_for_the_flush(state: Session, transport: MemoryTransport) -> None:
    state.write(b"a")
    await state.send(b"b")
    assert transport.take() == b""
    await state.flush()
    assert transport.take() == b"ab"


async def test_much_output_waits_for_the_client(state: Session, transport: MemoryTransport) -> None:
    transport.protocol.pause_writing()
    sending = start_task(state.send(b"x" * CHUNK), name="sending")
    await asyncio.sleep(0)
    assert not sending.done()
    transport.protocol.resume_writing()
    await sending


async def test_a_missing_mailbox_may_be_created_before_messages_go_there(state: Session) -> None:
    with pytest.raises(MailboxError) as refused:
        await state.open("nowhere")
    assert refused.value.code == "NONEXISTENT"
    with pytest.raises(MailboxError) as refused:
        await state.open("nowhere", for_messages=True)
    assert refused.value.code == "TRYCREATE"


async def test_a_cancelled_command_waits_for_the_work_on_the_disk(state: Session) -> None:
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        may_end.wait(5)
        ended.set()

    running = start_task(state.run(work), name="running")
    while not begun.is_set():
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.sleep(0)
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


async def test_few_messages_are_worked_on_at_once(state: Session) -> None:
    await select(state)
    assert await state.perform(1, threading.get_ident) == threading.get_ident()
    assert await state.perform(1000, threading.get_ident) != threading.get_ident()


async def test_nothing_is_waited_for_on_the_loop_while_a_thread_is_at_work(state: Session) -> None:
    await select(state)
    begun, may_end = threading.Event(), threading.Event()

    def work() -> None:
        with state.selected.mailbox.held():
            begun.set()
            may_end.wait(20)

    working = start_task(state.run(work), name="working")
    await asyncio.to_thread(begun.wait, 20)
    here = threading.get_ident()
    assert await state.perform(1, threading.get_ident) != here
    mailbox = state.selected.mailbox
    await mailbox.refresh()
    mailbox.unwatch(mailbox.watch())
    assert list(mailbox.claim_recent()) == []
    assert list(mailbox.records([1])) == []
    assert (len(mailbox.status()), mailbox.keywords) == (8, ())
    may_end.set()
    await working
