"""mailfront in front of Postfix: its word is what clients are told, and half a message is none."""

from __future__ import annotations

import random
import re
import signal
import smtplib
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.postfix import Postfix
from tests.support.server import ALICE, BOB, MailServer, run_command
from tests.support.waiting import eventually

CONTEXT = ssl._create_unverified_context()
STRANGER = "stranger@elsewhere.example"
# Larger than all that this machine's kernel and both programs hold on the way.
LARGE = 15_000_000


@pytest.fixture
def postfix() -> Iterator[Postfix]:
    with Postfix() as running:
        yield running


def in_front(new_server: NewServer, postfix: Postfix, **more: str) -> MailServer:
    url = f"smtp://{LOOPBACK}:{postfix.port}"
    server = new_server({"service.submit.upstream": url, "service.imta.upstream": url, **more})
    server.choose_ports()
    return server


def swaks(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [require_program("swaks"), "--server", LOOPBACK, *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def submitter(server: MailServer, *, source: str = LOOPBACK) -> smtplib.SMTP_SSL:
    client = smtplib.SMTP_SSL(
        LOOPBACK, server.ports["submissions"], context=CONTEXT, timeout=60,
        local_hostname="laptop.example", source_address=(source, 0),
    )  # fmt: skip
    client.login(ALICE, server.password(ALICE))
    return client


def stranger(server: MailServer, *, source: str = LOOPBACK) -> smtplib.SMTP:
    client = smtplib.SMTP(
        LOOPBACK, server.ports["smtp"], "mx.elsewhere.example", timeout=60,
        source_address=(source, 0),
    )  # fmt: skip
    client.ehlo()
    return client


def test_swaks_submits_with_starttls_and_with_tls_at_once_and_as_another_server(
    new_server: NewServer, postfix: Postfix
) -> None:
    with in_front(new_server, postfix) as server:
        login = ("--auth-user", ALICE, "--auth-password", server.password(ALICE))
        away = ("--from", ALICE, "--to", STRANGER)
        ways = {
            "starttls": ("--port", str(server.ports["submission"]), "--tls", *login, *away),
            "at-once": ("--port", str(server.ports["submissions"]), "--tls-on-connect",
                        *login, *away),
            "as-server": ("--port", str(server.ports["smtp"]), "--tls", "--from", STRANGER,
                          "--to", BOB),
        }  # fmt: skip
        for number, (name, way) in enumerate(ways.items(), 1):
            marks = ("--header", f"X-Way: {name}", "--local-interface", f"127.0.0.8{number}")
            sent = swaks(*way, *marks)
            assert sent.returncode == 0, sent.stdout + sent.stderr
            assert re.search(r"<[~*-]+ +250 2\.0\.0 Ok: queued as [0-9A-F]+", sent.stdout)
    assert len(postfix.held()) == 3
    clients = re.findall(r"client=unknown\[(127[0-9.]+)\](.*)", postfix.log)
    assert clients == [
        ("127.0.0.81", f", sasl_method=XCLIENT, sasl_username={ALICE}, sasl_sender={ALICE}"),
        ("127.0.0.82", f", sasl_method=XCLIENT, sasl_username={ALICE}, sasl_sender={ALICE}"),
        ("127.0.0.83", ""),
    ]
    submitted = postfix.message(b"X-Way: starttls").decode()
    assert re.search(r"Received: from \S+ \(\[127\.0\.0\.81\]\)\n\tby \S+ with ESMTPSA", submitted)
    assert submitted.count("\nReceived: ") + submitted.startswith("Received: ") == 2


def test_the_upstream_judges_recipients_and_relays_for_no_stranger(
    new_server: NewServer, postfix: Postfix
) -> None:
    with in_front(new_server, postfix) as server:
        client = stranger(server)
        client.mail(STRANGER)
        answers = [client.rcpt(each) for each in (BOB, "nobody@example.test", "x@other.example")]
        assert [code for code, _ in answers] == [250, 550, 554]
        assert answers[1][1].startswith(b"5.1.1 <nobody@example.test>: Recipient address rejected")
        assert b"Relay access denied" in answers[2][1]
        assert client.data(b"Subject: x\r\n\r\n.x\r\n..y\r\n")[0] == 250
        client.quit()
    assert b"\n.x\n..y\n" in postfix.message(b"Subject: x")


def test_the_sender_of_submitted_mail_is_still_judged_here(
    new_server: NewServer, postfix: Postfix
) -> None:
    with in_front(new_server, postfix) as server:
        client = submitter(server)
        assert client.mail(BOB)[0] == 553
        client.quit()
    assert "MAIL" not in postfix.log


def test_nobody_but_us_names_clients(new_server: NewServer, postfix: Postfix) -> None:
    with in_front(new_server, postfix) as server:
        client = stranger(server)
        assert "xclient" not in client.esmtp_features
        assert client.docmd("XCLIENT", f"ADDR=192.0.2.1 LOGIN={ALICE}")[0] == 500
        client.mail(STRANGER)
        assert client.rcpt(STRANGER)[0] == 554
        client.quit()


def test_ehlo_says_what_the_upstream_does(new_server: NewServer) -> None:
    extra = "smtputf8_enable = no\nsmtpd_discard_ehlo_keywords = 8bitmime, smtputf8\n"
    with (
        Postfix(extra=extra + "message_size_limit = 102400\n") as postfix,
        in_front(new_server, postfix) as server,
    ):
        client = stranger(server)
        assert client.esmtp_features["size"] == str(102400 - 2048)
        assert not {"8bitmime", "smtputf8"} & client.esmtp_features.keys()
        assert client.docmd("MAIL", f"FROM:<{STRANGER}> BODY=8BITMIME")[0] == 555
        assert client.docmd("MAIL", f"FROM:<{STRANGER}> SIZE=102400")[0] == 552
        assert client.docmd("MAIL", f"FROM:<{STRANGER}> SIZE=90000")[0] == 250
        client.rcpt(BOB)
        assert client.data(b"x" * 70 + b"\r\n" * 60_000)[0] == 552
        assert postfix.held() == []


def test_large_mail_and_many_transactions_use_one_connection(
    new_server: NewServer, postfix: Postfix
) -> None:
    lines = b"".join(b".%07d%s\r\n" % (number, b"x" * 60) for number in range(150_000))
    with in_front(new_server, postfix) as server:
        client = submitter(server)
        for number in range(3):
            client.mail(ALICE, ["BODY=8BITMIME", "SMTPUTF8"])
            client.rset()
            client.sendmail(ALICE, [BOB], b"Subject: %d\r\n\r\n" % number + lines)
        assert resident(server.pid) < 150_000
        client.quit()
    # The first asked what EHLO may promise.
    assert postfix.log.count(": connect from localhost") == 2
    for number in range(3):
        content = postfix.message(b"Subject: %d" % number)
        assert lines.replace(b"\r\n", b"\n") in content


@pytest.mark.parametrize("tls", [False, True])
def test_a_server_that_takes_nothing_for_a_while_costs_no_memory(
    new_server: NewServer, tmp_path: Path, tls: bool
) -> None:
    issuer = Issuer()
    issued = issuer.issue("mta.example.test")
    with Postfix(
        certificate=certificate_pem_file(tmp_path / "mta.pem", issued.chain),
        key=key_pem_file(tmp_path / "mta.key", issued.key),
    ) as postfix:
        plain = f"smtp://{LOOPBACK}:{postfix.port}"
        sealed = f"smtps://{LOOPBACK}:{postfix.smtps_port}?name=mta.example.test"
        server = new_server({"service.imta.upstream": sealed if tls else plain})
        root = certificate_pem_file(tmp_path / "root.pem", [issuer.root])
        home = str(server.root.path)
        added = run_command("msgcert", "add-cert", "-C", "Example-Root", str(root), "--home", home)
        assert added.returncode == 0, added.stderr
        server.choose_ports()
        content = b"Subject: large\r\n\r\n" + b"x" * 76 + b"\r\n" * (LARGE // 2)
        with server:
            client = stranger(server)
            client.sendmail(STRANGER, [BOB], "Subject: small\r\n\r\n")
            before = resident(server.pid)
            client.mail(STRANGER)
            client.rcpt(BOB)
            assert client.docmd("DATA")[0] == 354
            assert client.sock is not None
            postfix.signal_sessions(signal.SIGSTOP)
            sending = threading.Thread(target=client.send, args=(content + b".\r\n",))
            sending.start()
            sending.join(2)
            assert sending.is_alive(), "all of it is somewhere on the way"
            assert resident(server.pid) - before < 8 * 1024
            postfix.signal_sessions(signal.SIGCONT)
            sending.join(60)
            assert client.getreply()[0] == 250
            client.quit()
        assert len(postfix.held()) == 2


def resident(pid: int) -> int:
    """Memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"VmRSS:\s+(\d+)", status)[0])


@pytest.mark.parametrize(
    "smuggled",
    [b"\n.\r\n", b"\r\n.\n", b"\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\0\r\n"],
)
def test_nothing_is_smuggled(new_server: NewServer, postfix: Postfix, smuggled: bytes) -> None:
    """Also where most of the message is at the upstream before what is wrong arrives."""
    with in_front(new_server, postfix) as server:
        for before in (b"", b"x" * 76 + b"\r\n"):
            client = stranger(server)
            client.mail(STRANGER)
            client.rcpt(BOB)
            assert client.docmd("DATA")[0] == 354
            client.send(b"Subject: one\r\n\r\n" + before * 30_000 + b"text" + smuggled)
            client.send(b"MAIL FROM:<x@y.example>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nx\r\n")
            client.send(b"\r\n.\r\n")
            assert client.getreply()[0] == 550
            assert client.docmd("NOOP")[0] == 250
            # The session goes on, with a connection of its own.
            client.mail(STRANGER)
            client.rcpt(BOB)
            assert client.data(b"Subject: honest\r\n\r\n")[0] == 250
            client.quit()
    assert len(postfix.held()) == 2
    assert not any(b"Subject: one" in each for each in postfix.held())


def test_an_upstream_that_dies_in_a_message_takes_nothing(
    new_server: NewServer, postfix: Postfix
) -> None:
    with in_front(new_server, postfix) as server:
        client = stranger(server)
        client.mail(STRANGER)
        client.rcpt(BOB)
        assert client.docmd("DATA")[0] == 354
        client.send(b"Subject: half\r\n\r\n" + b"x\r\n" * 400_000)
        postfix.kill_sessions()
        client.send(b"x\r\n" * 400_000 + b".\r\n")
        assert client.getreply()[0] == 451
        # Mail goes on at once where another process of it answers.
        assert client.sendmail(STRANGER, [BOB], "Subject: whole\r\n\r\n") == {}
        client.quit()
        assert len(postfix.held()) == 1
        postfix.kill()
        client = stranger(server)
        code, text = client.mail(STRANGER)
        assert (code, text[:6]) == (451, b"4.4.1 ")
        told = server.mailfront("status")
        assert f"upstream {LOOPBACK}:{postfix.port}" in told.stdout + told.stderr
        postfix.start()
        eventually(lambda: stranger(server).mail(STRANGER)[0] == 250, "it is not used again")


def sessions_cut(postfix: Postfix, count: int) -> bool:
    return postfix.log.count("lost connection after DATA") == count


def test_a_client_that_dies_in_a_message_leaves_nothing(
    new_server: NewServer, postfix: Postfix
) -> None:
    with in_front(new_server, postfix) as server:
        for number, size in enumerate((10, 400_000), 1):
            client = stranger(server)
            client.mail(STRANGER)
            client.rcpt(BOB)
            client.docmd("DATA")
            client.send(b"Subject: half\r\n\r\n" + b"x\r\n" * size)
            client.close()
            ended = partial(sessions_cut, postfix, number)
            eventually(ended, "the upstream's connection stays")
        client = stranger(server)
        client.mail(STRANGER)
        client.rcpt(BOB)
        assert client.docmd("DATA")[0] == 354
        client.send(b"x" * 76 + b"\r\n" * (LARGE // 2) + b"y" * 6_000_000 + b"\r\n.\r\n")
        assert client.getreply()[0] == 552
    assert postfix.held() == []


def test_a_server_that_cannot_be_told_who_asks_gets_no_strangers_mail(
    new_server: NewServer,
) -> None:
    with (
        Postfix(extra="smtpd_authorized_xclient_hosts =\n") as postfix,
        in_front(new_server, postfix) as server,
    ):
        assert stranger(server).mail(STRANGER)[0] == 451
        assert "it cannot be told the addresses of clients" in server.log
        checked = server.mailfront("check")
        assert "service.imta.upstream" in checked.stdout + checked.stderr
        assert "service.submit.upstream" not in checked.stdout + checked.stderr


def test_a_proxy_header_tells_the_client_too(new_server: NewServer) -> None:
    extra = "smtpd_authorized_xclient_hosts =\nsmtpd_upstream_proxy_protocol = haproxy\n"
    with Postfix(extra=extra) as postfix:
        server = new_server({"service.imta.upstream": f"smtp://{LOOPBACK}:{postfix.port}?proxy=v2"})
        server.choose_ports()
        with server:
            sent = swaks(
                "--port", str(server.ports["smtp"]), "--local-interface", "127.0.0.84",
                "--from", STRANGER, "--to", BOB,
            )  # fmt: skip
            assert sent.returncode == 0, sent.stdout
        assert "[127.0.0.84]" in postfix.log


PROXY_HEADERS = "smtpd_authorized_xclient_hosts =\nsmtpd_upstream_proxy_protocol = haproxy\n"
JUDGED_AT_ONCE = "smtpd_delay_reject = no\n"


@pytest.mark.parametrize(
    ("ending", "judging"),
    [
        ("?proxy=v2", PROXY_HEADERS + JUDGED_AT_ONCE + "smtpd_client_restrictions ="),
        ("", JUDGED_AT_ONCE + "smtpd_helo_restrictions ="),
    ],
    ids=["PROXY", "XCLIENT"],
)
def test_a_client_that_the_upstream_refuses_keeps_nobody_else_from_it(
    new_server: NewServer, ending: str, judging: str
) -> None:
    extra = f"{judging} check_client_access inline:{{127.0.0.66=REJECT}}\n"
    with Postfix(extra=extra) as postfix:
        url = f"smtp://{LOOPBACK}:{postfix.port}{ending}"
        server = new_server({"service.imta.upstream": url})
        server.choose_ports()
        with server:
            for _ in range(3):
                refused = stranger(server, source="127.0.0.66")
                code, text = refused.mail(STRANGER)
                assert (code, b"Access denied" in text) == (554, True)
                client = stranger(server)
                assert client.mail(STRANGER)[0] == 250
            assert "can be reached" not in server.log


@pytest.mark.parametrize("way", ["smtp", "smtps"])
def test_tls_to_the_upstream_is_verified(new_server: NewServer, tmp_path: Path, way: str) -> None:
    issuer = Issuer()
    issued = issuer.issue("mta.example.test")
    certificate = certificate_pem_file(tmp_path / "mta.pem", issued.chain)
    key = key_pem_file(tmp_path / "mta.key", issued.key)
    with Postfix(certificate=certificate, key=key) as postfix:
        port = postfix.port if way == "smtp" else postfix.smtps_port
        tls = "" if way == "smtps" else "tls=starttls&"
        url = f"{way}://{LOOPBACK}:{port}?{tls}name=mta.example.test"
        server = new_server({"service.submit.upstream": url})
        server.choose_ports()
        with server:
            assert submitter(server).mail(ALICE)[0] == 451
            assert "its certificate: " in server.log
            root = certificate_pem_file(tmp_path / "root.pem", [issuer.root])
            added = run_command(
                "msgcert", "add-cert", "-C", "Example-Root", str(root),
                "--home", str(server.root.path),
            )  # fmt: skip
            assert added.returncode == 0, added.stderr
            eventually(lambda: submitter(server).mail(ALICE)[0] == 250, "it is not trusted")
            submitter(server).sendmail(ALICE, [STRANGER], "Subject: sealed\r\n\r\n")
        assert "TLS connection established from localhost" in postfix.log
        assert len(postfix.held()) == 1


def test_every_acknowledged_message_is_in_the_queue_once_whatever_is_killed(
    new_server: NewServer, postfix: Postfix
) -> None:
    server = in_front(new_server, postfix)
    server.start()
    acknowledged: list[str] = []
    offered: list[str] = []
    over = threading.Event()
    ready = threading.Event()
    ready.set()

    def send(sender: int) -> None:
        chance = random.Random(sender)
        number = 0
        while not over.is_set():
            try:
                client = stranger(server)
                while not over.is_set():
                    name = f"message-{sender}-{number}-end"
                    number += 1
                    offered.append(name)
                    body = b"x" * 70 + b"\r\n"
                    content = f"X-Name: {name}\r\n\r\n".encode() + body * chance.choice((1, 9000))
                    client.sendmail(STRANGER, [BOB], content)
                    acknowledged.append(name)
            except (OSError, smtplib.SMTPException):
                ready.wait(30)

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for each in senders:
        each.start()
    chance = random.Random(1)
    give_up = time.monotonic() + 120
    for kill in range(8):
        enough = len(acknowledged) + 40
        while len(acknowledged) < enough:
            assert time.monotonic() < give_up, "no mail gets through"
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.2))
        if kill % 2:
            postfix.kill_sessions()
        else:
            ready.clear()
            server.kill()
            server.start()
            ready.set()
    over.set()
    for each in senders:
        each.join(60)
    assert server.stop() == 0
    queue = b"\n".join(postfix.held()).decode("latin-1")
    held = re.findall(r"X-Name: (message-\d+-\d+-end)", queue)
    assert len(held) == len(set(held)), "a message is there twice"
    assert set(acknowledged) <= set(held)
    assert set(held) <= set(offered)
    assert len(acknowledged) >= 300


def test_dsn_is_asked_of_the_upstream(new_server: NewServer, postfix: Postfix) -> None:
    with in_front(new_server, postfix) as server:
        client = submitter(server)
        client.ehlo()
        assert {"dsn", "chunking"} <= client.esmtp_features.keys()
        assert "requiretls" not in client.esmtp_features
        assert client.mail(ALICE, ["RET=HDRS", "ENVID=q+2B1"])[0] == 250
        options = ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;x+2By@elsewhere.example"]
        assert client.rcpt(STRANGER, options)[0] == 250
        assert client.rcpt("y@elsewhere.example", ["NOTIFY=NEVER,DELAY"])[0] == 501
        assert client.data(b"Subject: told\r\n\r\n")[0] == 250
        client.quit()
    told = postfix.message(b"Subject: told").decode()
    # Postfix's names for what MAIL and RCPT said (RET=HDRS is 2, SUCCESS and DELAY are 2 and 8).
    for said in ("ret_flags=2", "envelope_id=q+1", "dsn_orig_rcpt=rfc822;x+y@elsewhere.example",
                 "notify_flags=10"):  # fmt: skip
        assert said in told


@pytest.mark.parametrize("extra", ["", "smtpd_discard_ehlo_keywords = chunking, dsn\n"])
def test_chunks_reach_the_upstream_whatever_it_takes(new_server: NewServer, extra: str) -> None:
    with Postfix(extra=extra) as postfix, in_front(new_server, postfix) as server:
        client = stranger(server)
        assert "chunking" in client.esmtp_features
        assert ("dsn" in client.esmtp_features) == (not extra)
        line = b"." + b"x" * 76 + b"\r\n"
        for name, count in (("small", 1), ("large", 40_000)):
            client.mail(STRANGER)
            client.rcpt(BOB)
            head, body = f"Subject: {name}\r\n\r\n".encode(), line * count
            client.send(b"BDAT %d\r\n%sBDAT 0\r\n" % (len(head), head))
            client.send(b"BDAT %d\r\n%s" % (len(body) - 1, body[:-1]))
            client.send(b"BDAT 1 LAST\r\n\n")
            codes = [client.getreply()[0] for _ in range(4)]
            assert codes == [250] * 4
        # A refused message leaves the session as it was.
        client.mail(STRANGER)
        client.rcpt(BOB)
        client.send(b"BDAT 4\r\na\nb\nBDAT 5 LAST\r\nQUIT\n")
        assert [client.getreply()[0] for _ in range(2)] == [550, 503]
        assert client.sendmail(STRANGER, [BOB], "Subject: after\r\n\r\n") == {}
        client.quit()
        assert len(postfix.held()) == 3
        assert postfix.message(b"Subject: large").count(b"\n." + b"x" * 76) == 40_000
