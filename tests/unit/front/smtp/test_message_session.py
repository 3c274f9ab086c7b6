"""BDAT in a session: chunks, whatever is pipelined with them, and every way in which they fail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mailfront.errors import BackendError
from mailfront.front.smtp import Role, SmtpSettings
from mailfront.front.smtp.data_transfer import DRAIN_ALLOWANCE
from tests.support.smtp_session import BOB, TLS, SmtpConversation, code_of

SETTINGS = SmtpSettings("mx.example.test", size_limit=1000)
MAIL = b"MAIL FROM:<x@y.example>\r\n"
RCPT = f"RCPT TO:<{BOB}>\r\n".encode()


async def session(settings: SmtpSettings = SETTINGS) -> SmtpConversation:
    client = await SmtpConversation(settings=settings).greeted()
    await client.send(MAIL + RCPT)
    return client


def codes(replies: list[str]) -> list[str]:
    return [reply[:9].rstrip() for reply in replies]


def content(client: SmtpConversation, number: int = 0) -> bytes:
    return client.sink.accepted[number][1].partition(b"+0000\r\n")[2]


async def test_chunks_make_a_message() -> None:
    client = await session()
    assert await client.send(b"BDAT 9\r\nSubject: ") == ["250 2.0.0 Chunk received"]
    assert await client.send(b"BDAT 10\r\nx\r\n\r\n.\r\n.y") == ["250 2.0.0 Chunk received"]
    [answer] = await client.send(b"BDAT 3 LAST\r\nz\r\n")
    assert answer.startswith("250 2.0.0 Message queued as ")
    assert content(client) == b"Subject: x\r\n\r\n.\r\n.yz\r\n"
    # A new transaction begins.
    assert codes(await client.send(MAIL + RCPT)) == ["250 2.1.0", "250 2.1.5"]


async def test_everything_may_be_pipelined() -> None:
    client = await SmtpConversation(settings=SETTINGS).greeted()
    data = MAIL + RCPT + b"BDAT 12\r\nSubject: a\r\nBDAT 0 LAST\r\n" + MAIL + RCPT
    data += b"BDAT 12 LAST\r\nSubject: b\r\nBDAT 1\r\nxQUIT\r\n"
    assert codes(await client.send(data)) == [
        "250 2.1.0", "250 2.1.5", "250 2.0.0", "250 2.0.0", "250 2.1.0", "250 2.1.5",
        "250 2.0.0", "503 5.5.1", "221 2.0.0",
    ]  # fmt: skip
    assert [content(client, 0), content(client, 1)] == [b"Subject: a\r\n", b"Subject: b\r\n"]


async def test_octet_by_octet_it_is_the_same() -> None:
    client = await session()
    data = b"BDAT 4\r\nX: 1BDAT 9 LAST\r\n\r\n\r\ny.\r\nxNOOP\r\n"
    answers = []
    for index in range(len(data)):
        answers += await client.send(data[index : index + 1])
    assert codes(answers) == ["250 2.0.0", "250 2.0.0", "250 2.0.0"]
    assert content(client) == b"X: 1\r\n\r\ny.\r\nx\r\n"


@pytest.mark.parametrize("body", [b"a\nb", b"a\rb", b"a\r", b"\n.\r\n", b"\r\n.\r", b"\0"])
async def test_what_data_refuses_is_refused_in_chunks(body: bytes) -> None:
    client = await session()
    answers = await client.send(
        b"BDAT %d\r\n%sBDAT 6 LAST\r\nMAIL x%sNOOP\r\n" % (len(body), body, MAIL)
    )
    # The first chunk may not tell it alone; the rest is read, and no command.
    bare = b"\0" not in body
    refused = "550 5.5.2" if bare else "550 5.6.0"
    expected = [refused, "503 5.5.1"] if not body.endswith(b"\r") else ["250 2.0.0", refused]
    assert codes(answers) == [*expected, "250 2.1.0", "250 2.0.0"]
    assert client.sink.accepted == []
    assert client.counters["smtp.bare_line_ends"] == int(bare)


async def test_a_line_end_may_be_divided_between_chunks() -> None:
    client = await session()
    assert codes(await client.send(b"BDAT 2\r\na\rBDAT 3 LAST\r\n\nb\r")) == [
        "250 2.0.0", "550 5.5.2",
    ]  # fmt: skip
    await client.send(MAIL + RCPT)
    assert codes(await client.send(b"BDAT 2\r\na\rBDAT 4 LAST\r\n\nb\r\n")) == [
        "250 2.0.0", "250 2.0.0",
    ]  # fmt: skip
    assert content(client) == b"a\r\nb\r\n"


async def test_octets_of_a_refused_chunk_are_no_commands() -> None:
    client = SmtpConversation(settings=SETTINGS)
    await client.replies()
    hidden = b"BDAT 12 LAST\r\nNOOP\r\nQUIT\r\n"
    assert code_of(await client.send(hidden)) == "503 5.5.1"
    await client.say("EHLO client.example")
    assert code_of(await client.send(hidden)) == "503 5.5.1"
    await client.send(MAIL)
    assert code_of(await client.send(hidden)) == "554 5.5.1"
    await client.say("HELO client.example")
    await client.send(MAIL + RCPT)
    assert code_of(await client.send(hidden)) == "503 5.5.1"
    user = await SmtpConversation(Role.SUBMISSION, SETTINGS, TLS).greeted()
    assert code_of(await user.send(hidden)) == "530 5.7.0"
    assert not user.closed


async def test_a_message_beyond_the_limit_is_refused_before_it_comes() -> None:
    client = await session()
    assert await client.send(b"BDAT 600\r\n" + b"x" * 600) == ["250 2.0.0 Chunk received"]
    assert await client.send(b"BDAT 401\r\n" + b"x" * 400) == []
    assert code_of(await client.send(b"x")) == "552 5.3.4"
    assert code_of(await client.send(b"BDAT 0 LAST\r\n")) == "503 5.5.1"
    assert client.counters["smtp.messages_refused"] == 1
    await client.send(MAIL + RCPT)
    assert code_of(await client.send(b"BDAT 1000 LAST\r\n" + b"x" * 998 + b"\r\n")) == "250 2.0.0"


async def test_nobody_sends_chunks_for_nothing_without_end() -> None:
    client = await session()
    too_much = b"BDAT %d\r\n" % (SETTINGS.size_limit + DRAIN_ALLOWANCE + 1)
    assert code_of(await client.send(too_much)) == "552 5.3.4"
    assert client.closed
    client = await SmtpConversation(settings=SETTINGS).greeted()
    half = b"BDAT %d\r\n" % (DRAIN_ALLOWANCE // 2 + SETTINGS.size_limit)
    await client.send(half)
    for _ in range(DRAIN_ALLOWANCE // 2 // (1 << 20)):
        await client.send(b"x" * (1 << 20))
    assert code_of(await client.send(b"x" * SETTINGS.size_limit)) == "503 5.5.1"
    assert code_of(await client.send(half)) == "552 5.3.4"
    assert client.closed


@pytest.mark.parametrize(
    "line",
    [
        b"BDAT",
        b"BDAT x",
        b"BDAT -1 LAST",
        b"BDAT 1 2",
        b"BDAT \xff",
        b"bdat\t20 LAST",
        b"BDAT 20 " + b" " * 600 + b"LAST",
    ],
)
async def test_behind_a_chunk_of_unknown_length_nothing_is_understood(line: bytes) -> None:
    client = await session()
    assert code_of(await client.send(line + b"\r\nNOOP\r\n")) in (
        "500 5.5.1",
        "500 5.5.2",
        "501 5.5.4",
    )
    assert client.closed


async def test_data_does_not_follow_chunks() -> None:
    client = await session()
    await client.send(b"BDAT 1\r\nx")
    assert code_of(await client.send(RCPT)) == "503 5.5.1"
    assert code_of(await client.send(MAIL)) == "503 5.5.1"
    assert code_of(await client.send(b"DATA\r\n")) == "503 5.5.1"
    assert code_of(await client.send(b"BDAT 0 LAST\r\n")) == "503 5.5.1"
    assert client.sink.accepted == []
    assert codes(await client.send(MAIL + RCPT + b"DATA\r\n"))[2].startswith("354")


@pytest.mark.parametrize("command", [b"RSET\r\n", b"EHLO again.example\r\n"])
async def test_a_reset_forgets_the_chunks(command: bytes) -> None:
    client = await session()
    await client.send(b"BDAT 9\r\nSubject: ")
    await client.send(command)
    assert code_of(await client.send(b"BDAT 0 LAST\r\n")) == "503 5.5.1"
    await client.send(MAIL + RCPT + b"BDAT 1 LAST\r\ny")
    assert content(client) == b"y\r\n"


async def test_many_small_chunks_in_one_piece_go_to_the_disk(tmp_path: Path) -> None:
    settings = replace(SETTINGS, size_limit=10_000_000, memory_limit=2000, spool_directory=tmp_path)
    client = await session(settings)
    answers: list[str] = []
    data = b"BDAT 100\r\n" + b"x" * 98 + b"\r\n"
    answers += await client.send(data * 500)
    while len(answers) < 500:
        assert client.protocol.transaction.chunks is not None
        assert client.protocol.transaction.chunks.message.in_memory <= 2100
        answers += await client.replies()
    answers = await client.send(b"BDAT 0 LAST\r\n")
    while not answers:
        answers = await client.replies()
    assert code_of(answers) == "250 2.0.0"
    assert content(client) == (b"x" * 98 + b"\r\n") * 500


async def test_a_message_that_cannot_be_stored_is_answered_at_its_last_chunk() -> None:
    client = await session()
    client.sink.failure = BackendError("full", temporary=True)
    assert codes(await client.send(b"BDAT 1\r\nxBDAT 0 LAST\r\n")) == ["250 2.0.0", "451 4.3.0"]
    client.sink.failure = None
    await client.send(MAIL + RCPT + b"BDAT 1 LAST\r\ny")
    assert content(client) == b"y\r\n"


async def test_a_client_that_goes_between_chunks_leaves_nothing() -> None:
    client = await session()
    await client.send(b"BDAT 9\r\nSubject: ")
    chunks = client.protocol.transaction.chunks
    assert chunks is not None
    await client.finish()
    assert chunks.message.in_memory == 0
    assert client.sink.accepted == []


async def test_a_stop_ends_a_session_between_chunks() -> None:
    client = await session()
    await client.send(b"BDAT 9\r\nSubject: ")
    client.protocol.stop()
    assert code_of(await client.replies()) == "421 4.3.2"
    assert client.closed


async def test_data_and_chunks_make_the_same_message() -> None:
    client = await session()
    await client.send(b"DATA\r\nSubject: x\r\n\r\n..y\r\n.\r\n")
    await client.send(MAIL + RCPT + b"BDAT 18 LAST\r\nSubject: x\r\n\r\n.y\r\n")
    assert content(client, 0) == content(client, 1)
