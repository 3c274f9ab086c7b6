"""Mail programs through mailfront to Dovecot: fetchmail, getmail, OfflineIMAP, mbsync, curl."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dovecot import Dovecot
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer

COUNT = 5
MESSAGES = [
    b"From: <x@example.org>\r\nMessage-ID: <%d@example.org>\r\nSubject: letter %d\r\n\r\nBody\r\n"
    % (number, number)
    for number in range(COUNT)
]


@pytest.fixture(scope="module")
def site(
    server_root_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailServer]:
    """A server before a Dovecot in which alice has letters."""
    directory = tmp_path_factory.mktemp("clients")
    server = MailServer.copied(server_root_template, directory / "root")
    server.choose_ports()
    with Dovecot({ALICE: server.password(ALICE)}) as dovecot:
        for message in MESSAGES:
            dovecot.deliver(ALICE, message)
        for service in ("imap", "pop"):
            url = f"{service}://{LOOPBACK}:{dovecot.ports[service]}"
            server.set_option(f"service.{service}.upstream", url)
        with server:
            yield server


def maildir(path: Path) -> Path:
    for name in ("cur", "new", "tmp"):
        (path / name).mkdir(parents=True)
    return path


def letters(path: Path) -> set[str]:
    """The subjects of the letters in a Maildir."""
    return {
        line
        for each in path.rglob("*")
        if each.is_file() and each.parent.name in ("cur", "new")
        for line in each.read_text(errors="replace").splitlines()
        if line.startswith("Subject: letter")
    }


def run(arguments: list[str], home: Path) -> None:
    done = subprocess.run(
        arguments,
        env=os.environ | {"HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def certificate_file(server: MailServer, port: str, directory: Path) -> Path:
    path = directory / "server.pem"
    path.write_text(ssl.get_server_certificate((LOOPBACK, server.ports[port])))
    return path


def secret_file(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def delivery_program(path: Path, target: Path) -> Path:
    """A program that puts its input into a Maildir, for those that deliver to none as root."""
    path.write_text(f'#!/bin/sh\nexec cat > "{target}/new/$$.$(date +%s%N)"\n')
    path.chmod(0o700)
    return path


@pytest.mark.parametrize(("protocol", "port"), [("imap", "imaps"), ("pop3", "pops")])
def test_fetchmail_fetches(site: MailServer, tmp_path: Path, protocol: str, port: str) -> None:
    target = maildir(tmp_path / "mail")
    deliver = delivery_program(tmp_path / "deliver", target)
    configuration = secret_file(
        tmp_path / "fetchmailrc",
        f"""\
set no bouncemail
poll {LOOPBACK} protocol {protocol} port {site.ports[port]}
  user "{ALICE}" password "{site.password(ALICE)}"
  ssl, no sslcertck, keep, fetchall, mda "{deliver}"
""",
    )
    run(
        [
            str(require_program("fetchmail")), "-f", str(configuration), "--nosyslog",
            "--pidfile", str(tmp_path / "pid"), "-i", str(tmp_path / "ids"),
        ],
        tmp_path,
    )  # fmt: skip
    assert len(letters(target)) == COUNT


@pytest.mark.parametrize(("kind", "port"), [("IMAP", "imaps"), ("POP3", "pops")])
def test_getmail_retrieves(site: MailServer, tmp_path: Path, kind: str, port: str) -> None:
    target = maildir(tmp_path / "mail")
    configuration = secret_file(
        tmp_path / "getmailrc",
        f"""\
[retriever]
type = Simple{kind}SSLRetriever
server = {LOOPBACK}
port = {site.ports[port]}
username = {ALICE}
password = {site.password(ALICE)}

[destination]
type = MDA_external
path = {delivery_program(tmp_path / "deliver", target)}
allow_root_commands = true

[options]
delete = false
read_all = true
""",
    )
    program = require_program("getmail", "getmail6")
    run([str(program), "--getmaildir", str(tmp_path), "--rcfile", str(configuration)], tmp_path)
    assert len(letters(target)) == COUNT


def test_offlineimap_synchronises(site: MailServer, tmp_path: Path) -> None:
    certificate = certificate_file(site, "imaps", tmp_path)
    configuration = secret_file(
        tmp_path / "offlineimaprc",
        f"""\
[general]
accounts = a
metadata = {tmp_path}/metadata

[Account a]
localrepository = near
remoterepository = far

[Repository near]
type = Maildir
localfolders = {tmp_path}/mail

[Repository far]
type = IMAP
remotehost = localhost
remoteport = {site.ports["imaps"]}
remoteuser = {ALICE}
remotepass = {site.password(ALICE)}
ssl = yes
sslcacertfile = {certificate}
""",
    )
    run(
        [
            str(require_program("offlineimap", "offlineimap3")), "-c", str(configuration), "-o",
            "-u", "basic",
        ],
        tmp_path,
    )  # fmt: skip
    assert len(letters(tmp_path / "mail")) == COUNT


def test_mbsync_synchronises(site: MailServer, tmp_path: Path) -> None:
    certificate = certificate_file(site, "imaps", tmp_path)
    secret_file(tmp_path / "password", site.password(ALICE))
    (tmp_path / "mail").mkdir()
    configuration = tmp_path / "mbsyncrc"
    configuration.write_text(
        f"""\
IMAPAccount a
Host localhost
Port {site.ports["imaps"]}
User {ALICE}
PassCmd "cat {tmp_path}/password"
SSLType IMAPS
CertificateFile {certificate}

IMAPStore far
Account a

MaildirStore near
Inbox {tmp_path}/mail/INBOX
Path {tmp_path}/mail/

Channel c
Far :far:
Near :near:
Create Near
SyncState *
"""
    )
    run([str(require_program("mbsync", "isync")), "-c", str(configuration), "-a"], tmp_path)
    assert len(letters(tmp_path / "mail")) == COUNT


def test_curl_lists(site: MailServer, tmp_path: Path) -> None:
    netrc = secret_file(
        tmp_path / "netrc", f"machine {LOOPBACK} login {ALICE} password {site.password(ALICE)}\n"
    )
    url = f"imaps://{LOOPBACK}:{site.ports['imaps']}/INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)"
    curl = str(require_program("curl"))
    run([curl, "-sSk", "--netrc-file", str(netrc), "-o", str(tmp_path / "out"), url], tmp_path)
    assert "Subject: letter" in (tmp_path / "out").read_text()
