"""FETCH."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from pathlib import Path

import pytest

from mailfront.backend.embedded.imap import values
from mailfront.backend.embedded.imap.values import Values, Wanted
from mailfront.store.mail_store import MailStore
from mailfront.store.mailbox import Mailbox
from mailfront.store.message_file import MessageFile
from tests.support.imap_session import USER, ImapSession

from .conftest import NewSession

MULTIPART = b"""From: =?utf-8?q?J=C3=B6rg?= <joerg@example.test>\r
To: alice@example.test\r
Subject: parts\r
Content-Type: multipart/mixed; boundary=B\r
\r
preamble\r
--B\r
Content-Type: text/plain; charset=utf-8\r
\r
first\r
--B\r
Content-Type: message/rfc822\r
\r
Subject: inner\r
X-Other: y\r
\r
inner body\r
--B--\r
"""


async def test_macros_and_values(inbox: ImapSession) -> None:
    (line,) = await inbox.expect_ok(b"FETCH 2 ALL")
    assert re.fullmatch(
        rb"2 FETCH \(FLAGS \(\) INTERNALDATE \"[^\"]+\" RFC822.SIZE 52 "
        rb"ENVELOPE \(NIL \"Message 2\" .*\)\)",
        line,
    )
    (line,) = await inbox.expect_ok(b"FETCH 2 FULL")
    assert line.endswith(b'BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8 1))')


async def test_uid_fetch_always_tells_the_uid(inbox: ImapSession) -> None:
    assert await inbox.expect_ok(b"UID FETCH 2:* FLAGS") == [
        b"2 FETCH (UID 2 FLAGS ())",
        b"3 FETCH (UID 3 FLAGS ())",
    ]
    assert await inbox.expect_ok(b"UID FETCH 99:* UID") == [b"3 FETCH (UID 3)"]
    assert await inbox.expect_ok(b"UID FETCH 77:99 UID") == []


async def test_a_number_that_no_message_has_is_an_error(inbox: ImapSession) -> None:
    for numbers in (b"4", b"1:4", b"0"):
        assert (await inbox.ask(b"FETCH " + numbers + b" FLAGS")).tagged.startswith(b"BAD ")
    await inbox.expect_ok(b"SELECT Trash")
    assert (await inbox.ask(b"FETCH 1:* FLAGS")).tagged.startswith(b"BAD ")
    assert await inbox.expect_ok(b"UID FETCH 1:* FLAGS") == []


async def test_reading_a_body_marks_the_message_seen_and_peeking_does_not(
    inbox: ImapSession,
) -> None:
    assert await inbox.expect_ok(b"FETCH 1 BODY.PEEK[TEXT]") == [
        b"1 FETCH (BODY[TEXT] {8}\r\nBody 1\r\n)"
    ]
    assert await inbox.expect_ok(b"FETCH 1 RFC822.HEADER") == [
        b"1 FETCH (RFC822.HEADER {44}\r\nFrom: a@example.test\r\nSubject: Message 1\r\n\r\n)"
    ]
    assert await inbox.expect_ok(b"FETCH 1 BODY[TEXT]") == [
        b"1 FETCH (FLAGS (\\Seen) BODY[TEXT] {8}\r\nBody 1\r\n)"
    ]
    assert await inbox.expect_ok(b"FETCH 1 BODY[TEXT]") == [
        b"1 FETCH (BODY[TEXT] {8}\r\nBody 1\r\n)"
    ]


async def test_what_came_is_what_goes(session: ImapSession) -> None:
    corpus = Path(__file__).parents[4] / "corpus" / "messages"
    messages = [path.read_bytes() for path in sorted(corpus.glob("*.eml"))]
    messages += [
        b"x",
        b"no final line end: 1\r\n\r\nend",
        b"a\nb\n\nc\n",
        b"\r\n",
        b"a\rb\r\n\r\n\r",
    ]
    messages = [message for message in messages if message and b"\0" not in message]
    for message in messages:
        answer = await session.append(message)
        assert answer.ok, answer
    await session.expect_ok(b"SELECT INBOX")
    lines = await session.expect_ok(b"FETCH 1:* (RFC822.SIZE BODY.PEEK[])")
    for line, message in zip(lines, messages, strict=True):
        assert line.endswith(b"\r\n" + message + b")")
        assert b"RFC822.SIZE %d " % len(message) in line


async def test_parts_and_partials(session: ImapSession) -> None:
    await session.append(MULTIPART)
    await session.expect_ok(b"SELECT INBOX")
    for section, octets in (
        (b"BODY[1]", b"first"),
        (b"BODY[1.MIME]", b"Content-Type: text/plain; charset=utf-8\r\n\r\n"),
        (b"BODY[2]", b"Subject: inner\r\nX-Other: y\r\n\r\ninner body"),
        (b"BODY[2.HEADER]", b"Subject: inner\r\nX-Other: y\r\n\r\n"),
        (b"BODY[2.TEXT]", b"inner body"),
        (b"BODY[2.1]", b"inner body"),
        (b"BODY[2.HEADER.FIELDS (SUBJECT)]", b"Subject: inner\r\n\r\n"),
        (b"BODY[2.HEADER.FIELDS.NOT (SUBJECT)]", b"X-Other: y\r\n\r\n"),
        (b"BODY[HEADER.FIELDS (to nothing)]", b"To: alice@example.test\r\n\r\n"),
        (b"BODY[HEADER.FIELDS (nothing)]", b"\r\n"),
    ):
        (line,) = await session.expect_ok(b"FETCH 1 (" + section.replace(b"[", b".PEEK[", 1) + b")")
        assert line == b"1 FETCH (%s {%d}\r\n%s)" % (section, len(octets), octets)
        (line,) = await session.expect_ok(b"FETCH 1 %s<1.3>" % section.replace(b"[", b".PEEK[", 1))
        piece = octets[1:4]
        assert line == b"1 FETCH (%s<1> {%d}\r\n%s)" % (section, len(piece), piece)


async def test_a_part_that_is_not_there_is_nil_and_beyond_the_end_is_empty(
    session: ImapSession,
) -> None:
    await session.append(MULTIPART)
    await session.expect_ok(b"SELECT INBOX")
    assert await session.expect_ok(b"FETCH 1 (BODY.PEEK[9] BODY.PEEK[1.HEADER])") == [
        b"1 FETCH (BODY[9] NIL BODY[1.HEADER] NIL)"
    ]
    assert await session.expect_ok(b"FETCH 1 BODY.PEEK[1]<100.5>") == [b'1 FETCH (BODY[1]<100> "")']


async def test_values_are_the_same_when_they_come_from_the_index(
    session: ImapSession, new_session: NewSession
) -> None:
    await session.append(MULTIPART)
    await session.expect_ok(b"SELECT INBOX")
    command = b"FETCH 1 (ENVELOPE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (TO)] BODY.PEEK[HEADER])"
    first = await session.expect_ok(command)
    assert await session.expect_ok(command) == first
    other = await new_session()
    await other.expect_ok(b"EXAMINE INBOX")
    assert await other.expect_ok(command) == first


async def test_a_large_message_arrives_whole(new_session: NewSession) -> None:
    session = await new_session(append_limit=10_000_000)
    message = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 200_000
    await session.append(message)
    await session.expect_ok(b"SELECT INBOX")
    (line,) = await session.expect_ok(b"FETCH 1 BODY.PEEK[]")
    assert line == b"1 FETCH (BODY[] {%d}\r\n%s)" % (len(message), message)


async def test_a_slow_client_holds_nobody_up(
    new_session: NewSession, inbox: ImapSession, store: MailStore
) -> None:
    message = b"Subject: large\r\n\r\n" + b"x" * 900_000
    await inbox.append(message)
    slow = await new_session()
    await slow.expect_ok(b"SELECT INBOX")
    slow.transport.protocol.pause_writing()
    slow.send(b"s FETCH 4 BODY[]\r\n")
    await inbox.expect_ok(b"STORE 1:4 +FLAGS (\\Deleted)")
    await inbox.expect_ok(b"EXPUNGE")
    assert len(slow.transport.take()) < 200_000
    slow.transport.protocol.resume_writing()


async def test_a_file_that_is_too_short_cuts_the_connection_and_adds_nothing(
    inbox: ImapSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MessageFile, "chunks", lambda *_: iter([b"half"]))
    inbox.send(b"a FETCH 1 BODY.PEEK[]\r\n")
    assert await inbox.end() == "response cut"
    assert inbox.transport.take() == b"* 1 FETCH (BODY[] {52}\r\nhalf"


async def test_a_long_header_comes_from_the_message(session: ImapSession) -> None:
    header = b"X: " + b"y" * 200_000 + b"\r\nTo: a\r\n\r\n"
    await session.append(header + b"body")
    await session.expect_ok(b"SELECT INBOX")
    for _ in range(2):
        (line,) = await session.expect_ok(b"FETCH 1 BODY.PEEK[HEADER]")
        assert line == b"1 FETCH (BODY[HEADER] {%d}\r\n%s)" % (len(header), header)
        assert await session.expect_ok(b"FETCH 1 BODY.PEEK[HEADER.FIELDS (TO)]") == [
            b"1 FETCH (BODY[HEADER.FIELDS (TO)] {9}\r\nTo: a\r\n\r\n)"
        ]
        assert await session.expect_ok(b"SEARCH TO a") == [b"SEARCH 1"]


async def test_messages_that_others_removed_are_left_out_and_said_so(
    inbox: ImapSession, new_session: NewSession
) -> None:
    other = await new_session()
    await other.expect_ok(b"SELECT INBOX")
    await other.expect_ok(b"STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.expect_ok(b"EXPUNGE")
    answer = await inbox.ask(b"FETCH 1:3 (UID BODY.PEEK[TEXT])")
    assert [line[:14] for line in answer.untagged] == [b"1 FETCH (UID 1", b"3 FETCH (UID 3"]
    assert answer.tagged.startswith(b"OK [EXPUNGEISSUED] ")
    # The numbers change only now.
    assert await inbox.expect_ok(b"NOOP") == [b"2 EXPUNGE"]


async def test_a_delivery_shows_up_with_the_next_command(
    inbox: ImapSession, store: MailStore
) -> None:
    await store.run(store.account(USER).deliver, [b"Subject: new\r\n\r\n"])
    lines = await inbox.expect_ok(b"FETCH 1 FLAGS")
    assert lines == [b"1 FETCH (FLAGS ())", b"4 EXISTS", b"1 RECENT"]
    assert await inbox.expect_ok(b"FETCH 4 FLAGS") == [b"4 FETCH (FLAGS (\\Recent))"]


async def test_much_that_is_new_is_taken_apart_off_the_event_loop(
    session: ImapSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    real = values.compute

    def recorded(mailbox: Mailbox, uids: Iterable[int], wanted: Wanted) -> dict[int, Values]:
        threads.append(threading.get_ident())
        return real(mailbox, uids, wanted)

    monkeypatch.setattr(values, "compute", recorded)
    await session.append(b"Subject: short\r\n\r\n")
    await session.append(b"Subject: long\r\n\r\n" + b"x" * 120_000)
    await session.expect_ok(b"SELECT INBOX")
    here = threading.get_ident()
    await session.expect_ok(b"FETCH 1 ENVELOPE")
    assert threads == [here]
    await session.expect_ok(b"FETCH 1:2 ENVELOPE")
    assert threads[1:] != [here]
    await session.expect_ok(b"FETCH 1:2 ENVELOPE")
    assert len(threads) == 2
