"""POP before SMTP: curl and poplib log in, swaks and smtplib send without AUTH."""

from __future__ import annotations

import poplib
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports
from tests.support.postfix import Postfix
from tests.support.redis import RedisServer
from tests.support.server import ALICE, BOB, MailServer
from tests.support.waiting import eventually

STRANGER = "stranger@elsewhere.example"
CONTEXT = ssl._create_unverified_context()
OPTIONS = {
    "service.authservicettl": "900",
    "service.popbeforesmtpkludgechannel": "tcp_intranet",
    "service.pop.plaintextmincipher": "0",
}


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with Postfix() as running:
        yield running


def upstream(postfix: Postfix) -> dict[str, str]:
    url = f"smtp://{LOOPBACK}:{postfix.port}"
    return {"service.submit.upstream": url, "service.imta.upstream": url}


def made(new_server: NewServer, options: dict[str, str], name: str = "root") -> MailServer:
    server = new_server(OPTIONS | options, name)
    server.choose_ports()
    return server


def reads_mail(server: MailServer, source: str) -> None:
    """Log in by curl, over TLS, from this address."""
    done = subprocess.run(
        [require_program("curl"), "-sSk", "--interface", source, "--user",
         f"{ALICE}:{server.password(ALICE)}", f"pop3s://{LOOPBACK}:{server.ports['pops']}/"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def reads_mail_in_clear(server: MailServer, source: str) -> None:
    done = subprocess.run(
        [require_program("curl"), "-sS", "--interface", source, "--user",
         f"{ALICE}:{server.password(ALICE)}", f"pop3://{LOOPBACK}:{server.ports['pop']}/"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def sends(server: MailServer, source: str, sender: str = ALICE) -> str:
    """Send without AUTH to somebody elsewhere; return what swaks printed."""
    return subprocess.run(
        [require_program("swaks"), "--server", LOOPBACK, "--port", str(server.ports["smtp"]),
         "--local-interface", source, "--from", sender, "--to", STRANGER],
        capture_output=True, text=True, timeout=60, check=False,
    ).stdout  # fmt: skip


def test_who_read_mail_over_tls_sends_through_the_upstream_and_nobody_else_does(
    new_server: NewServer, postfix: Postfix
) -> None:
    with made(new_server, upstream(postfix)) as server:
        assert server.mailfront("check").returncode == 0
        reads_mail_in_clear(server, "127.0.0.91")
        assert "Relay access denied" in sends(server, "127.0.0.91")
        reads_mail(server, "127.0.0.91")
        assert "queued as" in sends(server, "127.0.0.91")
        assert "Relay access denied" in sends(server, "127.0.0.92")
        assert "Relay access denied" in sends(server, "127.0.0.91", BOB)
        assert "Relay access denied" in sends(server, "127.0.0.91", STRANGER)
        assert f"user={ALICE} sender={ALICE} sends without AUTH" in server.log
    assert postfix.log.count(f"sasl_username={ALICE}") == 1
    assert len(postfix.held()) == 1


def test_the_submission_port_takes_such_mail_over_tls(
    new_server: NewServer, postfix: Postfix
) -> None:
    with made(new_server, upstream(postfix)) as server:
        port = server.ports["submissions"]

        def client() -> smtplib.SMTP_SSL:
            return smtplib.SMTP_SSL(LOOPBACK, port, context=CONTEXT, timeout=60)

        with pytest.raises(smtplib.SMTPSenderRefused):
            client().sendmail(ALICE, [STRANGER], "Subject: early\r\n\r\n")
        mailbox = poplib.POP3_SSL(LOOPBACK, server.ports["pops"], context=CONTEXT, timeout=60)
        mailbox.user(ALICE)
        mailbox.pass_(server.password(ALICE))
        assert client().sendmail(ALICE, [STRANGER], "Subject: late\r\n\r\n") == {}
        mailbox.quit()
    assert len(postfix.held()) == 1


def test_the_queue_here_takes_such_mail(new_server: NewServer) -> None:
    # No DNS server answers there, so nothing leaves this machine.
    with made(new_server, {"dns.servers": f"{LOOPBACK}#{free_ports(1)[0]}"}) as server:
        assert "550" in sends(server, "127.0.0.93")
        reads_mail(server, "127.0.0.93")
        assert "Message queued as" in sends(server, "127.0.0.93")


def test_a_login_at_one_front_end_counts_at_the_other(
    new_server: NewServer, postfix: Postfix, tmp_path: Path
) -> None:
    with RedisServer(tmp_path / "redis") as redis:
        one, other = (made(new_server, upstream(postfix), name) for name in ("one", "other"))
        for server in (one, other):
            for name, value in redis.options(server.root.path).items():
                server.set_option(name, value)
        with one, other:
            reads_mail(one, "127.0.0.94")
            eventually(
                lambda: "queued as" in sends(other, "127.0.0.94"), "the other knows nothing of it"
            )
            assert "Relay access denied" in sends(other, "127.0.0.95")
