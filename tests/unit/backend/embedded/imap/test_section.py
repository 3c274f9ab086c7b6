"""The bytes of body sections: what a scanned message is remembered for."""

from __future__ import annotations

import pytest

from mailfront.backend.embedded.imap import section
from tests.support.imap_session import ImapSession

HEADER = b"Content-Type: multipart/mixed; boundary=B\r\n\r\n"
MESSAGE = HEADER + b"--B\r\n\r\none\r\n--B\r\n\r\ntwo\r\n--B--\r\n"


async def test_a_message_read_part_by_part_is_scanned_once(
    session: ImapSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    await session.append(MESSAGE)
    await session.expect_ok(b"SELECT INBOX")
    assert await session.expect_ok(b"FETCH 1 BODY.PEEK[1]") == [b"1 FETCH (BODY[1] {3}\r\none)"]
    monkeypatch.delattr(section, "scan")
    assert await session.expect_ok(b"FETCH 1 BODY.PEEK[2]<1.2>") == [
        b"1 FETCH (BODY[2]<1> {2}\r\nwo)"
    ]


async def test_a_header_without_its_last_line_end_gets_one(session: ImapSession) -> None:
    await session.append(b"To: a")
    await session.expect_ok(b"SELECT INBOX")
    assert await session.expect_ok(b"FETCH 1 BODY.PEEK[HEADER.FIELDS (TO)]") == [
        b"1 FETCH (BODY[HEADER.FIELDS (TO)] {9}\r\nTo: a\r\n\r\n)"
    ]
    assert await session.expect_ok(b"FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])") == [
        b'1 FETCH (BODY[HEADER] {5}\r\nTo: a BODY[TEXT] "")'
    ]


async def test_a_large_message_is_scanned_in_a_thread(session: ImapSession) -> None:
    large = MESSAGE.replace(b"one", b"1" * 300_000)
    await session.append(large)
    await session.expect_ok(b"SELECT INBOX")
    assert await session.expect_ok(b"FETCH 1 BODY.PEEK[2]") == [b"1 FETCH (BODY[2] {3}\r\ntwo)"]
