"""The data of one message, judged while it arrives."""

from __future__ import annotations

from mailfront.front.smtp import data_transfer
from mailfront.front.smtp.data_transfer import DataTransfer
from mailfront.front.smtp.spool import SpooledMessage
from mailfront.protocol.smtp import reply


def transfer(size_limit: int = 1000, memory_limit: int = 500) -> DataTransfer:
    return DataTransfer(SpooledMessage(), size_limit, memory_limit)


def test_the_limit_counts_octets_without_dot_stuffing() -> None:
    exact = transfer(size_limit=5)
    exact.feed(b"..ab\r\n.\r\n")
    assert (exact.finished, exact.refusal, exact.message.size) == (True, None, 5)
    beyond = transfer(size_limit=4)
    beyond.feed(b"..ab\r\n.\r\n")
    assert beyond.refusal is reply.MESSAGE_TOO_LARGE


def test_nothing_is_kept_of_a_refused_message() -> None:
    refused = transfer()
    refused.feed(b"a\nb")
    for _ in range(100):
        refused.feed(b"x" * 1000)
    assert refused.refusal is reply.BARE_LINE_END
    assert refused.message.in_memory == 0
    assert not refused.needs_spooling
    refused.feed(b"\r\n.\r\nQUIT\r\n")
    assert (refused.finished, refused.leftover) == (True, b"QUIT\r\n")


def test_refused_data_without_end_is_abandoned() -> None:
    endless = transfer()
    chunk = b"x" * (1 << 20)
    for _ in range(data_transfer.DRAIN_ALLOWANCE // len(chunk)):
        endless.feed(chunk)
        assert not endless.abandoned
    endless.feed(chunk)
    assert endless.abandoned


def test_it_asks_for_the_disk_when_memory_is_used_up() -> None:
    spooled = SpooledMessage()
    growing = DataTransfer(spooled, size_limit=10_000, memory_limit=500)
    asked = []
    for part in (b"x" * 499, b"x"):
        growing.feed(part)
        asked.append(growing.needs_spooling)
    assert asked == [False, True]
    spooled.spool()
    growing.feed(b"x")
    assert (growing.needs_spooling, growing.message.size) == (False, 501)
    spooled.close()
