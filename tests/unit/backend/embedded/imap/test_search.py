"""SEARCH."""

from __future__ import annotations

import pytest

from tests.support.imap_session import ImapSession

MESSAGES = (
    (
        b"From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nSubject: Budget\r\n"
        b"Date: Mon, 7 Feb 1994 21:52:25 -0800\r\n\r\nfigures for march\r\n",
        b'(\\Seen $Work) "01-Mar-2020 10:00:00 +0000"',
    ),
    (
        b"From: =?utf-8?q?J=C3=B6rg?= <j@example.test>\r\nCc: carol@example.test\r\n"
        b"Subject: =?utf-8?b?R3LDvMOfZQ==?=\r\nDate: 1 Jan 2001 00:00:00 +0000\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable"
        b"\r\n\r\nsch=C3=B6ne Gr=C3=BC=C3=9Fe\r\n",
        b'(\\Flagged) "02-Mar-2020 23:59:59 +0000"',
    ),
    (b"Bcc: dave@example.test\r\nX-Tag:\r\n\r\n" + b"x" * 500, b'"03-Mar-2020 00:00:00 +0000"'),
)


@pytest.fixture
async def mailbox(session: ImapSession) -> ImapSession:
    for message, before in MESSAGES:
        assert (await session.append(message, before=before)).ok
    await session.expect_ok(b"SELECT INBOX")
    return session


@pytest.mark.parametrize(
    ("key", "numbers"),
    [
        (b"ALL", b"1 2 3"),
        (b"SEEN", b"1"),
        (b"UNSEEN", b"2 3"),
        (b"FLAGGED", b"2"),
        (b"UNFLAGGED NOT SEEN", b"3"),
        (b"RECENT", b"1 2 3"),
        (b"NEW", b"2 3"),
        (b"OLD", b""),
        (b"ANSWERED", b""),
        (b"UNDELETED UNDRAFT UNANSWERED", b"1 2 3"),
        (b"DELETED", b""),
        (b"DRAFT", b""),
        (b"KEYWORD $work", b"1"),
        (b"UNKEYWORD $Work", b"2 3"),
        (b"2:*", b"2 3"),
        (b"7:9", b""),
        (b"UID 1,3,9", b"1 3"),
        (b"FROM alice", b"1"),
        (b"TO bob@EXAMPLE", b"1"),
        (b"CC carol", b"2"),
        (b"BCC dave", b"3"),
        (b"SUBJECT budget", b"1"),
        (b"CHARSET UTF-8 SUBJECT {7+}\r\ngr\xc3\xbc\xc3\x9fe", b"2"),
        (b'SUBJECT "gr\xc3\xbc"', b"2"),
        (b'CHARSET UTF-8 FROM "j\xc3\xb6RG"', b"2"),
        (b'HEADER X-Tag ""', b"3"),
        (b'HEADER X-None ""', b""),
        (b"HEADER subject udge", b"1"),
        (b"BODY MARCH", b"1"),
        (b"BODY alice", b""),
        (b'BODY "sch\xc3\xb6ne gr"', b"2"),
        (b"TEXT alice", b"1"),
        (b"TEXT march", b"1"),
        (b"BEFORE 2-Mar-2020", b"1"),
        (b"ON 2-Mar-2020", b"2"),
        (b"SINCE 2-Mar-2020", b"2 3"),
        (b"SENTBEFORE 8-Feb-1994", b"1"),
        (b"SENTON 1-Jan-2001", b"2"),
        (b"SENTSINCE 1-Jan-1995", b"2"),
        (b"LARGER 500", b"3"),
        (b"SMALLER 150", b"1"),
        (b"OR SEEN FLAGGED", b"1 2"),
        (b"OR (BODY march SEEN) LARGER 500", b"1 3"),
        (b"NOT (SEEN)", b"2 3"),
    ],
)
async def test_every_key_finds_what_it_should(
    mailbox: ImapSession, key: bytes, numbers: bytes
) -> None:
    expected = [b"SEARCH" + (b" " + numbers if numbers else b"")]
    assert await mailbox.expect_ok(b"SEARCH " + key) == expected
    assert await mailbox.expect_ok(b"UID SEARCH " + key) == expected


async def test_an_unknown_charset_is_refused_with_those_that_are_known(
    mailbox: ImapSession,
) -> None:
    answer = await mailbox.ask(b"SEARCH CHARSET KOI8-R ALL")
    assert answer.tagged.startswith(b"NO [BADCHARSET (US-ASCII UTF-8)]")
    assert (await mailbox.ask(b'SEARCH SUBJECT "\xe9"')).tagged.startswith(b"BAD ")


async def test_an_empty_mailbox_has_no_matches(session: ImapSession) -> None:
    await session.expect_ok(b"SELECT Trash")
    assert await session.expect_ok(b"SEARCH 1:* BODY x") == [b"SEARCH"]
