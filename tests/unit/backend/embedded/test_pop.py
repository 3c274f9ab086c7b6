from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from mailfront.backend.embedded.pop import EmbeddedPop
from mailfront.errors import PeerGoneError, ServerStoppingError
from mailfront.interfaces.authenticator import Identity
from mailfront.interfaces.backend import AuthenticatedSession
from mailfront.interfaces.peer import Peer
from mailfront.interfaces.tasks import start_task
from mailfront.store.flags import FlagSet
from mailfront.store.mail_store import MailStore
from tests.support.memory_transport import MemoryTransport

ALICE = "alice@example.test"
DEADLINE = 20.0
LETTER = b"Subject: %d\r\n\r\n.dot\r\nbody\r\n"


class PopClient:
    def __init__(self, store: MailStore, leftover: bytes = b"", idle_timeout: float = 60) -> None:
        self.transport = MemoryTransport()
        session = AuthenticatedSession(
            self.transport,
            Identity(ALICE, frozenset({ALICE}), "PLAIN"),
            b"",
            leftover,
            Peer("127.0.0.1", 1, "127.0.0.1", 995),
            None,
            idle_timeout,
        )
        self.task = start_task(EmbeddedPop(store).serve(session), name="pop")
        self._received = b""

    async def until(self, end: bytes) -> bytes:
        async with asyncio.timeout(DEADLINE):
            while end not in self._received:
                more = start_task(self.transport.more(), name="more")
                await asyncio.wait({more, self.task}, return_when=asyncio.FIRST_COMPLETED)
                more.cancel()
                self._received += self.transport.take()
                assert end in self._received or not self.task.done(), self._received
        found, _, self._received = self._received.partition(end)
        return found + end

    async def line(self) -> bytes:
        return await self.until(b"\r\n")

    async def ask(self, command: bytes) -> bytes:
        self.transport.feed(command + b"\r\n")
        return await self.line()

    async def ask_many(self, command: bytes) -> bytes:
        assert (await self.ask(command)).startswith(b"+OK")
        return await self.until(b"\r\n.\r\n")

    async def end(self) -> str:
        async with asyncio.timeout(DEADLINE):
            return await asyncio.shield(self.task)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[MailStore]:
    store = MailStore(tmp_path / "store")
    for number in (1, 2, 3):
        store.deliver([ALICE], [LETTER % number])
    yield store
    store.close()


@asynccontextmanager
async def session(store: MailStore, leftover: bytes = b"") -> AsyncIterator[PopClient]:
    client = PopClient(store, leftover)
    yield client
    if not client.task.done():
        client.transport.hang_up()
        await asyncio.wait({client.task})


@pytest.fixture
async def client(store: MailStore) -> AsyncIterator[PopClient]:
    async with session(store) as client:
        assert (await client.line()).startswith(b"+OK 3 messages (")
        yield client


def uids(store: MailStore) -> list[int]:
    with store.account(ALICE).opened("INBOX") as inbox:
        return list(inbox.uids())


async def test_a_message_is_sent_dot_stuffed_and_as_it_was_stored(client: PopClient) -> None:
    assert await client.ask(b"RETR 2") == b"+OK %d octets\r\n" % len(LETTER % 2)
    assert await client.until(b"\r\n.\r\n") == b"Subject: 2\r\n\r\n..dot\r\nbody\r\n.\r\n"
    assert await client.ask_many(b"TOP 2 1") == b"Subject: 2\r\n\r\n..dot\r\n.\r\n"


async def test_deletions_are_applied_at_quit(store: MailStore, client: PopClient) -> None:
    await client.ask(b"DELE 1")
    await client.ask(b"DELE 3")
    assert uids(store) == [1, 2, 3]
    assert (await client.ask(b"QUIT")).startswith(b"+OK")
    assert await client.end() == "logout"
    assert uids(store) == [2]


async def test_deletions_are_forgotten_when_the_client_hangs_up(
    store: MailStore, client: PopClient
) -> None:
    await client.ask(b"DELE 1")
    client.transport.hang_up()
    with pytest.raises(PeerGoneError):
        await client.end()
    assert uids(store) == [1, 2, 3]


async def test_a_second_session_is_refused_until_the_first_has_ended(
    store: MailStore, client: PopClient
) -> None:
    async with session(store) as second:
        assert (await second.line()).startswith(b"-ERR [IN-USE] ")
        assert await second.end() == "mailbox in use"
    await client.ask(b"QUIT")
    await client.end()
    async with session(store) as third:
        assert (await third.line()).startswith(b"+OK")


async def test_a_message_expunged_meanwhile_is_refused_alone(
    store: MailStore, client: PopClient
) -> None:
    with store.account(ALICE).opened("INBOX") as inbox:
        inbox.expunge([1])
    assert (await client.ask(b"RETR 1")).startswith(b"-ERR ")
    assert (await client.ask(b"RETR 2")).startswith(b"+OK")
    await client.until(b"\r\n.\r\n")
    await client.ask(b"DELE 1")
    assert (await client.ask(b"QUIT")).startswith(b"+OK")
    assert uids(store) == [2, 3]


async def test_unique_ids_are_stable_and_belong_to_one_message(
    store: MailStore, client: PopClient
) -> None:
    before = (await client.ask_many(b"UIDL")).splitlines()[:-1]
    assert len({line.split()[1] for line in before}) == 3
    await client.ask(b"DELE 1")
    await client.ask(b"QUIT")
    await client.end()
    store.deliver([ALICE], [LETTER % 4])
    async with session(store) as again:
        await again.line()
        after = (await again.ask_many(b"UIDL")).splitlines()[:-1]
    assert [line.split()[1] for line in after[:2]] == [line.split()[1] for line in before[1:]]
    assert after[2].split()[1] not in {line.split()[1] for line in before}


async def test_what_was_retrieved_is_seen_by_imap(store: MailStore, client: PopClient) -> None:
    await client.ask_many(b"RETR 2")
    await client.ask_many(b"TOP 3 0")
    await client.ask(b"QUIT")
    await client.end()
    with store.account(ALICE).opened("INBOX") as inbox:
        seen = [record.uid for record in inbox.records(inbox.uids()) if record.flags.system]
    assert seen == [2]


async def test_pipelined_commands_are_answered_in_order(store: MailStore) -> None:
    async with session(store, b"STAT\r\nNOOP\r\nUIDL 1\r\nQUIT\r\n") as client:
        assert (await client.line()).startswith(b"+OK 3 messages")
        assert (await client.line()).startswith(b"+OK 3 ")
        assert await client.line() == b"+OK\r\n"
        assert (await client.line()).startswith(b"+OK 1 ")
        assert (await client.line()).startswith(b"+OK goodbye")
        assert await client.end() == "logout"


async def test_a_large_message_waits_for_a_slow_client(store: MailStore) -> None:
    store.account(ALICE).deliver([b"x" * 500_000, b"\r\n"])
    async with session(store) as client:
        await client.line()
        client.transport.protocol.pause_writing()
        client.transport.feed(b"RETR 4\r\n")
        await client.line()
        await asyncio.sleep(0.05)
        sent = len(client._received) + len(client.transport.take())
        assert sent <= 2 * 65536
        client.transport.protocol.resume_writing()
        await client.until(b"x\r\n.\r\n")


async def test_twenty_bad_commands_end_the_session(client: PopClient) -> None:
    for _ in range(19):
        assert (await client.ask(b"XYZZY")).startswith(b"-ERR")
    client.transport.feed(b"XYZZY\r\n")
    assert await client.end() == "too many bad commands"


async def test_an_over_long_line_ends_the_session_and_deletes_nothing(
    store: MailStore, client: PopClient
) -> None:
    await client.ask(b"DELE 1")
    client.transport.feed(b"X" * 300)
    assert (await client.line()).startswith(b"-ERR")
    assert await client.end() == "command line too long"
    assert uids(store) == [1, 2, 3]


async def test_a_silent_client_is_left_without_a_word(store: MailStore) -> None:
    client = PopClient(store, idle_timeout=0.05)
    assert (await client.line()).startswith(b"+OK")
    with pytest.raises(TimeoutError):
        await client.end()
    assert client.transport.take() == b""


async def test_a_stopping_server_says_so_and_deletes_nothing(
    store: MailStore, client: PopClient
) -> None:
    await client.ask(b"DELE 1")
    stop = getattr(client.transport.protocol, "stop")  # noqa: B009
    stop()
    assert (await client.line()).startswith(b"-ERR [SYS/TEMP] ")
    with pytest.raises(ServerStoppingError):
        await client.end()
    assert uids(store) == [1, 2, 3]


async def test_a_mailbox_that_cannot_be_opened_is_a_temporary_error(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where the store should be")
    store = MailStore(tmp_path / "blocked")
    client = PopClient(store)
    assert (await client.line()).startswith(b"-ERR [SYS/TEMP] ")
    assert await client.end() == "mailbox not available"
    store.close()


async def test_mail_that_arrives_during_the_session_is_for_the_next_one(
    store: MailStore, client: PopClient
) -> None:
    store.account(ALICE).deliver([LETTER % 4], flags=FlagSet.of(["\\Flagged"]))
    assert (await client.ask(b"STAT")).startswith(b"+OK 3 ")
    assert (await client.ask(b"RETR 4")).startswith(b"-ERR ")
