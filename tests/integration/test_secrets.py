"""No password reaches the log, the process list or a file that others can read."""

from __future__ import annotations

import base64
import imaplib
import poplib
import smtplib
import stat
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.dialogue import unverified_context
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer

WRONG = "not-the-password-7391"


def log_in_everywhere(server: MailServer, password: str) -> None:
    """Log in by every service and mechanism; a refusal is as good as a success."""
    context = unverified_context()
    with imaplib.IMAP4_SSL(LOOPBACK, server.ports["imaps"], ssl_context=context) as imap:
        try:
            imap.login(ALICE, password)
        except imaplib.IMAP4.error:
            plain = f"\0{ALICE}\0{password}".encode()
            with pytest.raises(imaplib.IMAP4.error):
                imap.authenticate("PLAIN", lambda _: plain)
    pop = poplib.POP3_SSL(LOOPBACK, server.ports["pops"], context=context)
    try:
        pop.user(ALICE)
        pop.pass_(password)
    except poplib.error_proto:
        pass
    finally:
        pop.close()
    with smtplib.SMTP(LOOPBACK, server.ports["submission"]) as smtp:
        smtp.starttls(context=context)
        smtp.ehlo()
        smtp.user, smtp.password = ALICE, password
        for mechanism, method in (("PLAIN", smtp.auth_plain), ("LOGIN", smtp.auth_login)):
            try:
                smtp.auth(mechanism, method)
            except smtplib.SMTPException:
                continue
            break


def forms(password: str) -> list[str]:
    """The password as text and in the base64 forms of the mechanisms."""
    plain = base64.b64encode(f"\0{ALICE}\0{password}".encode()).decode()
    return [password, plain, base64.b64encode(password.encode()).decode()]


def test_no_password_is_in_the_log_at_its_lowest_level(new_server: NewServer) -> None:
    with new_server({"logfile.default.loglevel": "Debug"}) as server:
        password = server.password(ALICE)
        log_in_everywhere(server, password)
        log_in_everywhere(server, WRONG)
        arguments = Path(f"/proc/{server.pid}/cmdline").read_text()
        environment = Path(f"/proc/{server.pid}/environ").read_text()
    assert ALICE in server.log, "the log tells who logged in"
    for text in (*forms(password), *forms(WRONG)):
        assert text not in server.log
        assert text not in arguments
        assert text not in environment


def test_no_file_with_a_secret_is_readable_by_others(new_server: NewServer) -> None:
    with new_server() as server:
        root = server.root
        for path in (root.certdb_directory, root.store_directory):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        secrets = [root.sslpassword_conf, root.users_ldif, root.initial_passwords]
        for path in (*secrets, *root.certdb_directory.iterdir()):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
        password = server.password(ALICE)
        holders = [
            path
            for path in root.path.rglob("*")
            if path.is_file() and password.encode() in path.read_bytes()
        ]
        assert holders == [root.initial_passwords]
