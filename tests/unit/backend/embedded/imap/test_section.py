"""The bytes of body sections: what a scanned message is remembered for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.backend.embedded.imap import section
from mailfront.protocol.imap.fetch_item import Section, SectionText
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


LINES = st.sampled_from(
    [
        b"To: a\r\n", b"TO:b\n", b"to \t: c\r\n", b" folded\r\n", b"\tmore\r\n", b"Subject:\r\n",
        b"\r",
        b"Tom: x\r\n", b"no field\r\n", b"X: To: y\r\n", b":\r\n", b"To", b"\r\r\n", b" To: z\r\n",
        b"\xff: \x00\r\n", b"From: d",
    ]
)  # fmt: skip
NAMES = st.lists(st.sampled_from([b"TO", b"FROM", b"SUBJECT", b"X", b"", b"TO ", b"X: TO", b"."]))


@given(st.lists(LINES, max_size=12).map(b"".join), NAMES)
def test_fields_are_chosen_quickly_as_they_are_chosen_with_care(
    header: bytes, names: list[bytes]
) -> None:
    chosen = Section((), SectionText.HEADER_FIELDS, tuple(names), None, True, b"")
    quickly = section._chosen_fields(header, chosen)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(section, "_pattern", lambda names: None)
        assert section._chosen_fields(header, chosen) == quickly


async def test_a_long_header_is_sent_from_the_file(
    session: ImapSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    header = b"Subject: x\r\nX: " + b"y" * 300_000 + b"\r\n\r\n"
    await session.append(header + b"body")
    await session.expect_ok(b"SELECT INBOX")
    await session.expect_ok(b"FETCH 1 ENVELOPE")
    monkeypatch.delattr(section, "read_header")
    [answer] = await session.expect_ok(b"FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])")
    assert answer == b"1 FETCH (BODY[HEADER] {%d}\r\n%s BODY[TEXT] {4}\r\nbody)" % (
        len(header), header,
    )  # fmt: skip
