"""mailfront in front of Dovecot: sessions are handed over, whatever happens behind."""

from __future__ import annotations

import imaplib
import os
import poplib
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from tests.conftest import NewServer
from tests.support.dovecot import MASTER, Dovecot
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer, run_command
from tests.support.waiting import eventually

MESSAGE = b"From: <x@example.org>\r\nSubject: handed over\r\n\r\nOne line.\r\n"
CONTEXT = ssl._create_unverified_context()


def passwords(server: MailServer) -> dict[str, str]:
    return {user: server.password(user) for user in (ALICE, BOB)}


def upstream_options(dovecot: Dovecot) -> dict[str, str]:
    return {
        "service.imap.upstream": f"imap://{LOOPBACK}:{dovecot.ports['imap']}",
        "service.pop.upstream": f"pop://{LOOPBACK}:{dovecot.ports['pop']}",
    }


def as_administrator(server: MailServer, dovecot: Dovecot) -> None:
    server.set_option("local.service.proxy.admin", MASTER)
    path = server.root.config_directory / "proxyadmin.password"
    path.touch(mode=0o600)
    path.write_text(dovecot.master_password + "\n")


def imaps(server: MailServer) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL(LOOPBACK, server.ports["imaps"], ssl_context=CONTEXT, timeout=30)


def body_of(client: imaplib.IMAP4_SSL, number: int) -> bytes:
    """The whole message as the server sends it."""
    answer = client.fetch(str(number), "(BODY.PEEK[])")[1]
    assert isinstance(answer[0], tuple)
    return bytes(answer[0][1])


def logged_in(server: MailServer, user: str = ALICE) -> imaplib.IMAP4_SSL:
    client = imaps(server)
    client.login(user, server.password(user))
    return client


class Behind(Protocol):
    """What the fixture `behind` gives."""

    def __call__(
        self, certificate: Path | None = None, key: Path | None = None
    ) -> tuple[MailServer, Dovecot]: ...


@pytest.fixture
def behind(new_server: NewServer) -> Iterator[Behind]:
    """Makes a server that is not started, and a running Dovecot with the same users."""
    running: list[Dovecot] = []

    def make(
        certificate: Path | None = None, key: Path | None = None
    ) -> tuple[MailServer, Dovecot]:
        server = new_server()
        dovecot = Dovecot(passwords(server), certificate=certificate, key=key)
        running.append(dovecot)
        dovecot.start()
        return server, dovecot

    yield make
    for dovecot in running:
        dovecot.__exit__(None, None, None)


def configure(server: MailServer, options: dict[str, str]) -> None:
    server.choose_ports()
    for name, value in options.items():
        server.set_option(name, value)


def test_mail_of_an_upstream_is_read_over_imap_and_pop(behind: Behind) -> None:
    server, dovecot = behind()
    dovecot.deliver(ALICE, MESSAGE)
    configure(server, upstream_options(dovecot))
    with server:
        client = logged_in(server)
        assert "CONDSTORE" in client.capabilities or b"CONDSTORE" in client.capability()[1][0]
        assert client.select() == ("OK", [b"1"])
        assert body_of(client, 1) == MESSAGE
        client.logout()
        pop = poplib.POP3_SSL(LOOPBACK, server.ports["pops"], context=CONTEXT, timeout=30)
        pop.user(ALICE)
        pop.pass_(server.password(ALICE))
        assert b"\r\n".join(pop.retr(1)[1]) + b"\r\n" == MESSAGE
        pop.quit()
    assert server.log.count("end=logout") == 2


def test_the_upstream_is_told_who_the_client_is(behind: Behind, tmp_path: Path) -> None:
    server, dovecot = behind()
    configure(server, upstream_options(dovecot))
    with server:
        curl_as(server, tmp_path, f"imaps://{LOOPBACK}:{server.ports['imaps']}/", "127.0.0.77")
        curl_as(server, tmp_path, f"pop3s://{LOOPBACK}:{server.ports['pops']}/", "127.0.0.78")
    logins = [line for line in dovecot.log.splitlines() if "Login: " in line]
    assert [("rip=127.0.0.77" in line, "rip=127.0.0.78" in line) for line in logins] == [
        (True, False),
        (False, True),
    ]


def curl_as(server: MailServer, directory: Path, url: str, address: str = LOOPBACK) -> str:
    """What curl prints of `url`, logged in as alice from `address`."""
    netrc = directory / "netrc"
    netrc.touch(mode=0o600)
    netrc.write_text(f"machine {LOOPBACK} login {ALICE} password {server.password(ALICE)}\n")
    return subprocess.run(
        [require_program("curl"), "-sSk", "--interface", address, "--netrc-file", netrc, url],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_an_administrator_logs_in_for_users_whose_password_the_upstream_does_not_know(
    new_server: NewServer,
) -> None:
    server = new_server()
    with Dovecot({ALICE: "another password"}) as dovecot:
        configure(server, upstream_options(dovecot))
        as_administrator(server, dovecot)
        with server:
            client = logged_in(server)
            assert client.select() == ("OK", [b"0"])
            client.logout()
        assert f"master={MASTER}" in dovecot.log or f"<{ALICE}>" in dovecot.log


def test_a_wrong_password_never_reaches_the_upstream(behind: Behind) -> None:
    server, dovecot = behind()
    configure(server, upstream_options(dovecot))
    with server:
        client = imaps(server)
        with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
            client.login(ALICE, "wrong")
        client.logout()
    assert "auth failed" not in dovecot.log


def test_a_login_that_the_upstream_refuses_is_our_trouble_and_not_a_wrong_password(
    new_server: NewServer,
) -> None:
    server = new_server()
    with Dovecot({ALICE: "another password"}) as dovecot:
        configure(server, upstream_options(dovecot))
        with server:
            client = imaps(server)
            with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
                client.login(ALICE, server.password(ALICE))
        assert "login failed: it refuses the login" in server.log
        assert "another password" not in server.log


def test_a_dead_upstream_is_told_and_a_living_one_found_again(behind: Behind) -> None:
    server, dovecot = behind()
    configure(server, upstream_options(dovecot))
    with server:
        client = logged_in(server)
        client.select()
        dovecot.kill()
        with pytest.raises(imaplib.IMAP4.abort):
            client.noop()
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            logged_in(server)
        told = server.mailfront("status")
        assert f"upstream {LOOPBACK}:{dovecot.ports['imap']}" in told.stdout + told.stderr
        dovecot.start()
        eventually(lambda: can_log_in(server), "the upstream is back and is not used")


def can_log_in(server: MailServer) -> bool:
    try:
        logged_in(server).logout()
    except imaplib.IMAP4.error:
        return False
    return True


def test_sessions_go_to_the_upstream_that_is_left(new_server: NewServer) -> None:
    server = new_server()
    with Dovecot(passwords(server)) as one, Dovecot(passwords(server)) as two:
        urls = [f"imap://{LOOPBACK}:{each.ports['imap']}" for each in (one, two)]
        configure(server, {"service.imap.upstream": ",".join(urls)})
        with server:
            for _ in range(6):
                logged_in(server).logout()
            held = [logged_in(server) for _ in range(6)]
            counts = [each.log.count("Info: Login: ") for each in (one, two)]
            assert min(counts) >= 3, counts
            for client in held:
                client.logout()
            one.kill()
            for _ in range(6):
                logged_in(server).logout()


def test_the_directory_says_which_server_holds_whom(new_server: NewServer) -> None:
    server = new_server()
    with Dovecot(passwords(server)) as one, Dovecot(passwords(server)) as two:
        ldif = server.root.users_ldif.read_text()
        # Both listen on loopback, so the port has to tell them apart: alice's is the template's.
        assert f"mail: {ALICE}\n" in ldif
        server.root.users_ldif.write_text(
            ldif.replace(f"mail: {ALICE}\n", f"mail: {ALICE}\nmailHost: 127.0.0.2\n")
        )
        configure(
            server,
            {
                "service.imap.upstream": f"imap://{LOOPBACK}:{one.ports['imap']}",
                "service.imap.mailhosturl": f"imap://%h:{two.ports['imap']}",
            },
        )
        with server:
            with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
                logged_in(server, ALICE)
            logged_in(server, BOB).logout()
        assert f"127.0.0.2:{two.ports['imap']}" in server.log
        assert f"<{BOB}>" in one.log


@pytest.mark.parametrize("scheme", ["imaps", "imap"])
def test_tls_to_the_upstream_is_verified(behind: Behind, tmp_path: Path, scheme: str) -> None:
    issuer = Issuer()
    issued = issuer.issue("store1.example.test")
    certificate = certificate_pem_file(tmp_path / "store.pem", issued.chain)
    key = key_pem_file(tmp_path / "store.key", issued.key)
    server, dovecot = behind(certificate=certificate, key=key)
    port = dovecot.ports[scheme]
    tls = "" if scheme == "imaps" else "tls=starttls&"
    configure(
        server,
        {"service.imap.upstream": f"{scheme}://{LOOPBACK}:{port}?{tls}name=store1.example.test"},
    )
    with server:
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            logged_in(server)
        assert "its certificate: " in server.log
        root = certificate_pem_file(tmp_path / "root.pem", [issuer.root])
        added = run_command(
            "msgcert", "add-cert", "-C", "Example-Root", str(root),
            "--home", str(server.root.path),
        )  # fmt: skip
        assert added.returncode == 0, added.stderr
        eventually(lambda: can_log_in(server), "the new authority is not trusted")
    login = next(line for line in dovecot.log.splitlines() if "Login: " in line)
    assert ", TLS" in login


def test_a_large_message_arrives_byte_for_byte(behind: Behind) -> None:
    server, dovecot = behind()
    body = b"".join(b"%08d %s\r\n" % (number, b"x" * 60) for number in range(150_000))
    message = b"Subject: large\r\n\r\n" + body
    dovecot.deliver(ALICE, message)
    configure(server, upstream_options(dovecot))
    with server:
        client = logged_in(server)
        client.select()
        assert body_of(client, 1) == message
        client.append("INBOX", "", "", message)
        assert body_of(client, 2) == message
        client.logout()


def test_a_stop_of_the_server_ends_sessions_with_bye(behind: Behind) -> None:
    server, dovecot = behind()
    configure(server, upstream_options(dovecot))
    server.start()
    client = logged_in(server)
    client.select()
    os.kill(server.pid, signal.SIGTERM)
    assert b"BYE" in client.readline()
    server.stop()


def test_mbsync_and_curl_work_through_it(behind: Behind, tmp_path: Path) -> None:
    server, dovecot = behind()
    for _ in range(20):
        dovecot.deliver(ALICE, MESSAGE)
    configure(server, upstream_options(dovecot))
    mbsync = require_program("mbsync", "isync")
    (tmp_path / "password").write_text(server.password(ALICE))
    (tmp_path / "mail").mkdir()
    configuration = tmp_path / "mbsyncrc"
    with server:
        certificate = ssl.get_server_certificate((LOOPBACK, server.ports["imaps"]))
        (tmp_path / "server.pem").write_text(certificate)
        configuration.write_text(
            f"""\
IMAPAccount a
Host localhost
Port {server.ports["imaps"]}
User {ALICE}
PassCmd "cat {tmp_path}/password"
SSLType IMAPS
CertificateFile {tmp_path}/server.pem

IMAPStore far
Account a

MaildirStore near
Inbox {tmp_path}/mail/INBOX
SubFolders Verbatim
Path {tmp_path}/mail/

Channel c
Far :far:
Near :near:
Create Both
SyncState *
"""
        )
        synced = subprocess.run(
            [mbsync, "-c", configuration, "-a"], capture_output=True, text=True, timeout=60,
            check=False,
        )  # fmt: skip
        assert synced.returncode == 0, synced.stderr
        assert len([*(tmp_path / "mail" / "INBOX").rglob("*.*")]) >= 20
        listed = curl_as(server, tmp_path, f"pop3s://{LOOPBACK}:{server.ports['pops']}/")
        assert len(listed.splitlines()) == 20
