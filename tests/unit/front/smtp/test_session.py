"""Conversations with the MX role: commands, order, limits, hostile input."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailfront.errors import BackendError
from mailfront.front.smtp import SmtpSettings
from mailfront.protocol.smtp.commands import COMMANDS
from tests.support.smtp_session import BOB, TLS, SmtpConversation, code_of

MAIL = "MAIL FROM:<sender@other.example>"
RCPT = f"RCPT TO:<{BOB}>"


async def test_the_greeting_names_the_host_and_esmtp() -> None:
    assert await SmtpConversation().replies() == ["220 mx.example.test ESMTP"]


async def test_a_message_is_taken_over_with_its_trace() -> None:
    client = await SmtpConversation(tls=TLS).greeted()
    assert code_of(await client.say(MAIL)) == "250 2.1.0"
    assert code_of(await client.say(RCPT)) == "250 2.1.5"
    assert code_of(await client.say("DATA")) == "354 End"
    [answer] = await client.say("Subject: x", "", "..dot", ".")
    assert answer.startswith("250 2.0.0 Message queued as ")
    [(envelope, content)] = client.sink.accepted
    assert (envelope.sender, envelope.recipients) == ("sender@other.example", (BOB,))
    assert envelope.authenticated_user is None
    assert content.startswith(b"Received: from client.example ([192.0.2.7])\r\n")
    assert b"with ESMTPS (TLSv1.3 TLS_AES_256_GCM_SHA384)" in content
    assert answer.split()[-1].encode() in content
    assert content.endswith(b"\r\nSubject: x\r\n\r\n.dot\r\n")
    assert code_of(await client.say("QUIT")) == "221 2.0.0"
    assert client.closed
    assert client.transport.record.reason == "quit"


async def test_pipelined_commands_are_answered_in_order_and_in_one_write() -> None:
    client = await SmtpConversation().greeted()
    writes = client.transport.writes
    replies = await client.say(MAIL, RCPT, "RCPT TO:<nobody@example.test>", "DATA")
    assert [reply[:9] for reply in replies] == ["250 2.1.0", "250 2.1.5", "550 5.1.1", "354 End d"]
    assert client.transport.writes == writes + 1
    replies = await client.send(b"x\r\n.\r\nNOOP\r\nQUIT\r\n")
    assert [reply[:3] for reply in replies] == ["250", "250", "221"]


async def test_ehlo_offers_what_the_role_has() -> None:
    client = SmtpConversation()
    await client.replies()
    replies = await client.say("EHLO client.example")
    assert replies == [
        "250-mx.example.test", f"250-SIZE {client.settings.size_limit}", "250-8BITMIME",
        "250-SMTPUTF8", "250-PIPELINING", "250-ENHANCEDSTATUSCODES",
        "250-CHUNKING", "250-STARTTLS", "250 HELP",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("HELO", "501 5.5.4"), ("EHLO a b", "501 5.5.4"),
        ("HELO client.example", "250 mx.example.test"),
        ("NOOP", "250 2.0.0"), ("NOOP whatever", "250 2.0.0"), ("RSET", "250 2.0.0"),
        ("RSET x", "501 5.5.4"), ("HELP", "214 2.0.0"), ("VRFY bob", "252 2.5.0"),
        ("EXPN list", "502 5.5.1"), ("FROBNICATE", "500 5.5.1"), ("", "500 5.5.1"),
        ("DATA x", "501 5.5.4"), ("DATA", "503 5.5.1"), (RCPT, "503 5.5.1"), ("MAIL", "501 5.5.4"),
        ("MAIL FROM sender@other.example", "501 5.5.4"), ("MAIL FROM:sender", "501 5.1.7"),
        ("MAIL FROM:<>", "250 2.1.0"), ("mail from:<a@b.example>", "250 2.1.0"),
        ("MAIL FROM: <a@b.example>", "250 2.1.0"), (f"{MAIL} SIZE=999999999999", "552 5.3.4"),
        (f"{MAIL} SIZE=10 BODY=8BITMIME", "250 2.1.0"), (f"{MAIL} RET=FULL", "555 5.5.4"),
        (f"{MAIL} AUTH=<>", "555 5.5.4"), ("MAIL FROM:<ü@b.example>", "553 5.6.7"),
        ("MAIL FROM:<ü@b.example> SMTPUTF8", "250 2.1.0"), ("AUTH PLAIN", "503 5.5.1"),
        ("BDAT 0 LAST", "503 5.5.1"), ("XCLIENT ADDR=127.0.0.1", "500 5.5.1"),
        (b"NOOP \xff\xfe", "500 5.5.2"), (b"NO\0OP", "500 5.5.2"),
        ("NOOP " + "x" * 506, "500 5.5.2"),
        (MAIL + " " * 4000, "500 5.5.2"), ("\x16\x03\x01", "500 5.5.1"),
    ],
)  # fmt: skip
async def test_each_command_has_its_reply(command: str | bytes, codes: str) -> None:
    client = await SmtpConversation().greeted()
    assert code_of(await client.say(command)) == codes
    assert (await client.say("NOOP"))[0].startswith("250")


@pytest.mark.parametrize("command", [MAIL, RCPT, "DATA"])
async def test_mail_needs_a_hello(command: str) -> None:
    client = SmtpConversation()
    await client.replies()
    assert code_of(await client.say(command)) == "503 5.5.1"


async def test_helo_knows_no_parameters() -> None:
    client = SmtpConversation()
    await client.replies()
    await client.say("HELO client.example")
    assert code_of(await client.say(f"{MAIL} SIZE=10")) == "555 5.5.4"
    assert code_of(await client.say(MAIL)) == "250 2.1.0"


@pytest.mark.parametrize(
    ("recipient", "codes"),
    [
        (BOB, "250 2.1.5"), ("BOB@Example.TEST", "250 2.1.5"), ("nobody@example.test", "550 5.1.1"),
        ("bob@elsewhere.example", "550 5.7.1"), ("ü@example.test", "553 5.6.7"),
        ("bob@example.test@elsewhere.example", "501 5.1.3"), ("bob%x@[192.0.2.9]", "550 5.7.1"),
    ],
)  # fmt: skip
async def test_only_mailboxes_here_are_recipients(recipient: str, codes: str) -> None:
    client = await SmtpConversation().greeted()
    await client.say(MAIL)
    assert code_of(await client.say(f"RCPT TO:<{recipient}>")) == codes


async def test_an_international_address_goes_with_smtputf8() -> None:
    client = await SmtpConversation().greeted()
    await client.say(f"{MAIL} SMTPUTF8", "RCPT TO:<ü@example.test>", "DATA")
    await client.send("Subject: ü\r\n\r\n.\r\n".encode())
    assert b"with UTF8SMTP" in client.sink.accepted[0][1]


async def test_the_bare_postmaster_is_ours() -> None:
    settings = SmtpSettings("mx.example.test", domain="example.test")
    client = await SmtpConversation(settings=settings).greeted()
    await client.say(MAIL)
    assert code_of(await client.say("RCPT TO:<Postmaster>")) == "250 2.1.5"


async def test_without_a_valid_recipient_there_is_no_data() -> None:
    client = await SmtpConversation().greeted()
    await client.say(MAIL, "RCPT TO:<nobody@example.test>")
    assert code_of(await client.say("DATA")) == "554 5.5.1"


@pytest.mark.parametrize("command", ["RSET", "EHLO again.example", "HELO again.example"])
async def test_a_transaction_is_forgotten(command: str) -> None:
    client = await SmtpConversation().greeted()
    assert code_of((await client.say(MAIL, MAIL))[1:]) == "503 5.5.1"
    await client.say(RCPT, command)
    assert code_of(await client.say(RCPT)) == "503 5.5.1"


async def test_many_messages_go_through_one_session() -> None:
    client = await SmtpConversation().greeted()
    for number in range(50):
        await client.say(MAIL, RCPT, "DATA")
        await client.say(f"Subject: {number}", "", ".")
    assert len(client.sink.accepted) == 50


@pytest.mark.parametrize("body", [b"a\nb\r\n", b"a\rb\r\n", b"x\n.\nMAIL FROM:<evil@x.test>\r\n"])
async def test_bare_line_ends_are_refused_and_nothing_hidden_is_executed(body: bytes) -> None:
    client = await SmtpConversation().greeted()
    await client.say(MAIL, RCPT, "DATA")
    assert code_of(await client.send(body + b".\r\n")) == "550 5.5.2"
    assert client.sink.accepted == []
    assert client.counters["smtp.bare_line_ends"] == 1
    assert code_of(await client.say("NOOP")) == "250 2.0.0"


async def test_nul_octets_in_a_message_are_refused() -> None:
    client = await SmtpConversation().greeted()
    await client.say(MAIL, RCPT, "DATA")
    assert code_of(await client.send(b"a\0b\r\n.\r\n")) == "550 5.6.0"


async def test_a_message_beyond_the_limit_is_refused_after_its_end() -> None:
    settings = SmtpSettings("mx.example.test", size_limit=1000)
    client = await SmtpConversation(settings=settings).greeted()
    await client.say(MAIL, RCPT, "DATA")
    assert await client.send(b"x" * 998 + b"\r\n" + b"y" * 100000 + b"\r\n") == []
    assert code_of(await client.send(b".\r\n")) == "552 5.3.4"
    await client.say(MAIL, RCPT, "DATA")
    assert (await client.send(b"x" * 998 + b"\r\n.\r\n"))[0].startswith("250")


async def test_a_message_in_a_loop_is_refused() -> None:
    client = await SmtpConversation().greeted()
    await client.say(MAIL, RCPT, "DATA")
    assert code_of(await client.send(b"Received: x\r\n" * 100 + b"\r\n.\r\n")) == "554 5.4.6"


@pytest.mark.parametrize(("temporary", "codes"), [(True, "451 4.3.0"), (False, "554 5.3.0")])
async def test_a_failing_store_is_told_without_details(temporary: bool, codes: str) -> None:
    client = await SmtpConversation().greeted()
    client.sink.failure = BackendError("disk /dev/secret is full", temporary=temporary)
    await client.say(MAIL, RCPT, "DATA")
    replies = await client.send(b"x\r\n.\r\n")
    assert code_of(replies) == codes
    assert "secret" not in replies[0]


async def test_a_fault_of_ours_shows_a_reference_that_the_log_explains(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = await SmtpConversation().greeted()
    client.sink.failure = ValueError("private details")
    await client.say(MAIL, RCPT, "DATA")
    [answer] = await client.send(b"x\r\n.\r\n")
    assert answer.startswith("451 4.3.0 Internal error, reference ")
    assert "private" not in answer
    assert f"reference={answer.split()[-1]}" in caplog.text
    assert "private details" in caplog.text
    assert code_of(await client.say("NOOP")) == "250 2.0.0"


async def test_twenty_bad_commands_end_the_session() -> None:
    client = await SmtpConversation().greeted()
    replies = await client.send(b"FROBNICATE\r\n" * 30)
    assert len(replies) == 21
    assert replies[-1].startswith("421 4.7.0")
    assert client.closed
    assert client.transport.record.reason == "too many errors"


async def test_a_pipelined_group_behind_a_refused_sender_is_not_held_against_the_client() -> None:
    client = await SmtpConversation().greeted()
    replies = await client.say("MAIL FROM:<broken", *[RCPT] * 50, "DATA")
    assert len(replies) == 52
    assert not client.closed


async def test_guessing_addresses_ends_the_session() -> None:
    settings = SmtpSettings("mx.example.test", refused_recipient_limit=5)
    client = await SmtpConversation(settings=settings).greeted()
    replies = await client.say(MAIL, *[f"RCPT TO:<guess{n}@example.test>" for n in range(9)])
    assert replies[-1].startswith("421 4.7.0")
    assert client.closed


async def test_recipients_beyond_the_limit_wait_for_the_next_transaction() -> None:
    settings = SmtpSettings("mx.example.test", recipient_limit=3)
    client = await SmtpConversation(settings=settings).greeted()
    replies = await client.say(MAIL, *[RCPT] * 4)
    assert code_of(replies[-1:]) == "452 4.5.3"
    await client.say("DATA")
    await client.send(b"x\r\n.\r\n")
    assert client.sink.accepted[0][0].recipients == (BOB,)


@pytest.mark.parametrize("request_line", ["GET / HTTP/1.1", "post /", "CONNECT a:25 HTTP/1.1"])
async def test_a_browser_is_sent_away_at_once(request_line: str) -> None:
    client = SmtpConversation()
    await client.replies()
    replies = await client.say(request_line, "Host: x", "EHLO x", MAIL)
    assert code_of(replies) == "421 4.7.0"
    assert client.closed
    assert client.counters["smtp.http_requests"] == 1


async def test_a_client_that_goes_away_ends_the_session_quietly(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = await SmtpConversation().greeted()
    await client.say(MAIL, RCPT, "DATA")
    await client.send(b"half a mess")
    await client.finish()
    assert client.sink.accepted == []
    assert caplog.text == ""


async def test_commands_before_the_end_of_input_are_still_answered() -> None:
    client = SmtpConversation()
    await client.replies()
    client.protocol.data_received(b"NOOP\r\nNOOP\r\n")
    assert client.protocol.eof_received()
    assert len(await client.replies()) == 2
    assert client.closed


async def test_a_stopping_server_says_so_between_commands() -> None:
    client = await SmtpConversation().greeted()
    client.protocol.stop()
    assert code_of(await client.replies()) == "421 4.3.2"
    assert client.closed


async def test_a_stopping_server_finishes_the_message_that_comes_in() -> None:
    client = await SmtpConversation().greeted()
    await client.say(MAIL, RCPT, "DATA")
    client.protocol.stop()
    assert await client.replies() == []
    replies = await client.send(b"x\r\n.\r\n")
    assert [reply[:9] for reply in replies] == ["250 2.0.0", "421 4.3.2"]
    assert len(client.sink.accepted) == 1


async def test_nothing_that_a_client_says_is_ever_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = await SmtpConversation().greeted()
    await client.say(MAIL, RCPT, "DATA", "Subject: private matter", "", ".", "NOOP private")
    assert "private" not in caplog.text


WORDS = st.sampled_from([
    *COMMANDS, MAIL, RCPT, "MAIL FROM:<>", "EHLO client.example", "AUTH PLAIN AGEAYg==", "GET /",
    ".", "", "text", "\n", "\0", "\r", "\r\n.\r\n", " ",
])  # fmt: skip


@given(st.lists(st.tuples(WORDS, st.sampled_from([b"\r\n", b"\n", b""])), max_size=30))
@settings(max_examples=200, deadline=None)
async def test_any_sequence_of_words_gets_well_formed_replies(
    words: list[tuple[str, bytes]],
) -> None:
    client = SmtpConversation()
    data = b"".join(word.encode() + end for word, end in words)
    replies = await client.replies() + await client.send(data)
    assert all(reply[:3].isdigit() and reply[3] in " -" for reply in replies)
    assert client.counters["smtp.internal_errors"] == 0
    await client.finish()


async def test_a_recipient_that_cannot_be_judged_is_refused_for_a_while() -> None:
    client = await SmtpConversation().greeted()
    await client.say("MAIL FROM:<>")
    client.sink.unavailable = True
    assert code_of(await client.say(f"RCPT TO:<{BOB}>")) == "451 4.4.3"
    client.sink.unavailable = False
    assert code_of(await client.say(f"RCPT TO:<{BOB}>")) == "250 2.1.5"


async def test_commands_behind_a_recipient_that_is_asked_about_wait_their_turn() -> None:
    client = await SmtpConversation().greeted()
    client.sink.asking = asyncio.get_running_loop().create_future()
    await client.say("MAIL FROM:<>")
    assert await client.say(f"RCPT TO:<{BOB}>", "RCPT TO:<nobody@example.test>", "NOOP") == []
    client.sink.asking.set_result(None)
    answers = await client.replies()
    assert [answer[:9] for answer in answers] == ["250 2.1.5", "550 5.1.1", "250 2.0.0"]


async def test_a_client_that_leaves_while_its_recipient_is_asked_about_is_no_failure() -> None:
    client = await SmtpConversation().greeted()
    client.sink.asking = asyncio.get_running_loop().create_future()
    await client.say("MAIL FROM:<>", f"RCPT TO:<{BOB}>")
    await client.finish()
    client.sink.asking.set_result(None)
    assert await client.replies() == []
