"""Lines, literals and waiting, over a client's connection in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mailfront.backend.client_stream import HIGH_WATER, ClientStream
from mailfront.errors import LineTooLongError, PeerGoneError, ServerStoppingError
from mailfront.interfaces.tasks import start_task
from mailfront.protocol.receive_buffer import ReceiveBuffer
from tests.support.memory_transport import MemoryTransport


def connected(leftover: bytes = b"", *, idle: float = 10) -> tuple[MemoryTransport, ClientStream]:
    transport = MemoryTransport()
    return transport, ClientStream(transport, leftover, idle)


def is_read(transport: MemoryTransport) -> bool:
    return transport.reading


async def test_what_came_with_the_login_is_read_first() -> None:
    transport, stream = connected(b"a NOOP\r\nb ")
    assert stream.has_input()
    assert await stream.line(100) == b"a NOOP"
    transport.feed(b"IDLE\r\n")
    assert await stream.line(100) == b"b IDLE"
    assert not stream.has_input()


async def test_a_line_is_waited_for() -> None:
    transport, stream = connected()
    reading = start_task(stream.line(100), name="reading")
    for octet in b"NOOP\r\n":
        await asyncio.sleep(0)
        transport.feed(bytes([octet]))
    assert await reading == b"NOOP"


async def test_an_overlong_line_is_refused() -> None:
    _, stream = connected(b"x" * 200)
    with pytest.raises(LineTooLongError):
        await stream.line(100)


async def test_counted_octets_come_as_they_arrive_or_exactly() -> None:
    transport, stream = connected(b"abc")
    assert await stream.chunk(2) == b"ab"
    assert await stream.chunk(10) == b"c"
    reading = start_task(stream.exactly(6), name="reading")
    await asyncio.sleep(0)
    transport.feed(b"123")
    await asyncio.sleep(0)
    transport.feed(b"456789")
    assert await reading == b"123456"
    assert await stream.chunk(10) == b"789"


async def test_a_parser_is_tried_again_as_more_arrives() -> None:
    transport, stream = connected(b"ab")

    def parse(buffer: ReceiveBuffer) -> bytes | None:
        return buffer.take(4)

    parsing = start_task(stream.parsed(parse), name="parsing")
    await asyncio.sleep(0)
    transport.feed(b"cdef")
    assert await parsing == b"abcd"


async def test_a_client_that_sends_without_reading_answers_waits() -> None:
    transport, stream = connected()
    transport.feed(b"x" * HIGH_WATER)
    assert is_read(transport)
    transport.feed(b"x")
    assert not is_read(transport)
    await stream.exactly(HIGH_WATER // 2)
    assert not is_read(transport)
    await stream.exactly(10)
    assert is_read(transport)


async def test_the_end_of_input_is_told_after_what_came_before() -> None:
    _, stream = connected(b"a LOGOUT\r\n")
    assert stream.eof_received()
    assert await stream.line(100) == b"a LOGOUT"
    with pytest.raises(PeerGoneError):
        await stream.line(100)
    with pytest.raises(PeerGoneError):
        await stream.wait_input()


async def test_a_client_that_goes_away_wakes_the_reader() -> None:
    transport, stream = connected()
    reading = start_task(stream.line(100), name="reading")
    await asyncio.sleep(0)
    transport.hang_up()
    with pytest.raises(PeerGoneError):
        await reading


async def test_a_silent_client_is_timed_out() -> None:
    _, stream = connected(idle=0)
    with pytest.raises(TimeoutError):
        await stream.line(100)
    with pytest.raises(TimeoutError):
        await stream.chunk(1)
    with pytest.raises(TimeoutError):
        await stream.wait_input()


async def test_the_timer_looks_whether_the_wait_of_that_moment_is_over_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    now = loop.time()
    due: list[Callable[[], object]] = []
    monkeypatch.setattr(loop, "time", lambda: now)
    monkeypatch.setattr(loop, "call_at", lambda when, callback: due.append(callback))
    transport, stream = connected(idle=10)
    first = start_task(stream.line(100), name="first")
    await asyncio.sleep(0)
    now += 9
    transport.feed(b"NOOP\r\n")
    await first
    second = start_task(stream.line(100), name="second")
    await asyncio.sleep(0)
    now += 2
    due.pop()()
    await asyncio.sleep(0)
    assert not second.done()
    now += 9
    due.pop()()
    with pytest.raises(TimeoutError):
        await second


async def test_many_waits_need_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []
    real = loop.call_at

    def counted(when: float, callback: Callable[..., object]) -> asyncio.TimerHandle:
        timers.append(real(when, callback))
        return timers[-1]

    monkeypatch.setattr(loop, "call_at", counted)
    transport, stream = connected()
    for _ in range(10):
        reading = start_task(stream.line(100), name="reading")
        await asyncio.sleep(0)
        transport.feed(b"NOOP\r\n")
        await reading
    assert len(timers) == 1
    transport.hang_up()
    assert timers[0].cancelled()


async def test_a_stop_ends_the_wait_for_a_command() -> None:
    _, stream = connected()
    reading = start_task(stream.line(100), name="reading")
    await asyncio.sleep(0)
    stream.stop()
    with pytest.raises(ServerStoppingError):
        await reading


async def test_a_stop_lets_data_of_a_running_command_come() -> None:
    transport, stream = connected()
    reading = start_task(stream.exactly(3), name="reading")
    await asyncio.sleep(0)
    stream.stop()
    transport.feed(b"abc")
    assert await reading == b"abc"
    with pytest.raises(ServerStoppingError):
        await stream.line(100)


async def test_input_or_another_event_ends_an_idle_wait() -> None:
    transport, stream = connected()
    changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = start_task(stream.wait_input(changed), name="waiting")
    await asyncio.sleep(0)
    changed.set_result(None)
    assert await waiting is False
    later: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = start_task(stream.wait_input(later), name="waiting")
    await asyncio.sleep(0)
    transport.feed(b"DONE\r\n")
    assert await waiting is True
    assert await stream.wait_input(later) is True


async def test_a_stop_ends_an_idle_wait() -> None:
    _, stream = connected()
    waiting = start_task(stream.wait_input(), name="waiting")
    await asyncio.sleep(0)
    stream.stop()
    with pytest.raises(ServerStoppingError):
        await waiting


async def test_drain_waits_until_the_client_takes_what_was_written() -> None:
    transport, stream = connected()
    stream.write(b"* OK\r\n")
    assert transport.take() == b"* OK\r\n"
    await stream.drain()
    stream.pause_writing()
    draining = start_task(stream.drain(), name="draining")
    await asyncio.sleep(0)
    assert not draining.done()
    stream.resume_writing()
    await draining


async def test_drain_gives_up_on_a_client_that_takes_nothing() -> None:
    _, stream = connected(idle=0)
    stream.pause_writing()
    with pytest.raises(TimeoutError):
        await stream.drain()


async def test_drain_gives_up_on_a_client_that_only_closed_its_side() -> None:
    _, stream = connected(idle=0)
    stream.eof_received()
    stream.pause_writing()
    with pytest.raises(TimeoutError):
        await stream.drain()


async def test_drain_tells_that_the_client_went_away() -> None:
    transport, stream = connected()
    stream.pause_writing()
    draining = start_task(stream.drain(), name="draining")
    await asyncio.sleep(0)
    transport.hang_up()
    with pytest.raises(PeerGoneError):
        await draining
