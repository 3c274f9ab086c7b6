"""Messages in memory and on disk read the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.front.smtp.spool import SpooledMessage


@pytest.mark.parametrize("spool_after", [(), (0,), (1, 3), (0, 1, 2, 3)])
def test_a_message_is_the_same_however_it_was_kept(
    tmp_path: Path, spool_after: tuple[int, ...]
) -> None:
    message = SpooledMessage(tmp_path)
    parts = [bytes([65 + number]) * (300_000 * number + 1) for number in range(4)]
    for number, part in enumerate(parts):
        message.append(part)
        if number in spool_after:
            message.spool()
    message.prefix = b"Received: x\r\n"
    expected = message.prefix + b"".join(parts)
    for _ in range(2):
        chunks = list(message.chunks())
        assert b"".join(chunks) == expected
        assert max(map(len, chunks)) <= 1 << 20
    assert message.size == len(expected)
    assert message.head(400_000) == b"".join(parts)[:400_000]
    message.close()


def test_the_file_has_no_name_and_memory_is_free_after_spooling(tmp_path: Path) -> None:
    message = SpooledMessage(tmp_path)
    message.append(b"x" * 100)
    message.spool()
    assert (message.in_memory, message.size) == (0, 100)
    assert list(tmp_path.iterdir()) == []
    message.close()
    message.close()
    assert message.size == 0


def test_a_small_message_is_one_chunk() -> None:
    message = SpooledMessage()
    message.append(b"body")
    message.prefix = b"head "
    assert list(message.chunks()) == [b"head body"]


def test_a_directory_that_is_missing_is_an_error_of_the_system(tmp_path: Path) -> None:
    message = SpooledMessage(tmp_path / "missing")
    message.append(b"x")
    with pytest.raises(OSError, match="missing"):
        message.spool()
