"""The SMTP front over the real transport and real sockets, with real clients, on both loops."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop

from mailfront.front.smtp import Role, SmtpFront, SmtpSettings
from mailfront.tls.context import ServerContext, build_server_context
from mailfront.tls.policy import policy_named
from mailfront.tls.transport import TlsTransport
from tests.support.authority import self_signed
from tests.support.clients import run, swaks
from tests.support.dialogue import Dialogue, unverified_context
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.smtp_session import ALICE, BOB, PASSWORD, Sink, Users

MESSAGE = "Subject: greetings\r\n\r\n.a dot\r\nhello\r\n"
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    uvloop.new_event_loop,
    asyncio.new_event_loop,
]


class Owner:
    """A port of one role; counts what happens."""

    service = "imta"
    handshake_timeout = 10.0
    busy_reply = b""
    protocols = frozenset({b"smtp"})

    def __init__(
        self, role: Role, settings: SmtpSettings, context: ServerContext, *, implicit_tls: bool
    ) -> None:
        self.implicit_tls = implicit_tls
        self.sink = Sink()
        self.counters: Counter[str] = Counter()
        self.reasons: list[str] = []
        self._context = context
        self._front = SmtpFront(role, settings, Users(), self.sink, self._count)

    def _count(self, name: str) -> None:
        self.counters[name] += 1

    def admit(self, transport: TlsTransport) -> bool:
        return True

    def front(self, transport: TlsTransport) -> asyncio.Protocol:
        return self._front()

    def context(self) -> ServerContext:
        return self._context

    def context_for(self, name: str) -> ServerContext | None:
        return None

    def ask_for_certificate(self, tls: ssl.SSLObject) -> None:
        """Nobody is asked."""

    def queue_handshake(self, transport: TlsTransport) -> None:
        transport.begin_handshake()

    def handshake_signing(self, transport: TlsTransport, *, begun: bool) -> None:
        pass

    def handshake_over(self, transport: TlsTransport, *, resumed: bool) -> None:
        pass

    def handshake_failed(self, transport: TlsTransport, reason: str) -> None:
        self.counters["handshakes_failed"] += 1

    def closed(self, transport: TlsTransport) -> None:
        self.reasons.append(transport.record.reason)


class Server:
    """Three ports as DESIGN has them, served by a loop in a thread of its own."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, context: ServerContext, settings: SmtpSettings
    ) -> None:
        self.loop = loop
        self.owners = {
            "smtp": Owner(Role.MX, settings, context, implicit_tls=False),
            "submission": Owner(Role.SUBMISSION, settings, context, implicit_tls=False),
            "submissions": Owner(Role.SUBMISSION, settings, context, implicit_tls=True),
        }
        self.ports: dict[str, int] = {}
        for name, owner in self.owners.items():
            listening = loop.run_until_complete(
                loop.create_server(lambda owner=owner: TlsTransport(owner, loop), LOOPBACK, 0)  # type: ignore[misc]
            )
            self.ports[name] = listening.sockets[0].getsockname()[1]

    def ends(self, name: str) -> list[str]:
        """Why the connections of a port ended, once one has."""
        deadline = time.monotonic() + 10
        while not self.owners[name].reasons and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.owners[name].reasons

    def messages(self, name: str) -> list[bytes]:
        return [content for _, content in self.owners[name].sink.accepted]


@pytest.fixture(scope="module")
def context() -> ServerContext:
    return build_server_context(
        [self_signed("smtp-cert")], policy_named("intermediate"), alpn=(), tickets=True
    )


@contextmanager
def running(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    context: ServerContext,
    settings: SmtpSettings,
) -> Iterator[Server]:
    loop = loop_factory()
    server = Server(loop, context, settings)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield server
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture(params=LOOPS, ids=["uvloop", "asyncio"])
def server(
    request: pytest.FixtureRequest, context: ServerContext, tmp_path: Path
) -> Iterator[Server]:
    settings = SmtpSettings(
        "mx.example.test", domain="example.test", size_limit=8 << 20, spool_directory=tmp_path
    )
    with running(request.param, context, settings) as serving:
        yield serving


def test_smtplib_delivers_in_clear_and_over_starttls(server: Server) -> None:
    with smtplib.SMTP(LOOPBACK, server.ports["smtp"], timeout=20) as client:
        client.sendmail("a@other.example", [BOB], MESSAGE)
        client.starttls(context=unverified_context())
        client.sendmail("a@other.example", [BOB], MESSAGE)
    clear, secured = server.messages("smtp")
    assert clear.endswith(MESSAGE.encode())
    assert b" with ESMTP\r\n" in clear
    assert b" with ESMTPS (TLSv1.3 " in secured
    assert server.ends("smtp") == ["quit"]


def test_smtplib_logs_in_by_plain_and_by_login_and_submits(server: Server) -> None:
    for mechanism in ("auth_plain", "auth_login"):
        with smtplib.SMTP(LOOPBACK, server.ports["submission"], timeout=20) as client:
            client.starttls(context=unverified_context())
            client.ehlo()
            client.user, client.password = ALICE, PASSWORD
            client.auth(mechanism.removeprefix("auth_"), getattr(client, mechanism))
            client.sendmail(ALICE, [BOB], MESSAGE)
    assert len(server.messages("submission")) == 2


def test_smtplib_submits_over_implicit_tls(server: Server) -> None:
    tls = unverified_context()
    with smtplib.SMTP_SSL(LOOPBACK, server.ports["submissions"], context=tls, timeout=20) as client:
        client.login(ALICE, PASSWORD)
        client.sendmail(ALICE, [BOB], MESSAGE)
    assert b" with ESMTPSA (TLSv1.3 " in server.messages("submissions")[0]


def test_a_wrong_password_is_refused(server: Server) -> None:
    tls = unverified_context()
    with (
        smtplib.SMTP_SSL(LOOPBACK, server.ports["submissions"], context=tls, timeout=20) as client,
        pytest.raises(smtplib.SMTPAuthenticationError) as refused,
    ):
        client.login(ALICE, "wrong")
    assert refused.value.smtp_code == 535


@pytest.mark.parametrize("name", ["smtp", "submissions"])
def test_a_message_of_megabytes_comes_through_whole(server: Server, name: str) -> None:
    body = b"".join(b".%d %s\r\n" % (number, b"x" * 900) for number in range(6000))
    tls = unverified_context()
    if name == "smtp":
        client: smtplib.SMTP = smtplib.SMTP(LOOPBACK, server.ports[name], timeout=60)
    else:
        client = smtplib.SMTP_SSL(LOOPBACK, server.ports[name], context=tls, timeout=60)
        client.login(ALICE, PASSWORD)
    with client:
        client.sendmail(ALICE, [BOB], b"Subject: large\r\n\r\n" + body)
    assert server.messages(name)[0].endswith(b"\r\n\r\n" + body)


def test_a_message_beyond_the_limit_is_refused_before_and_after_data(server: Server) -> None:
    body = b"Subject: large\r\n\r\n" + b"x" * 998 * 9000
    with smtplib.SMTP(LOOPBACK, server.ports["smtp"], timeout=60) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("a@other.example", [BOB], body)
        assert refused.value.smtp_code == 552
        client.mail("a@other.example")
        client.rcpt(BOB)
        assert client.data(body)[0] == 552
        client.sendmail("a@other.example", [BOB], MESSAGE)
    assert len(server.messages("smtp")) == 1


def test_swaks_delivers_over_starttls(server: Server) -> None:
    sent = swaks(
        server.ports["smtp"], "--from", "a@other.example", "--to", BOB, "--tls", "--pipeline"
    )
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert b" with ESMTPS (" in server.messages("smtp")[0]


def test_swaks_submits_with_a_login(server: Server) -> None:
    sent = swaks(
        server.ports["submission"], "--from", ALICE, "--to", BOB, "--tls",
        "--auth", "LOGIN", "--auth-user", ALICE, "--auth-password", PASSWORD,
    )  # fmt: skip
    assert sent.returncode == 0, sent.stdout + sent.stderr
    assert len(server.messages("submission")) == 1


def test_openssl_upgrades_by_starttls(server: Server) -> None:
    openssl = require_program("openssl")
    session = run(
        [str(openssl), "s_client", "-connect", f"{LOOPBACK}:{server.ports['smtp']}", "-crlf",
         "-starttls", "smtp", "-quiet", "-ign_eof"],
        text_input="EHLO client.example\nQUIT\n",
    )  # fmt: skip
    assert "250-PIPELINING" in session.stdout, session.stderr
    assert "221 2.0.0" in session.stdout
    assert "STARTTLS" not in session.stdout


def test_a_command_in_the_packet_of_starttls_is_never_executed(server: Server) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"EHLO client.example", b"250 ")
        client.send(f"STARTTLS\r\nMAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode())
        assert client.rest().startswith(b"554 5.5.1 ")
    assert server.owners["smtp"].counters["smtp.starttls_injection"] == 1
    assert server.ends("smtp") == ["starttls injection"]


def test_a_client_hello_in_the_packet_of_starttls_is_refused_too(server: Server) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_tls = unverified_context().wrap_bio(incoming, outgoing)
    with pytest.raises(ssl.SSLWantReadError):
        client_tls.do_handshake()
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.send(b"STARTTLS\r\n" + outgoing.read())
        assert client.rest().startswith(b"554 5.5.1 ")


def test_garbage_instead_of_a_handshake_ends_the_connection(server: Server) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"STARTTLS", b"220 ")
        client.send(b"EHLO client.example\r\n")
        assert b"250" not in client.rest()
    assert server.owners["smtp"].counters["handshakes_failed"] == 1
    assert server.owners["smtp"].counters["smtp.internal_errors"] == 0


def test_facts_learnt_in_clear_are_forgotten_behind_the_handshake(server: Server) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"EHLO client.example", b"250 ")
        client.ask(b"MAIL FROM:<>", b"250 ")
        client.ask(b"STARTTLS", b"220 ")
        client.start_tls()
        client.ask(f"RCPT TO:<{BOB}>".encode(), b"503 ")
        client.ask(b"EHLO client.example", b"250 ")
        client.ask(f"RCPT TO:<{BOB}>".encode(), b"503 ")


def test_a_pipelined_session_inside_tls_is_answered_in_order(server: Server) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"STARTTLS", b"220 ")
        client.start_tls()
        client.ask(b"EHLO client.example", b"250 ")
        client.send(f"MAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode())
        client.lines_until(b"354 ")
        client.send(b"x\r\n.\r\nNOOP\r\nQUIT\r\n")
        answers = client.rest().split(b"\r\n")
    assert [answer[:3] for answer in answers] == [b"250", b"250", b"221", b""]


def test_a_smuggled_message_is_refused_whole(server: Server) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"EHLO client.example", b"250 ")
        client.send(f"MAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode())
        client.lines_until(b"354 ")
        client.send(f"a\n.\r\nMAIL FROM:<admin@example.test>\r\nRCPT TO:<{BOB}>\r\n".encode())
        client.send(b"DATA\r\nevil\r\n.\r\nQUIT\r\n")
        answers = client.rest().split(b"\r\n")
    assert [answer[:3] for answer in answers] == [b"550", b"221", b""]
    assert server.messages("smtp") == []


def test_a_client_that_vanishes_in_the_data_leaves_nothing(server: Server) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"EHLO client.example", b"250 ")
        client.send(f"MAIL FROM:<>\r\nRCPT TO:<{BOB}>\r\nDATA\r\n".encode())
        client.lines_until(b"354 ")
        client.send(b"half a message")
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"QUIT", b"221 ")
    assert server.messages("smtp") == []
