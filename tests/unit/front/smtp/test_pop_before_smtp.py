"""Clients without AUTH that logged in to read mail: what they may, and for one message only."""

from __future__ import annotations

import logging
from dataclasses import replace

import pytest

from mailfront.authentication.recent_logins import LoginTable
from mailfront.channels.channel import Channel
from mailfront.front.smtp import Role, SmtpSettings
from mailfront.front.smtp.pop_before_smtp import METHOD, PopBeforeSmtp
from tests.support.smtp_session import ALICE, BOB, TLS, SmtpConversation, code_of

ALIAS = "alias@example.test"
ELSEWHERE = "RCPT TO:<x@elsewhere.example>"
CHANNEL = Channel("tcp_intranet", "", 0)
ADDRESS = "192.0.2.7"


def settings(table: LoginTable, channel: Channel | None = CHANNEL) -> SmtpSettings:
    kludge = PopBeforeSmtp(table, lambda: channel)
    return SmtpSettings("mx.example.test", sends=True, pop_before_smtp=kludge)


def logged_in(address: str = ADDRESS) -> LoginTable:
    table = LoginTable(900)
    table.note(address, ALICE, frozenset({ALICE, ALIAS}))
    return table


async def session(role: Role, table: LoginTable, **more: object) -> SmtpConversation:
    tls = TLS if role is Role.SUBMISSION else None
    return await SmtpConversation(role, replace(settings(table), **more), tls).greeted()  # type: ignore[arg-type]


@pytest.mark.parametrize("role", list(Role))
async def test_who_logged_in_sends_anywhere_with_an_own_sender(
    role: Role, caplog: pytest.LogCaptureFixture
) -> None:
    client = await session(role, logged_in())
    with caplog.at_level(logging.INFO, "mailfront.smtp"):
        answers = await client.say(f"MAIL FROM:<{ALIAS}>", ELSEWHERE, f"RCPT TO:<{BOB}>", "DATA")
    assert [answer[:3] for answer in answers] == ["250", "250", "250", "354"]
    assert f"user={ALICE} sender={ALIAS} sends without AUTH" in caplog.text
    [answer] = await client.say("Subject: x", "", ".")
    assert answer.startswith("250")
    [(envelope, content)] = client.sink.accepted
    assert envelope.authenticated_user == ALICE
    # RFC 3848: the A stands for AUTH alone.
    assert b" with ESMTPSA" not in content
    assert b"\r\nMessage-ID: " in content
    assert client.counters["submit.pop_before_smtp"] == 1
    assert client.transport.record.method == METHOD


async def test_others_behind_the_same_address_stay_what_they_are() -> None:
    client = await session(Role.MX, logged_in())
    for sender in ("<mallory@elsewhere.example>", f"<{BOB}>", "<>"):
        await client.say(f"MAIL FROM:{sender}")
        assert code_of(await client.say(ELSEWHERE)) == "550 5.7.1"
        assert code_of(await client.say(f"RCPT TO:<{BOB}>")) == "250 2.1.5"
        await client.say("RSET")
    client = await session(Role.SUBMISSION, logged_in())
    assert code_of(await client.say("MAIL FROM:<mallory@elsewhere.example>")) == "530 5.7.0"
    assert code_of(await client.say("MAIL FROM:<>")) == "250 2.1.0"


@pytest.mark.parametrize("end", ["RSET", "EHLO again.example", "message"])
async def test_the_right_is_for_one_message(end: str) -> None:
    client = await session(Role.MX, logged_in())
    await client.say(f"MAIL FROM:<{ALICE}>", ELSEWHERE)
    if end == "message":
        await client.say("DATA", "x", ".")
    else:
        await client.say(end)
    await client.say("MAIL FROM:<stranger@other.example>")
    assert code_of(await client.say(ELSEWHERE)) == "550 5.7.1"


@pytest.mark.parametrize("role", list(Role))
async def test_nobody_else_gains_anything(role: Role) -> None:
    client = await session(role, logged_in("192.0.2.8"))
    answers = await client.say(f"MAIL FROM:<{ALICE}>", ELSEWHERE)
    assert answers[1][:3] in ("530", "550")
    assert not client.counters["submit.pop_before_smtp"]


async def test_a_login_after_ehlo_counts_from_the_next_on() -> None:
    table = LoginTable(900)
    client = await session(Role.SUBMISSION, table)
    assert code_of(await client.say(f"MAIL FROM:<{ALICE}>")) == "530 5.7.0"
    table.note(ADDRESS, ALICE, frozenset({ALICE}))
    await client.say("EHLO again.example")
    assert code_of(await client.say(f"MAIL FROM:<{ALICE}>")) == "250 2.1.0"


async def test_nothing_holds_while_its_channel_is_gone() -> None:
    client = SmtpConversation(Role.SUBMISSION, settings(logged_in(), None), TLS)
    await client.greeted()
    assert code_of(await client.say(f"MAIL FROM:<{ALICE}>")) == "530 5.7.0"
