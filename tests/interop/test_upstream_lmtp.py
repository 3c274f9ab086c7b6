"""mailfront in front of Dovecot's LMTP: one recipient at a time, answered in its words."""

from __future__ import annotations

import re
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.dovecot import Dovecot
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports
from tests.support.server import ALICE, BOB, MailServer, run_command
from tests.support.waiting import eventually

STRANGER = "stranger@elsewhere.example"
CAROL = "carol@example.test"
SMALL = b"Subject: small\r\n\r\n.one\r\n..two\r\n"


def with_lmtp(port: int, certificate: Path | None = None, key: Path | None = None) -> Dovecot:
    require_program("/usr/lib/dovecot/lmtp", "dovecot-lmtpd")
    extra = f"""\
protocols = imap pop3 lmtp
mail_plugins = quota
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = {LOOPBACK}
    port = {port}
  }}
}}
lmtp_rcpt_check_quota = no
plugin {{
  quota = count:User quota
  quota_vsizes = yes
  quota_rule = *:storage=100K
  quota_grace = 0
}}
"""
    return Dovecot({ALICE: "x", BOB: "x"}, extra=extra, certificate=certificate, key=key)


@pytest.fixture
def lmtp_port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def dovecot(lmtp_port: int) -> Iterator[Dovecot]:
    with with_lmtp(lmtp_port) as running:
        yield running


def in_front(new_server: NewServer, port: int, parameters: str = "") -> MailServer:
    server = new_server({"service.imta.upstream": f"lmtp://{LOOPBACK}:{port}{parameters}"})
    server.choose_ports()
    return server


def stranger(server: MailServer) -> smtplib.SMTP:
    client = smtplib.SMTP(LOOPBACK, server.ports["smtp"], "mx.elsewhere.example", timeout=60)
    client.ehlo()
    return client


def messages(dovecot: Dovecot, user: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(dovecot.maildir(user).glob("new/*"))]


def test_swaks_and_curl_deliver_over_starttls(
    new_server: NewServer, dovecot: Dovecot, lmtp_port: int, tmp_path: Path
) -> None:
    with in_front(new_server, lmtp_port) as server:
        checked = server.mailfront("check")
        assert "service.imta.upstream" not in checked.stdout + checked.stderr
        port = str(server.ports["smtp"])
        sent = subprocess.run(
            [require_program("swaks"), "--server", LOOPBACK, "--port", port, "--tls",
             "--from", STRANGER, "--to", BOB, "--local-interface", "127.0.0.83"],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert sent.returncode == 0, sent.stdout
        assert re.search(rf"250 2\.0\.0 <{BOB}> \S+ Saved", sent.stdout)
        message = tmp_path / "message"
        message.write_bytes(b"Subject: curl\r\n\r\n.x\r\n")
        sent = subprocess.run(
            [require_program("curl"), "-sS", "--ssl-reqd", "-k", f"smtp://{LOOPBACK}:{port}",
             "--mail-from", STRANGER, "--mail-rcpt", BOB, "--upload-file", str(message)],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert sent.returncode == 0, sent.stderr
    delivered = messages(dovecot, BOB)
    assert len(delivered) == 2
    assert delivered[0].startswith(f"Return-Path: <{STRANGER}>\n".encode())
    assert b"[127.0.0.83]" in delivered[0]
    assert delivered[1].endswith(b"\n\n.x\n")


def test_every_recipient_gets_the_message_once_and_in_a_transaction_of_its_own(
    new_server: NewServer, dovecot: Dovecot, lmtp_port: int
) -> None:
    with in_front(new_server, lmtp_port) as server:
        client = stranger(server)
        client.mail(STRANGER)
        answers = [client.rcpt(each) for each in ("nobody@example.test", ALICE, BOB, ALICE)]
        assert [code for code, _ in answers] == [550, 250, 452, 250]
        assert answers[0][1].startswith(b"5.1.1 <nobody@example.test> User doesn't exist")
        assert answers[2][1].startswith(b"4.5.3 ")
        assert client.data(SMALL)[0] == 250
        # What senders do with those who were put off.
        assert client.sendmail(STRANGER, [BOB], SMALL) == {}
        client.quit()
    assert [len(messages(dovecot, user)) for user in (ALICE, BOB)] == [1, 1]
    assert messages(dovecot, ALICE)[0].endswith(b"\n\n.one\n..two\n")


def test_a_full_mailbox_is_told_to_the_sender(
    new_server: NewServer, dovecot: Dovecot, lmtp_port: int
) -> None:
    with in_front(new_server, lmtp_port) as server:
        client = stranger(server)
        large = SMALL + b"x" * 76 + b"\r\n" * 200_000
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(STRANGER, [BOB], large)
        assert refused.value.smtp_code == 552
        assert "5.2.2" in str(refused.value.smtp_error)
        assert client.sendmail(STRANGER, [BOB], SMALL) == {}
        client.quit()
    assert len(messages(dovecot, BOB)) == 1


def test_chunks_go_on_in_chunks(new_server: NewServer, dovecot: Dovecot, lmtp_port: int) -> None:
    with in_front(new_server, lmtp_port) as server:
        client = stranger(server)
        client.mail(STRANGER)
        client.rcpt(BOB)
        client.send(b"BDAT 19\r\nSubject: chunks\r\n\r\nBDAT 6 LAST\r\n.one\r\n")
        assert [client.getreply()[0] for _ in range(2)] == [250, 250]
        client.quit()
    assert messages(dovecot, BOB)[0].endswith(b"Subject: chunks\n\n.one\n")


def test_a_store_that_is_away_puts_mail_off_and_takes_it_later(
    new_server: NewServer, dovecot: Dovecot, lmtp_port: int
) -> None:
    with in_front(new_server, lmtp_port) as server:
        client = stranger(server)
        client.mail(STRANGER)
        assert client.rcpt(BOB)[0] == 250
        dovecot.kill()
        assert client.docmd("DATA")[0] == 451
        assert stranger(server).mail(STRANGER)[0] == 451
        assert f"upstream {LOOPBACK}:{lmtp_port}" in server.mailfront("status").stderr
        dovecot.start()
        eventually(lambda: stranger(server).mail(STRANGER)[0] == 250, "it is not used again")
        assert stranger(server).sendmail(STRANGER, [BOB], SMALL) == {}
    assert len(messages(dovecot, BOB)) == 1


def test_tls_to_the_store_is_verified(
    new_server: NewServer, lmtp_port: int, tmp_path: Path
) -> None:
    issuer = Issuer()
    issued = issuer.issue("store.example.test")
    certificate = certificate_pem_file(tmp_path / "store.pem", issued.chain)
    key = key_pem_file(tmp_path / "store.key", issued.key)
    with (
        with_lmtp(lmtp_port, certificate=certificate, key=key) as dovecot,
        in_front(new_server, lmtp_port, "?tls=starttls&name=store.example.test") as server,
    ):
        assert stranger(server).mail(STRANGER)[0] == 451
        assert "its certificate: " in server.log
        root = certificate_pem_file(tmp_path / "root.pem", [issuer.root])
        added = run_command(
            "msgcert", "add-cert", "-C", "Example-Root", str(root),
            "--home", str(server.root.path),
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        eventually(lambda: stranger(server).mail(STRANGER)[0] == 250, "it is not trusted")
        assert stranger(server).sendmail(STRANGER, [BOB], SMALL) == {}
        assert len(messages(dovecot, BOB)) == 1
        assert "(TLS" in dovecot.log or "TLS" in messages(dovecot, BOB)[0].decode()
