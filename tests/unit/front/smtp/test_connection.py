"""Octets in and out: back-pressure, time-outs, spooling."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

from mailfront.front.smtp import SmtpSettings
from mailfront.front.smtp.connection import INPUT_HIGH_WATER
from tests.support.smtp_session import BOB, SmtpConversation, code_of

START = ("MAIL FROM:<>", f"RCPT TO:<{BOB}>", "DATA")


async def eventually_closed(client: SmtpConversation) -> list[str]:
    replies: list[str] = []
    for _ in range(500):
        replies += await client.replies()
        if client.closed:
            return replies
        await asyncio.sleep(0.01)
    raise AssertionError("not closed")


async def test_a_silent_client_is_sent_away() -> None:
    settings = SmtpSettings("mx.example.test", command_timeout=0.05)
    client = SmtpConversation(settings=settings)
    replies = await eventually_closed(client)
    assert code_of(replies[1:]) == "421 4.4.2"
    assert client.transport.record.reason == "time-out"


async def test_a_client_that_stops_within_the_data_is_sent_away() -> None:
    settings = SmtpSettings("mx.example.test", data_timeout=0.05)
    client = await SmtpConversation(settings=settings).greeted()
    await client.say(*START)
    await client.send(b"half a mess")
    assert code_of(await eventually_closed(client)) == "421 4.4.2"


async def test_a_client_that_drips_a_message_is_sent_away() -> None:
    settings = SmtpSettings("mx.example.test", message_timeout=0.2)
    client = await SmtpConversation(settings=settings).greeted()
    await client.say(*START)
    replies: list[str] = []
    while not client.closed:
        replies += await client.send(b"x")
        await asyncio.sleep(0.01)
    replies += await client.replies()
    assert code_of(replies) == "421 4.4.2"


async def test_commands_wait_outside_our_memory_while_one_is_running() -> None:
    client = await SmtpConversation().greeted()
    client.sink.release = asyncio.Event()
    await client.say(*START)
    await client.send(b"x\r\n.\r\n")
    states = []
    for count in (INPUT_HIGH_WATER // 6, 1):
        await client.send(b"NOOP\r\n" * count)
        states.append(client.transport.paused)
    assert states == [False, True]
    client.sink.release.set()
    replies = await client.replies()
    states.append(client.transport.paused)
    assert states[-1] is False
    assert len(replies) == 1 + INPUT_HIGH_WATER // 6 + 1


async def test_a_client_that_reads_no_replies_gets_no_more() -> None:
    client = await SmtpConversation().greeted()
    client.protocol.pause_writing()
    await client.send(b"NOOP\r\n")
    assert await client.send(b"NOOP\r\n" * 1000) == []
    client.protocol.resume_writing()
    assert len(await client.replies()) == 1000


async def test_a_large_message_goes_through_the_disk_and_comes_out_whole(tmp_path: Path) -> None:
    settings = SmtpSettings("mx.example.test", memory_limit=10_000, spool_directory=tmp_path)
    client = await SmtpConversation(settings=settings).greeted()
    await client.say(*START)
    lines = [f"{number}: {'x' * 70}\r\n".encode() for number in range(20_000)]
    data = b"".join(lines) + b".\r\n"
    source = random.Random(1)
    paused = 0
    while data:
        if client.transport.paused:
            paused += 1
            await asyncio.sleep(0)
            continue
        size = source.randrange(1, 60_000)
        client.protocol.data_received(data[:size])
        data = data[size:]
    for _ in range(200):
        if client.sink.accepted:
            break
        await asyncio.sleep(0.01)
    assert paused
    assert client.sink.accepted[0][1].endswith(b"".join(lines))
    assert list(tmp_path.iterdir()) == []


async def test_a_full_disk_is_a_temporary_refusal(tmp_path: Path) -> None:
    settings = SmtpSettings(
        "mx.example.test", memory_limit=100, spool_directory=tmp_path / "missing"
    )
    client = await SmtpConversation(settings=settings).greeted()
    await client.say(*START)
    await client.send(b"x" * 200 + b"\r\n")
    while client.transport.paused:
        await asyncio.sleep(0.01)
    assert code_of(await client.send(b".\r\n")) == "452 4.3.1"
    assert code_of(await client.say("NOOP")) == "250 2.0.0"


async def test_octets_one_by_one_make_the_same_conversation() -> None:
    conversation = b"EHLO c.example\r\n" + "\r\n".join(START).encode() + b"\r\nx\r\n.\r\nQUIT\r\n"
    whole, dripped = SmtpConversation(), SmtpConversation()
    expected = await whole.replies() + await whole.send(conversation)
    got = await dripped.replies()
    for octet in conversation:
        got += await dripped.send(bytes([octet]))
    assert [line[:20] for line in got] == [line[:20] for line in expected]
