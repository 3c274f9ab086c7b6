"""Transactions with a server behind us that misbehaves in every way it can, in memory."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.backend.upstream import smtp
from mailfront.backend.upstream.connecting import Connector, UpstreamConnection
from mailfront.backend.upstream.smtp import SmtpRelay
from mailfront.configuration.upstream_list import Upstream, parse_upstreams
from mailfront.errors import BackendError
from mailfront.interfaces.mail_relay import RelayAnswer, RelayClient, RelayedMail, RelayOffer
from mailfront.interfaces.message_sink import MailOptions
from mailfront.interfaces.peer import Peer
from mailfront.protocol.starttls_client import Dialogue, StarttlsProtocol
from mailfront.tls.client_transport import ClientTransport
from mailfront.tls.conversation import Conversation

CLIENT = RelayClient(Peer("192.0.2.7", 40000, "192.0.2.1", 25), None, "mx.example", extended=True)
MAIL = RelayedMail("a@example.org")
EHLO = b"250-mta\r\n250-SIZE 100000\r\n250-8BITMIME\r\n250 XCLIENT ADDR\r\n"
ANSWERS = {
    b"EHLO": EHLO,
    b"XCLI": b"220 mta\r\n",
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"RSET": b"250 2.0.0 Ok\r\n",
    b"DATA": b"354 go on\r\n",
    b"\r\n.\r\n": b"250 2.0.0 queued\r\n",
}


class Server:
    """The other end of one connection; `answers` by command, None closes."""

    def __init__(self, answers: dict[bytes, bytes | None]) -> None:
        self.conversation = Conversation()
        self.received = b""
        self.aborted = self.closed = False
        self._answers: dict[bytes, bytes | None] = {**ANSWERS, **answers}
        self.says(self._answers.get(b"", b"220 mta\r\n"))

    def says(self, answer: bytes | None) -> None:
        if answer is None:
            self.conversation.connection_lost(None)
        elif answer:
            self.conversation.data_received(answer)

    # What `ClientTransport` has.

    def write(self, data: bytes) -> None:
        self.received += data
        ended = (b"\r\n" + data).endswith(b"\r\n.\r\n")
        key = b"\r\n.\r\n" if ended else data[:4]
        if key in self._answers:
            self.says(self._answers[key])
            if self._answers[key] == b"25":
                self.says(None)

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True
        self.conversation.connection_lost(None)

    session = None

    @property
    def verbs(self) -> list[bytes]:
        return [line[:4] for line in self.received.split(b"\r\n") if line]


class Servers(Connector):
    """Gives connections to servers of this process, one after the other."""

    def __init__(self, *answers: dict[bytes, bytes | None] | None) -> None:
        super().__init__(lambda: pytest.fail("no TLS here"), timeout=5)
        self._answers = list(answers)
        self.opened: list[Server] = []

    async def open(self, upstream: Upstream, header: bytes = b"") -> UpstreamConnection:
        answers = self._answers.pop(0) if self._answers else {}
        if answers is None:
            raise ConnectionRefusedError
        server = Server(answers)
        self.opened.append(server)
        transport = cast(ClientTransport, server)
        return UpstreamConnection(upstream, transport, server.conversation, greeting=None)


def relay(
    connector: Connector, url: str = "smtp://127.0.0.1", *, strangers: bool = True
) -> SmtpRelay:
    upstreams = parse_upstreams(url, ("smtp", "lmtp"))
    return SmtpRelay(upstreams, connector, "front.test", judges_addresses=strangers)


async def test_one_connection_serves_one_transaction_after_the_other() -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    for _ in range(2):
        assert (await conversation.mail(MAIL)).accepts
        assert (await conversation.recipient("b@example.test")).accepts
        assert (await conversation.data()).code == 354
        assert await conversation.send(b"Subject: x\r\n\r") is None
        answer = await conversation.finish(b"\n.dot\r\n")
        assert answer == RelayAnswer(250, ("2.0.0 queued",))
    conversation.drop()
    [server] = servers.opened
    assert server.verbs[:3] == [b"EHLO", b"XCLI", b"EHLO"]
    assert server.received.count(b"Subject: x\r\n\r\n..dot\r\n.\r\n") == 2
    assert server.verbs[-1] == b"QUIT"
    assert server.closed
    assert not server.aborted


async def test_a_transaction_that_was_given_up_is_reset_there_too() -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.mail(MAIL)
    assert servers.opened[0].verbs[3:] == [b"MAIL", b"RSET", b"MAIL"]


async def test_a_connection_that_went_stale_is_replaced_before_a_transaction_begins() -> None:
    for last_words in (b"421 4.4.2 idle\r\n", None, b"250 what\r\n"):
        servers = Servers()
        conversation = relay(servers).conversation(CLIENT)
        await conversation.mail(RelayedMail("first@example.org"))
        await conversation.recipient("b@example.test")
        await conversation.data()
        await conversation.finish(b"")
        servers.opened[0].says(last_words)
        assert (await conversation.mail(MAIL)).accepts
        assert len(servers.opened) == 2
        assert servers.opened[0].verbs.count(b"MAIL") == 1


@pytest.mark.parametrize(
    "wrong", [None, b"252 perhaps\r\n", b"354 go on\r\n", b"530 5.7.0 log in\r\n", b"nonsense\r\n"]
)
@pytest.mark.parametrize("command", [b"MAIL", b"RCPT", b"DATA", b"\r\n.\r\n"])
async def test_what_is_no_answer_to_what_was_asked_is_a_failure_and_the_end(
    command: bytes, wrong: bytes | None
) -> None:
    if command == b"DATA" and wrong == b"354 go on\r\n":
        wrong = b"250 go on\r\n"
    servers = Servers({command: wrong})
    conversation = relay(servers).conversation(CLIENT)
    with pytest.raises(BackendError):  # noqa: PT012
        await conversation.mail(MAIL)
        await conversation.recipient("b@example.test")
        await conversation.data()
        await conversation.finish(b"x\r\n")
    assert servers.opened[0].aborted
    # The transaction is lost: it does not go on over another connection.
    for step in (conversation.recipient("b@example.test"), conversation.data()):
        with pytest.raises(BackendError):
            await step
    with pytest.raises(BackendError):
        await conversation.finish(b"")
    assert len(servers.opened) == 1


_SAID = st.sampled_from(
    [
        b"250 ok\r\n", b"250-a\r\n250 b\r\n", b"354 go\r\n", b"450 later\r\n", b"550 no\r\n",
        b"421 bye\r\n", b"220 hello\r\n", b"250 ok\r\n250 ok\r\n", b"354 go\r\n250 ok\r\n",
        b"250 ok\r\n354 go\r\n", b"25", b"x\r\n", None,
    ]
)  # fmt: skip
_STEPS = (b"MAIL", b"RCPT", b"DATA", b"\r\n.\r\n")


@given(st.fixed_dictionaries(dict.fromkeys(_STEPS, _SAID)))
async def test_mail_is_accepted_only_by_the_answer_to_its_end(
    answers: dict[bytes, bytes | None],
) -> None:
    servers = Servers(answers)
    conversation = relay(servers).conversation(CLIENT)
    accepted = False
    try:
        begun = (await conversation.mail(MAIL)).accepts
        named = begun and (await conversation.recipient("b@example.test")).accepts
        invited = named and (await conversation.data()).code == 354
        accepted = invited and (await conversation.finish(b"x\r\n")).accepts
    except BackendError:
        assert servers.opened[0].aborted
    if accepted:
        assert answers[b"DATA"] == b"354 go\r\n"
        assert all((answers[step] or b"").startswith(b"250") for step in (b"MAIL", b"RCPT"))
        assert (answers[b"\r\n.\r\n"] or b"").startswith(b"250")


async def test_an_acceptance_before_the_end_is_never_one() -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.recipient("b@example.test")
    await conversation.data()
    servers.opened[0].says(b"250 2.0.0 queued already\r\n")
    with pytest.raises(BackendError):
        await conversation.finish(b"x\r\n")
    assert servers.opened[0].aborted
    assert b"\r\n.\r\n" not in servers.opened[0].received


async def test_an_answer_too_many_is_not_taken_for_the_next() -> None:
    servers = Servers({b"RCPT": b"550 5.1.1 no\r\n250 2.1.5 yes\r\n"})
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    assert (await conversation.recipient("b@example.test")).code == 550
    with pytest.raises(BackendError):
        await conversation.recipient("c@example.test")


@pytest.mark.parametrize("at_the_end", [True, False])
async def test_a_refusal_before_the_end_is_passed_on_and_the_rest_not_sent(
    at_the_end: bool,
) -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.recipient("b@example.test")
    await conversation.data()
    servers.opened[0].says(b"552 5.3.4 too large\r\n")
    answer = await (conversation.finish if at_the_end else conversation.send)(b"rest\r\n")
    assert answer == RelayAnswer(552, ("5.3.4 too large",))
    assert servers.opened[0].aborted
    assert b"rest" not in servers.opened[0].received


async def test_a_message_without_its_end_is_aborted() -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.recipient("b@example.test")
    await conversation.data()
    await conversation.send(b"x\r\n")
    conversation.drop()
    assert servers.opened[0].aborted
    assert not servers.opened[0].received.endswith(b".\r\n")


async def test_it_sends_no_more_than_is_taken() -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.recipient("b@example.test")
    await conversation.data()
    servers.opened[0].conversation.pause_writing()
    sending = asyncio.ensure_future(conversation.send(b"x\r\n"))
    await asyncio.sleep(0)
    assert not sending.done()
    servers.opened[0].conversation.resume_writing()
    assert await sending is None


async def test_a_refusal_by_a_server_that_takes_nothing_more_is_passed_on() -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.recipient("b@example.test")
    await conversation.data()
    [server] = servers.opened
    server.conversation.pause_writing()
    sending = asyncio.ensure_future(conversation.send(b"x\r\n"))
    await asyncio.sleep(0)
    server.says(b"552 5.3.4 too large\r\n")
    server.says(None)
    assert await sending == RelayAnswer(552, ("5.3.4 too large",))
    assert server.aborted


async def test_a_server_that_goes_while_it_takes_nothing_is_a_failure() -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.recipient("b@example.test")
    await conversation.data()
    servers.opened[0].conversation.pause_writing()
    sending = asyncio.ensure_future(conversation.send(b"x\r\n"))
    await asyncio.sleep(0)
    servers.opened[0].says(None)
    with pytest.raises(BackendError):
        await sending


async def test_the_next_server_is_asked_and_the_failure_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    servers = Servers({b"": b"554 5.3.2 not now\r\n"}, None, {})
    behind = relay(servers, "smtp://127.0.0.1,smtp://127.0.0.2,smtp://127.0.0.3")
    with caplog.at_level(logging.ERROR):
        assert (await behind.conversation(CLIENT).mail(MAIL)).accepts
    assert "it greets with 554 5.3.2 not now" in caplog.text
    assert len(behind.problems()) == 2


async def test_none_that_answers_is_a_temporary_failure() -> None:
    behind = relay(Servers(None, None))
    for _ in range(2):
        with pytest.raises(BackendError) as failure:
            await behind.conversation(CLIENT).mail(MAIL)
        assert failure.value.temporary
    assert behind.problems() == ["upstream 127.0.0.1:25: connection refused"]


async def test_a_server_that_cannot_be_told_the_address_gets_no_mail_of_strangers() -> None:
    no_xclient: dict[bytes, bytes | None] = {b"EHLO": b"250-mta\r\n250 SIZE\r\n"}
    with pytest.raises(BackendError):
        await relay(Servers(no_xclient)).conversation(CLIENT).mail(MAIL)
    told = relay(Servers(no_xclient), "smtp://127.0.0.1?proxy=v2")
    assert (await told.conversation(CLIENT).mail(MAIL)).accepts
    of_users = relay(Servers(no_xclient), strangers=False)
    assert (await of_users.conversation(CLIENT).mail(MAIL)).accepts


@pytest.mark.parametrize(
    "peer", [Peer("unknown", 0, "unknown", 0), Peer("192.0.2.7", 1, "2001:db8::1", 25)]
)
async def test_a_proxy_header_that_cannot_name_a_stranger_brings_no_mail(peer: Peer) -> None:
    no_xclient: dict[bytes, bytes | None] = {b"EHLO": b"250-mta\r\n250 SIZE\r\n"}
    client = RelayClient(peer, None, "mx.example", extended=True)
    told = relay(Servers(no_xclient, no_xclient), "smtp://127.0.0.1?proxy=v2")
    with pytest.raises(BackendError):
        await told.conversation(client).mail(MAIL)
    # That is not the server's fault.
    assert told.problems() == []
    assert (await told.conversation(CLIENT).mail(MAIL)).accepts
    of_users = relay(Servers(no_xclient), "smtp://127.0.0.1?proxy=v2", strangers=False)
    assert (await of_users.conversation(client).mail(MAIL)).accepts


async def test_the_refusal_of_a_client_is_its_answer_to_mail() -> None:
    servers = Servers({b"XCLI": b"554 5.7.1 on a list\r\n"})
    conversation = relay(servers).conversation(CLIENT)
    assert await conversation.mail(MAIL) == RelayAnswer(554, ("5.7.1 on a list",))
    with pytest.raises(BackendError):
        await conversation.recipient("b@example.test")


EVIL = RelayClient(Peer("192.0.2.66", 1, "192.0.2.1", 25), None, "evil.example", extended=True)
TWO = "smtp://127.0.0.1?proxy=v2,smtp://127.0.0.2?proxy=v2"


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ({b"": b"421 4.7.0 too many connections\r\n"}, 451),
        ({b"": b"554 5.7.1 on a list\r\n"}, 554),
        ({b"EHLO": b"450 4.7.1 later\r\n"}, 450),
    ],
)
async def test_a_client_that_a_proxy_header_named_takes_no_server_out_of_use(
    answers: dict[bytes, bytes | None], code: int
) -> None:
    refusals = 1 if code >= 500 else 2
    behind = relay(Servers(*[answers] * refusals), TWO)
    conversation = behind.conversation(EVIL)
    assert (await conversation.mail(MAIL)).code == code
    with pytest.raises(BackendError):
        await conversation.recipient("b@example.test")
    assert behind.problems() == []
    assert (await behind.conversation(CLIENT).mail(MAIL)).accepts
    # What was told to that client is not what EHLO promises to others.
    assert (await behind.offer()).eight_bit


async def test_a_client_that_one_server_puts_off_may_go_to_another() -> None:
    servers = Servers({b"": b"421 4.3.2 shutting down\r\n"}, {})
    behind = relay(servers, TWO)
    assert (await behind.conversation(CLIENT).mail(MAIL)).accepts
    assert [server.closed for server in servers.opened] == [True, False]


async def test_a_greeting_behind_a_header_that_names_nobody_is_the_servers_fault() -> None:
    behind = relay(Servers({b"": b"421 4.3.2 shutting down\r\n"}), "smtp://127.0.0.1?proxy=v2")
    await behind.offer()
    assert behind.problems() == ["upstream 127.0.0.1:25: it greets with 421 4.3.2 shutting down"]


class RefusesTls(Connector):
    """Refuses each connection before TLS."""

    def __init__(self) -> None:
        super().__init__(lambda: pytest.fail("no TLS here"), timeout=5)

    async def open(self, upstream: Upstream, header: bytes = b"") -> UpstreamConnection:
        Dialogue(StarttlsProtocol.SMTP).feed(b"554 5.7.1 on a list \xc3\xbc\r\n")
        pytest.fail("it refuses")


async def test_before_starttls_too_a_named_client_is_refused_and_the_server_is_not_at_fault() -> (
    None
):
    behind = relay(RefusesTls(), TWO)
    refusal = await behind.conversation(EVIL).mail(MAIL)
    # It was said in clear: never for good.
    assert refusal == RelayAnswer(451, ("4.0.0 5.7.1 on a list ?",))
    assert behind.problems() == []
    await behind.offer()
    assert len(behind.problems()) == 2


class Silent(Connector):
    """Never answers."""

    def __init__(self) -> None:
        super().__init__(lambda: pytest.fail("no TLS here"), timeout=5)
        self.asked = 0

    async def open(self, upstream: Upstream, header: bytes = b"") -> UpstreamConnection:
        self.asked += 1
        await asyncio.Event().wait()
        pytest.fail("it never answers")


async def test_servers_that_do_not_answer_hold_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smtp, "OFFER_TIMEOUT", 0.01)
    silent = Silent()
    behind = relay(silent)
    assert await asyncio.gather(*[behind.offer() for _ in range(20)]) == [RelayOffer()] * 20
    assert silent.asked == 1


async def test_what_was_known_before_is_offered_while_a_server_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(smtp, "OFFER_LASTS", 0.0)
    behind = relay(Servers(ehlo("SIZE 12048", "XCLIENT ADDR")))
    assert (await behind.offer()).size_limit == 10_000
    assert (await behind.offer()).size_limit == 10_000
    while (await behind.offer()).size_limit == 10_000:
        await asyncio.sleep(0)


def ehlo(*words: str) -> dict[bytes, bytes | None]:
    return {b"EHLO": "".join(f"250-{word}\r\n" for word in ("mta", *words)).encode() + b"250 X\r\n"}


async def test_what_is_offered_is_what_all_do_and_asked_for_once() -> None:
    servers = Servers(ehlo("SIZE 12048", "8BITMIME", "SMTPUTF8", "XCLIENT ADDR"))
    behind = relay(servers)
    for _ in range(3):
        assert await behind.offer() == RelayOffer(10_000, eight_bit=True, utf8=True)
    assert len(servers.opened) == 1
    assert servers.opened[0].verbs == [b"EHLO", b"QUIT"]


@pytest.mark.parametrize(
    ("answers", "offer"),
    [
        (ehlo("SIZE", "XCLIENT ADDR"), RelayOffer(None, eight_bit=False, utf8=False)),
        (ehlo("SIZE 5", "8BITMIME", "XCLIENT ADDR"), RelayOffer(0, eight_bit=True, utf8=False)),
        (None, RelayOffer()),
    ],
)
async def test_what_is_offered_is_no_more_than_is_known(
    answers: dict[bytes, bytes | None] | None, offer: RelayOffer
) -> None:
    assert await relay(Servers(answers)).offer() == offer


async def test_a_flood_without_question_is_not_kept() -> None:
    servers = Servers()
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    for _ in range(100):
        servers.opened[0].says(b"250 x\r\n" * 10_000)
    with pytest.raises(BackendError):
        await conversation.recipient("b@example.test")


async def test_a_cancelled_command_ends_the_connection() -> None:
    servers = Servers({b"RCPT": b""})
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    asking = asyncio.ensure_future(conversation.recipient("b@example.test"))
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert servers.opened[0].aborted


CHUNKING = b"250-mta\r\n250-CHUNKING\r\n250-DSN\r\n250 XCLIENT ADDR\r\n"


async def test_chunks_go_on_in_chunks_where_the_server_takes_them() -> None:
    servers = Servers({b"EHLO": CHUNKING, b"BDAT": b"250 2.0.0 Ok\r\n"})
    conversation = relay(servers).conversation(CLIENT)
    for _ in range(2):
        await conversation.mail(MAIL)
        await conversation.recipient("b@example.test")
        assert (await conversation.data(chunked=True)).code == 354
        assert await conversation.send(b"Subject: x\r\n") is None
        assert (await conversation.finish(b"\r\n.\r\n")).accepts
    [server] = servers.opened
    assert server.received.count(b"BDAT 12\r\nSubject: x\r\nBDAT 5 LAST\r\n\r\n.\r\n") == 2
    assert b"RSET" not in server.received
    assert b"DATA" not in server.received


async def test_chunks_go_on_as_data_where_the_server_takes_none() -> None:
    servers = Servers({b"BDAT": b"500 what\r\n"})
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.recipient("b@example.test")
    assert (await conversation.data(chunked=True)).code == 354
    assert (await conversation.finish(b"Subject: x\r\n\r\n.y\r\n")).accepts
    assert servers.opened[0].received.endswith(b"DATA\r\nSubject: x\r\n\r\n..y\r\n.\r\n")


async def test_a_refused_chunk_is_passed_on_and_reset() -> None:
    servers = Servers({b"EHLO": CHUNKING, b"BDAT": b"552 5.3.4 too large\r\n"})
    conversation = relay(servers).conversation(CLIENT)
    await conversation.mail(MAIL)
    await conversation.data(chunked=True)
    refusal = await conversation.send(b"x\r\n")
    assert refusal is not None
    assert refusal.code == 552
    await conversation.mail(MAIL)
    await conversation.data(chunked=True)
    assert (await conversation.finish(b"x\r\n")).code == 552
    await conversation.mail(MAIL)
    assert servers.opened[0].verbs[3:] == [
        b"MAIL", b"BDAT", b"x", b"RSET", b"MAIL", b"BDAT", b"x", b"RSET", b"MAIL",
    ]  # fmt: skip


async def test_a_server_without_dsn_is_not_told_of_it() -> None:
    asked = RelayedMail("a@example.org", options=MailOptions(return_content="HDRS"))
    servers = Servers({b"EHLO": CHUNKING}, {})
    behind = relay(servers)
    conversation = behind.conversation(CLIENT)
    assert (await behind.offer()).dsn
    with pytest.raises(BackendError):
        await conversation.mail(asked)
    assert b"MAIL" not in servers.opened[1].verbs
    assert not (await behind.offer()).dsn


async def test_an_lmtp_server_gets_one_recipient_for_each_message() -> None:
    servers = Servers({b"LHLO": b"250 store\r\n", b"EHLO": b"500 what\r\n"})
    conversation = relay(servers, "lmtp://127.0.0.1").conversation(CLIENT)
    for _ in range(2):
        await conversation.mail(MAIL)
        codes = [
            (await conversation.recipient(f"{name}@example.test")).code for name in ("b", "c", "b")
        ]
        assert codes == [250, 452, 250]
        await conversation.data()
        assert (await conversation.finish(b"x\r\n")).accepts
    [server] = servers.opened
    assert server.verbs == [b"LHLO", *[b"MAIL", b"RCPT", b"DATA", b"x", b"."] * 2]


async def test_an_lmtp_server_that_refused_a_recipient_may_take_the_next() -> None:
    servers = Servers({b"LHLO": b"250 store\r\n", b"RCPT": b"550 5.1.1 who\r\n"})
    conversation = relay(servers, "lmtp://127.0.0.1").conversation(CLIENT)
    await conversation.mail(MAIL)
    for name in ("b", "c"):
        assert (await conversation.recipient(f"{name}@example.test")).code == 550
