"""MAIL and RCPT with what the extensions add: judged by what was offered, kept for the sink."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailfront.front.smtp import SmtpSettings
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from mailfront.interfaces.peer import TlsFacts
from tests.support.smtp_session import ALICE, BOB, TLS, SmtpConversation, code_of

PLAIN = SmtpSettings("mx.example.test")
ABLE = replace(PLAIN, honours_dsn=True, honours_require_tls=True)
MAIL = "MAIL FROM:<x@y.example>"


async def session(
    settings: SmtpSettings = ABLE, tls: TlsFacts | None = None, hello: str = "EHLO"
) -> SmtpConversation:
    client = SmtpConversation(settings=settings, tls=tls)
    await client.replies()
    await client.say(f"{hello} client.example")
    return client


@pytest.mark.parametrize(
    ("settings", "tls", "dsn", "require_tls"),
    [
        (PLAIN, None, False, False), (PLAIN, TLS, False, False),
        (ABLE, None, True, False), (ABLE, TLS, True, True),
    ],
)  # fmt: skip
async def test_what_the_sink_honours_is_offered(
    settings: SmtpSettings, tls: TlsFacts | None, dsn: bool, require_tls: bool
) -> None:
    client = await session(settings, tls)
    offered = {line[4:] for line in await client.say("EHLO client.example")}
    assert ("DSN" in offered, "REQUIRETLS" in offered) == (dsn, require_tls)
    assert code_of(await client.say(f"{MAIL} RET=HDRS")) == ("250 2.1.0" if dsn else "555 5.5.4")
    await client.say("RSET")
    expected = "250 2.1.0" if require_tls else "555 5.5.4"
    assert code_of(await client.say(f"{MAIL} REQUIRETLS")) == expected


async def test_the_sink_is_told_all_that_was_said() -> None:
    client = await session(tls=TLS)
    await client.say(
        f"{MAIL} RET=HDRS ENVID=q1 REQUIRETLS BODY=8BITMIME SMTPUTF8",
        f"RCPT TO:<{ALICE}> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;alice@elsewhere.test",
        f"RCPT TO:<{BOB}>", "DATA", "Subject: x", "", ".",
    )  # fmt: skip
    [(envelope, _)] = client.sink.accepted
    assert envelope.options == MailOptions(
        eight_bit=True, utf8=True, require_tls=True, return_content="HDRS", envelope_id="q1"
    )
    assert envelope.recipient_options == {
        ALICE: RecipientOptions(frozenset({"SUCCESS", "DELAY"}), "rfc822;alice@elsewhere.test")
    }
    assert envelope.options_of(BOB) == RecipientOptions()
    # Nothing of it stays for the next one.
    await client.say(MAIL, f"RCPT TO:<{ALICE}>", "DATA", ".")
    assert client.sink.accepted[1][0].options == MailOptions()
    assert not client.sink.accepted[1][0].recipient_options


async def test_parameters_need_ehlo() -> None:
    client = await session(hello="HELO")
    assert code_of(await client.say(f"{MAIL} SIZE=1")) == "555 5.5.4"
    await client.say(MAIL)
    assert code_of(await client.say(f"RCPT TO:<{ALICE}> NOTIFY=NEVER")) == "555 5.5.4"


async def test_a_refused_recipient_leaves_no_options() -> None:
    client = await session()
    await client.say(MAIL)
    assert code_of(await client.say("RCPT TO:<no@example.test> NOTIFY=NEVER")) == "550 5.1.1"
    assert client.protocol.transaction.recipient_options == {}


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("MAIL TO:<x@y.example>", "501 5.5.4"), ("MAIL FROM:<x@y.example> RET=ALL", "501 5.5.4"),
        ("MAIL FROM:<ü@y.example>", "553 5.6.7"),
        ("MAIL FROM:<x@y.example> SIZE=99999999999", "552 5.3.4"),
        ("RCPT TO:<alice@example.test>", "503 5.5.1"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_or_taken_is_refused(line: str, answer: str) -> None:
    client = await session()
    assert code_of(await client.say(line)) == answer
