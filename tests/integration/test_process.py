"""The server as a process: start, second start, bind conflict, status, graceful stop."""

from __future__ import annotations

import os
import signal
import socket

import pytest

from tests.conftest import NewServer
from tests.support.dialogue import Dialogue
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, BOB, MailServer, run_command


def logged_in(server: MailServer, user: str) -> Dialogue:
    client = Dialogue(server.ports["imaps"], tls=True)
    client.line()
    client.ask(f'a LOGIN {user} "{server.password(user)}"'.encode(), b"a OK")
    return client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_says_goodbye_and_ends_with_zero(
    new_server: NewServer, number: signal.Signals
) -> None:
    with new_server({"service.draintimeout": "1"}) as server, logged_in(server, ALICE) as client:
        client.ask(b"b SELECT INBOX", b"b OK")
        server.signal(number)
        assert client.rest().startswith(b"* BYE")
        assert server.stop() == 0
        assert "Traceback" not in server.log


def test_a_stopping_server_takes_no_new_connection(new_server: NewServer) -> None:
    server = new_server({"service.draintimeout": "1"})
    server.start()
    port = server.ports["imaps"]
    assert server.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((LOOPBACK, port), timeout=5)


def test_a_second_start_finds_the_mail_of_the_first(new_server: NewServer) -> None:
    server = new_server()
    with server, Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"EHLO client.example.org", b"250 ")
        client.ask(b"MAIL FROM:<a@example.org>", b"250 ")
        client.ask(f"RCPT TO:<{BOB}>".encode(), b"250 ")
        client.ask(b"DATA", b"354 ")
        client.ask(b"Subject: kept\r\n\r\nover a restart\r\n.", b"250 ")
    with server, logged_in(server, BOB) as client:
        client.ask(b"b SELECT INBOX", b"b OK")
        (found, _) = client.ask(b"c SEARCH SUBJECT kept", b"c OK")
        assert found.split()[:2] == [b"*", b"SEARCH"]
        assert len(found.split()) == 3


def test_a_taken_port_is_named_with_address_option_and_process(new_server: NewServer) -> None:
    server = new_server()
    server.choose_ports()
    taken = server.ports["pops"]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((LOOPBACK, taken))
        other.listen()
        started = server.mailfront("serve")
    assert started.returncode == 1
    assert "mailfront ready" not in started.stdout
    for part in (LOOPBACK, str(taken), "service.pop.sslport", str(os.getpid())):
        assert part in started.stderr
    assert "Traceback" not in started.stderr


def test_a_second_server_over_the_same_server_root_is_refused(new_server: NewServer) -> None:
    with new_server() as server:
        second = server.mailfront("serve")
        assert second.returncode == 1
        assert str(server.pid) in second.stderr


def test_status_tells_every_service_and_its_nickname(new_server: NewServer) -> None:
    with new_server() as server:
        status = server.mailfront("status")
        assert status.returncode == 0, status.stderr
        for nickname in ("smtp-cert", "imap-cert", "pop-cert", "http-cert"):
            assert nickname in status.stdout
        for port in server.ports.values():
            assert str(port) in status.stdout


def test_status_without_a_server_fails_with_a_word_of_help(new_server: NewServer) -> None:
    stopped = new_server().mailfront("status")
    assert stopped.returncode == 1
    assert stopped.stdout == ""
    assert stopped.stderr


def test_serve_without_a_server_root_names_init(tmp_path: pytest.TempPathFactory) -> None:
    started = run_command("mailfront", "serve", "--home", str(tmp_path))
    assert started.returncode == 1
    assert "mailfront init" in started.stderr
    assert "Traceback" not in started.stderr
