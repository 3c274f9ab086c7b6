"""What a port for other servers' mail takes, beyond what the conversations show."""

from __future__ import annotations

import asyncio
import logging

import pytest

from mailfront.front.smtp.reception import Reception
from mailfront.front.smtp.settings import SmtpSettings
from mailfront.front.smtp.spool import SpooledMessage
from mailfront.front.smtp.transaction import SessionFacts, Transaction
from mailfront.interfaces.peer import Peer
from mailfront.protocol.smtp import reply
from mailfront.protocol.smtp.address import Mailbox
from tests.support.smtp_session import BOB, Sink, SmtpConversation

SETTINGS = SmtpSettings("mx.example.test")


def facts() -> SessionFacts:
    return SessionFacts(asyncio.get_running_loop(), Peer("192.0.2.7", 1, "192.0.2.1", 25), None)


async def test_every_sender_is_welcome_the_null_one_too() -> None:
    reception = Reception(SETTINGS, Sink(), lambda name: None)
    assert await reception.handle_MAIL(facts(), None) is reply.SENDER_OK
    assert await reception.handle_MAIL(facts(), Mailbox("a", "b.test")) is reply.SENDER_OK


async def test_foreign_recipients_are_relaying() -> None:
    reception = Reception(SETTINGS, Sink(), lambda name: None)
    answer = await reception.handle_RCPT(facts(), Mailbox("a", "elsewhere.test"))
    assert answer is reply.RELAYING_DENIED


async def test_a_recipient_named_twice_gets_one_copy_and_nothing_is_added_to_the_header() -> None:
    sink = Sink()
    reception = Reception(SETTINGS, sink, lambda name: None)
    transaction = Transaction()
    transaction.mail_from = ""
    transaction.rcpt_tos += [BOB, BOB]
    message = SpooledMessage()
    message.append(b"Subject: x\r\n\r\n")
    answer = await reception.handle_DATA(facts(), transaction, message)
    assert answer.code == 250
    [(envelope, content)] = sink.accepted
    assert (envelope.sender, envelope.recipients) == ("", (BOB,))
    assert b"Date:" not in content
    assert b"Message-ID:" not in content
    assert b"from unknown ([192.0.2.7])" in content


async def test_no_250_before_the_sink_has_accepted() -> None:
    client = await SmtpConversation().greeted()
    client.sink.release = asyncio.Event()
    await client.say("MAIL FROM:<>", f"RCPT TO:<{BOB}>", "DATA")
    assert await client.send(b"x\r\n.\r\nQUIT\r\n") == []
    client.sink.release.set()
    assert [answer[:3] for answer in await client.replies()] == ["250", "221"]


async def test_a_client_that_leaves_during_the_delivery_does_not_undo_it() -> None:
    client = await SmtpConversation().greeted()
    client.sink.release = asyncio.Event()
    await client.say("MAIL FROM:<>", f"RCPT TO:<{BOB}>", "DATA")
    await client.send(b"x\r\n.\r\n")
    await client.finish()
    client.sink.release.set()
    await client.replies()
    assert len(client.sink.accepted) == 1


async def test_the_log_links_the_reply_to_the_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    client = await SmtpConversation().greeted()
    await client.say('MAIL FROM:<"odd = name"@other.example>', f"RCPT TO:<{BOB}>", "DATA")
    [answer] = await client.send(b"x\r\n.\r\n")
    [record] = caplog.records
    assert record.getMessage().startswith(f"message={answer.split()[-1]} peer=192.0.2.7:40000 ")
    assert r'sender="\"odd = name\"@other.example" recipients=1 octets=' in record.getMessage()
