"""Sessions whose mail goes in-line to a server behind us, which is a list of answers here."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field, replace

import pytest

from mailfront.channels.channel import Channel, Demand
from mailfront.errors import BackendError
from mailfront.front.smtp import Role, SmtpSettings
from mailfront.front.smtp.inbound import Inbound
from mailfront.front.smtp.reception import HEADER_LIMIT, NO_OPTIONS
from mailfront.interfaces.mail_relay import (
    RelayAnswer,
    RelayClient,
    RelayConversation,
    RelayedMail,
    RelayOffer,
)
from mailfront.interfaces.message_sink import MailOptions, RecipientOptions
from tests.support.smtp_session import ALICE, BOB, PASSWORD, TLS, SmtpConversation

OK = RelayAnswer(250, ("2.1.0 theirs",))
LOST = BackendError("gone", temporary=True)
SETTINGS = SmtpSettings("mx.example.test", size_limit=2_000_000)


@dataclass
class Behind:
    """A `MailRelay` and all its conversations; `answers` by step, an exception is raised."""

    offered: RelayOffer = field(default_factory=RelayOffer)
    answers: dict[str, RelayAnswer | Exception] = field(default_factory=dict)
    clients: list[RelayClient] = field(default_factory=list)
    options: dict[str, RecipientOptions] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)
    content: bytes = b""
    finished: list[bytes] = field(default_factory=list)
    chunked: list[bool] = field(default_factory=list)
    drops: int = 0
    taking: asyncio.Event | None = None

    async def offer(self) -> RelayOffer:
        return self.offered

    def conversation(self, client: RelayClient) -> RelayConversation:
        self.clients.append(client)
        return self

    async def mail(self, mail: RelayedMail) -> RelayAnswer:
        self.asked.append(mail)
        return self._answer("mail", OK)

    async def recipient(self, address: str, options: RecipientOptions = NO_OPTIONS) -> RelayAnswer:
        self.asked.append(address)
        self.options[address] = options
        return self._answer(address, OK)

    async def data(self, *, chunked: bool = False) -> RelayAnswer:
        self.content = b""
        self.chunked.append(chunked)
        return self._answer("data", RelayAnswer(354, ("go on",)))

    async def send(self, octets: bytes) -> RelayAnswer | None:
        if self.taking is not None:
            await self.taking.wait()
        self.content += octets
        found = self.answers.get("send")
        if isinstance(found, Exception):
            raise found
        return found

    async def finish(self, octets: bytes) -> RelayAnswer:
        self.content += octets
        answer = self._answer("finish", RelayAnswer(250, ("2.0.0 queued as 4711",)))
        self.finished.append(self.content)
        return answer

    def drop(self) -> None:
        self.drops += 1

    def _answer(self, step: str, default: RelayAnswer) -> RelayAnswer:
        found = self.answers.get(step, default)
        if isinstance(found, Exception):
            raise found
        return found


async def session(behind: Behind, role: Role = Role.MX) -> SmtpConversation:
    tls = TLS if role is Role.SUBMISSION else None
    client = await SmtpConversation(role, SETTINGS, tls, relay=behind).greeted()
    if role is Role.SUBMISSION:
        await client.say("AUTH LOGIN")
        assert (await client.say(*map(encoded, (ALICE, PASSWORD))))[-1].startswith("235")
    return client


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def in_data(behind: Behind) -> SmtpConversation:
    client = await session(behind)
    answers = await client.say("MAIL FROM:<x@y.example>", f"RCPT TO:<{BOB}>", "DATA")
    assert answers == [
        "250 2.1.0 theirs", "250 2.1.0 theirs", "354 End data with <CR><LF>.<CR><LF>",
    ]  # fmt: skip
    return client


async def test_the_answers_are_theirs_in_order_and_nothing_is_stored_here() -> None:
    behind = Behind(answers={"no@example.test": RelayAnswer(550, ("5.1.1 no", "5.1.1 never"))})
    client = await session(behind)
    answers = await client.say(
        "MAIL FROM:<x@y.example> SIZE=10 BODY=8BITMIME", "RCPT TO:<no@example.test>",
        f"RCPT TO:<{BOB}>", "NOOP", "DATA",
    )  # fmt: skip
    assert answers == [
        "250 2.1.0 theirs", "550-5.1.1 no", "550 5.1.1 never", "250 2.1.0 theirs", "250 2.0.0 OK",
        "354 End data with <CR><LF>.<CR><LF>",
    ]  # fmt: skip
    assert await client.send(b"Subject: x\r\n\r\n..y\r\n.\r\nQUIT\r\n") == [
        "250 2.0.0 queued as 4711", "221 2.0.0 Goodbye",
    ]  # fmt: skip
    assert behind.asked == [
        RelayedMail("x@y.example", 10, MailOptions(eight_bit=True)), "no@example.test", BOB,
    ]  # fmt: skip
    [content] = behind.finished
    assert content.startswith(b"Received: from client.example ([192.0.2.7])\r\n")
    assert content.endswith(b"\r\nSubject: x\r\n\r\n.y\r\n")
    assert client.sink.accepted == []
    assert client.counters["smtp.messages"] == 1


async def test_whose_mail_it_is_is_told_and_another_name_is_another_client() -> None:
    behind = Behind()
    client = await session(behind, Role.SUBMISSION)
    await client.say(f"MAIL FROM:<{ALICE}>", "RSET", f"MAIL FROM:<{ALICE}>")
    await client.say("EHLO other.example", f"MAIL FROM:<{ALICE}>")
    first, second = behind.clients
    assert (first.user, first.hello, first.extended, first.tls) == (
        ALICE, "client.example", True, TLS,
    )  # fmt: skip
    assert second == replace(first, hello="other.example")
    assert behind.drops == 1


async def test_the_policy_of_the_port_still_judges_senders() -> None:
    behind = Behind()
    client = await session(behind, Role.SUBMISSION)
    assert (await client.say(f"MAIL FROM:<{BOB}>"))[0].startswith("553")
    assert behind.asked == []


async def test_ehlo_promises_what_they_do() -> None:
    behind = Behind(RelayOffer(1000, eight_bit=False, utf8=False))
    client = SmtpConversation(Role.MX, SETTINGS, relay=behind)
    await client.replies()
    offered = await client.say("EHLO client.example")
    assert "250-SIZE 1000" in offered
    assert not {"250-8BITMIME", "250-SMTPUTF8"} & set(offered)
    for parameter in ("SIZE=1001", "BODY=8BITMIME", "SMTPUTF8"):
        assert (await client.say(f"MAIL FROM:<> {parameter}"))[0][:3] in ("552", "555")
    await client.say("MAIL FROM:<>", f"RCPT TO:<{BOB}>", "DATA")
    answer = await client.send(b"x" * 998 + b"\r\nyy\r\n.\r\n")
    assert answer == ["552 5.3.4 Message larger than this server accepts"]
    assert behind.finished == []


@pytest.mark.parametrize(
    ("step", "replies"),
    [
        ("mail", ["451 4.4.1", "503 5.5.1", "503 5.5.1"]),
        (BOB, ["250 2.1.0", "451 4.4.2", "554 5.5.1"]),
        ("data", ["250 2.1.0", "250 2.1.0", "451 4.4.2"]),
    ],
)
async def test_a_loss_is_a_temporary_failure(step: str, replies: list[str]) -> None:
    client = await session(Behind(answers={step: LOST}))
    answers = await client.say("MAIL FROM:<>", f"RCPT TO:<{BOB}>", "DATA")
    assert [answer[:9] for answer in answers] == replies


async def test_a_loss_at_the_end_is_never_an_acceptance() -> None:
    behind = Behind(answers={"finish": LOST})
    client = await in_data(behind)
    assert (await client.send(b"x\r\n.\r\n"))[0].startswith("451 4.4.2")
    assert behind.drops == 1
    assert client.counters["smtp.messages_failed"] == 1


async def test_a_refused_data_command_is_passed_on() -> None:
    client = await session(Behind(answers={"data": RelayAnswer(554, ("5.5.1 no",))}))
    answers = await client.say("MAIL FROM:<>", f"RCPT TO:<{BOB}>", "DATA", "NOOP")
    assert answers[2:] == ["554 5.5.1 no", "250 2.0.0 OK"]


@pytest.mark.parametrize("wrong", [b"a\nb", b"a\rb", b"a\0b"])
@pytest.mark.parametrize("before", [0, 2 * HEADER_LIMIT])
async def test_a_message_with_what_is_forbidden_never_gets_its_end(
    wrong: bytes, before: int
) -> None:
    behind = Behind()
    client = await in_data(behind)
    await client.send(b"x" * 76 + b"\r\n" * (before // 2))
    assert (await client.send(b"Subject: x\r\n\r\n" + wrong + b"\r\n.\r\n"))[0].startswith("550")
    assert behind.finished == []
    assert behind.drops >= 1
    assert wrong not in behind.content


async def test_large_messages_go_on_as_they_come_and_no_faster_than_they_are_taken() -> None:
    behind = Behind(taking=asyncio.Event())
    assert behind.taking is not None
    client = await in_data(behind)
    body = b"x" * (HEADER_LIMIT + 100)
    await client.send(body)
    held_back = [client.transport.paused]
    assert behind.content == b""
    behind.taking.set()
    await client.replies()
    held_back.append(client.transport.paused)
    assert held_back == [True, False]
    assert behind.content.endswith(body)
    await client.send(b"\r\n.\r\n")
    assert behind.finished == [behind.content]


async def test_a_refusal_on_the_way_is_told_at_the_end() -> None:
    behind = Behind(answers={"send": RelayAnswer(552, ("5.3.4 enough",))})
    client = await in_data(behind)
    assert await client.send(b"x" * (HEADER_LIMIT + 1)) == []
    assert await client.send(b"y\r\n.\r\n") == ["552 5.3.4 enough"]
    assert behind.finished == []


@pytest.mark.parametrize("size", [0, HEADER_LIMIT])
async def test_a_message_in_a_loop_ends_here(size: int) -> None:
    behind = Behind()
    client = await in_data(behind)
    header = b"Received: x\r\n" * 100
    answers = await client.send(header + b"\r\n" + b"x" * size + b"\r\n.\r\n")
    assert answers[0].startswith("554 5.4.6")
    assert behind.content == b""
    assert behind.drops == 1


async def test_a_client_that_is_gone_leaves_nothing_behind() -> None:
    behind = Behind()
    client = await in_data(behind)
    await client.send(b"half a message")
    client.protocol.connection_lost(None)
    assert behind.drops >= 1
    assert behind.finished == []


async def test_a_client_that_is_gone_while_its_data_waits_leaves_nothing_behind() -> None:
    behind = Behind(taking=asyncio.Event())
    assert behind.taking is not None
    client = await in_data(behind)
    await client.send(b"x" * (HEADER_LIMIT + 1))
    client.transport.close()
    client.protocol.connection_lost(None)
    behind.taking.set()
    await client.replies()
    assert behind.drops >= 1
    assert behind.finished == []


@pytest.mark.parametrize(("code", "ended"), [(450, False), (550, True)])
async def test_only_what_they_refuse_for_good_counts_as_guessing(code: int, ended: bool) -> None:
    behind = Behind(answers={BOB: RelayAnswer(code, ("not bob",))})
    settings = replace(SETTINGS, refused_recipient_limit=3)
    client = await SmtpConversation(Role.MX, settings, relay=behind).greeted()
    await client.say("MAIL FROM:<x@y.example>")
    for _ in range(4):
        await client.say(f"RCPT TO:<{BOB}>")
    assert client.closed is ended


async def test_chunks_go_on_as_they_come() -> None:
    behind = Behind()
    client = await session(behind)
    mail = f"MAIL FROM:<x@y.example>\r\nRCPT TO:<{BOB}>\r\n".encode()
    await client.send(mail + b"BDAT 11\r\nSubject: x\r")
    assert await client.send(b"BDAT 4 LAST\r\n\n\r\ny") == ["250 2.0.0 queued as 4711"]
    assert behind.chunked == [True]
    assert behind.finished[0].endswith(b"\r\nSubject: x\r\n\r\ny\r\n")
    # What comes by DATA goes on by DATA.
    await client.send(mail + b"DATA\r\n")
    assert behind.chunked == [True, False]


async def test_chunks_that_cannot_go_on_are_read_to_their_end() -> None:
    behind = Behind(answers={"data": RelayAnswer(451, ("4.3.0 not now",))})
    client = await session(behind)
    mail = f"MAIL FROM:<x@y.example>\r\nRCPT TO:<{BOB}>\r\n".encode()
    answers = await client.send(mail + b"BDAT 6\r\nQUIT\r\nNOOP\r\n")
    assert answers[2:] == ["451 4.3.0 not now", "250 2.0.0 OK"]
    behind.answers = {}
    await client.send(mail + b"BDAT 6\r\nQUIT\r\n")
    drops = behind.drops
    assert await client.send(b"RSET\r\n") == ["250 2.0.0 Transaction reset"]
    assert behind.drops == drops + 1
    assert behind.finished == []


@pytest.mark.parametrize("dsn", [True, False])
async def test_what_the_servers_behind_honour_is_offered_and_told(dsn: bool) -> None:
    behind = Behind(RelayOffer(dsn=dsn, require_tls=dsn))
    client = await session(behind, Role.SUBMISSION)
    offered = await client.say("EHLO client.example")
    assert ("250-DSN" in offered, "250-REQUIRETLS" in offered) == (dsn, dsn)
    answers = await client.say(
        f"MAIL FROM:<{ALICE}> RET=FULL ENVID=1 REQUIRETLS", f"RCPT TO:<{BOB}> NOTIFY=NEVER"
    )
    assert [answer[:3] for answer in answers] == (["250", "250"] if dsn else ["555", "503"])
    if dsn:
        options = MailOptions(require_tls=True, return_content="FULL", envelope_id="1")
        assert behind.asked[0] == RelayedMail(ALICE, None, options)
        assert behind.options == {BOB: RecipientOptions(frozenset({"NEVER"}))}


async def test_who_may_not_relay_reaches_users_here_alone_whatever_the_server_behind_takes() -> (
    None
):
    behind = Behind()
    client = await SmtpConversation(Role.SUBMISSION, SETTINGS, TLS, relay=behind).greeted()
    channel = Channel("tcp_submit", "", 0, sasl_server=Demand.MAY, submission=True)
    client.protocol.facts.inbound = Inbound(channel)
    await client.say("MAIL FROM:<forged@bank.example>")
    answers = await client.say("RCPT TO:<victim@elsewhere.example>", "RCPT TO:<no@example.test>")
    assert [answer[:9] for answer in answers] == ["550 5.7.1", "550 5.1.1"]
    assert await client.say(f"RCPT TO:<{BOB}>") == ["250 2.1.0 theirs"]
    assert behind.asked[1:] == [BOB]
