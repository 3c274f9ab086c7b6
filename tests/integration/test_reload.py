"""A running server takes a changed personality without losing a connection, and keeps the old one
when the new one does not exist."""

from __future__ import annotations

import hashlib
import signal

from tests.conftest import NewServer
from tests.support.dialogue import Dialogue
from tests.support.server import MailServer, run_command
from tests.support.waiting import eventually

NICKNAMES = "local.imap.sslnicknames"


def fingerprint(server: MailServer, name: str) -> str:
    """Return the SHA-256 of the certificate that a new connection is served."""
    with Dialogue(server.ports[name], tls=True) as client:
        return hashlib.sha256(client.certificate).hexdigest()


def configure(server: MailServer, option: str, value: str) -> None:
    """Change an option as an operator does."""
    changed = run_command("configutil", "--home", str(server.root.path), "-o", option, "-v", value)
    assert changed.returncode == 0, changed.stderr


def test_a_new_nickname_is_served_to_the_next_connection_and_none_is_dropped(
    new_server: NewServer,
) -> None:
    with new_server() as server, Dialogue(server.ports["imaps"], tls=True) as open_before:
        open_before.line()
        pop_certificate = fingerprint(server, "pops")
        assert fingerprint(server, "imaps") != pop_certificate
        configure(server, NICKNAMES, "pop-cert")
        eventually(
            lambda: fingerprint(server, "imaps") == pop_certificate, "the new one is not served"
        )
        assert open_before.ask(b"a NOOP", b"a OK")


def test_an_unknown_nickname_keeps_the_old_certificate_and_is_told(new_server: NewServer) -> None:
    with new_server() as server:
        before = fingerprint(server, "imaps")
        configure(server, NICKNAMES, "no-such-cert")
        eventually(lambda: "no-such-cert" in server.log, "the log does not name it")
        assert fingerprint(server, "imaps") == before
        status = server.mailfront("status")
        assert "no-such-cert" in status.stdout + status.stderr
        configure(server, NICKNAMES, "pop-cert")
        eventually(lambda: fingerprint(server, "imaps") != before, "it does not recover")
        assert "no-such-cert" not in server.mailfront("status").stdout


def test_a_hangup_signal_reads_the_configuration_again(new_server: NewServer) -> None:
    with new_server() as server:
        pop_certificate = fingerprint(server, "pops")
        server.set_option(NICKNAMES, "pop-cert")
        server.signal(signal.SIGHUP)
        eventually(
            lambda: fingerprint(server, "imaps") == pop_certificate, "the new one is not served"
        )


def test_a_broken_configuration_does_not_stop_a_running_server(new_server: NewServer) -> None:
    with new_server() as server:
        with server.root.msg_conf.open("a") as file:
            file.write("service.imap.nosuchoption = 1\n")
        server.signal(signal.SIGHUP)
        eventually(lambda: "nosuchoption" in server.log, "the log does not name it")
        with Dialogue(server.ports["imaps"], tls=True) as client:
            assert client.line().startswith(b"* OK")
