"""Holds and kicks on a running server: imaplib, poplib and smtplib are told in their protocols."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import ssl
import threading
import time

import pytest

from tests.conftest import NewServer
from tests.support.memory_tls import client_context
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer
from tests.support.waiting import eventually


def insecure() -> ssl.SSLContext:
    return client_context()


def imap(server: MailServer, user: str = ALICE) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(LOOPBACK, server.ports["imaps"], ssl_context=insecure(), timeout=30)
    client.login(user, server.password(user))
    return client


def pop(server: MailServer) -> poplib.POP3_SSL:
    client = poplib.POP3_SSL(LOOPBACK, server.ports["pops"], context=insecure(), timeout=30)
    client.user(ALICE)
    client.pass_(server.password(ALICE))
    return client


def smtp(server: MailServer) -> smtplib.SMTP_SSL:
    client = smtplib.SMTP_SSL(LOOPBACK, server.ports["submissions"], context=insecure(), timeout=30)
    client.login(ALICE, server.password(ALICE))
    return client


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_kick_ends_all_sessions_of_one_user_and_of_nobody_else(
    new_server: NewServer, workers: str
) -> None:
    with new_server({"service.workers": workers}) as server:
        theirs = imap(server), imap(server)
        bob = imap(server, BOB)
        reading, sending = pop(server), smtp(server)
        kicked = server.mailfront("user", "kick", ALICE)
        assert kicked.returncode == 0, kicked.stderr
        assert f"sessions of {ALICE} ended: 4" in kicked.stderr
        for client in theirs:
            with pytest.raises(imaplib.IMAP4.abort, match="administrator ended"):
                client.noop()
        assert reading.file is not None
        assert reading.file.readline().startswith(b"-ERR ")
        assert sending.getreply()[0] == 421
        assert bob.noop()[0] == "OK"
        eventually(lambda: server.log.count('end="ended by the administrator"') == 4, "four ended")
        assert imap(server).noop()[0] == "OK"
        again = server.mailfront("user", "kick", "nobody@example.test")
        assert "ended: 0" in again.stderr


def test_held_logins_wait_and_go_on_when_released(new_server: NewServer) -> None:
    with new_server({"service.holdwait": "20"}) as server:
        before = imap(server)
        assert server.mailfront("user", "hold", ALICE).returncode == 0
        # The server reads the file again within a second.
        time.sleep(2)
        releasing = threading.Timer(2, server.mailfront, ("user", "release", ALICE))
        releasing.start()
        begun = time.monotonic()
        assert imap(server).noop()[0] == "OK"
        assert time.monotonic() - begun > 1
        releasing.join()
        assert before.noop()[0] == "OK"


def test_a_hold_that_lasts_is_a_temporary_failure(new_server: NewServer) -> None:
    with new_server({"service.holdwait": "1"}) as server:
        assert server.mailfront("user", "hold", ALICE, "--until", "1h").returncode == 0
        time.sleep(2)
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            imap(server)
        with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
            pop(server)
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            smtp(server)
        assert refused.value.smtp_code == 454
        assert imap(server, BOB).noop()[0] == "OK"
        assert "reason=held back" in server.log
