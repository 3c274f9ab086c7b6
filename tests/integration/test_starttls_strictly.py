"""STARTTLS for SMTP, IMAP and POP3 without the faults that are known of it (NO STARTTLS, USENIX
Security 2021): nothing that came in clear has an effect inside TLS, and TLS begins once, only when
it was asked for properly. Passwords are taken as `plaintextmincipher` says."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.client_hello import client_hello
from tests.support.dialogue import Dialogue
from tests.support.server import ALICE, BOB, MailServer

PORTS = ["smtp", "submission", "imap", "pop"]
EVERY_PORT = pytest.mark.parametrize("port", PORTS)
UPGRADE = {"smtp": b"STARTTLS", "submission": b"STARTTLS", "imap": b"a STARTTLS", "pop": b"STLS"}
INVITED = {"smtp": b"220 ", "submission": b"220 ", "imap": b"a OK", "pop": b"+OK"}
REFUSED = {"smtp": b"5", "submission": b"5", "imap": b"a BAD", "pop": b"-ERR"}
ALIVE = {
    "smtp": (b"NOOP", b"250"),
    "submission": (b"NOOP", b"250"),
    "imap": (b"z NOOP", b"z OK"),
    "pop": (b"CAPA", b"."),
}
IN_CLEAR = {
    "service.imap.plaintextmincipher": "0",
    "service.pop.plaintextmincipher": "0",
    "service.submit.plaintextmincipher": "0",
}


@pytest.fixture(scope="module")
def trusting(
    server_root_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailServer]:
    """A server that takes passwords in clear."""
    path = tmp_path_factory.mktemp("trusting") / "root"
    running = MailServer.copied(server_root_template, path, IN_CLEAR)
    let_submission_be_clear(running)
    with running:
        yield running


def let_submission_be_clear(server: MailServer) -> None:
    """Take the demand for TLS off the channel by which users send."""
    path = server.root.imta_cnf
    path.write_text(path.read_text().replace(" musttlsserver ", " maytlsserver "))


def greeted(server: MailServer, port: str) -> Dialogue:
    client = Dialogue(server.ports[port])
    client.line()
    if port in ("smtp", "submission"):
        client.ask(b"EHLO client.example.org", b"250 ")
    return client


def upgraded(client: Dialogue, port: str) -> None:
    client.ask(UPGRADE[port], INVITED[port])
    client.start_tls()


def is_alive(client: Dialogue, port: str) -> bool:
    command, answer = ALIVE[port]
    return bool(client.ask(command, answer))


def plain(user: str, password: str) -> bytes:
    return base64.b64encode(f"\0{user}\0{password}".encode())


@EVERY_PORT
@pytest.mark.parametrize("injected", [b"NOOP\r\n", b"\r\n", b"x", client_hello()[:5]])
def test_whatever_is_pipelined_behind_it_ends_the_connection_as_a_security_event(
    server: MailServer, port: str, injected: bytes
) -> None:
    def events() -> int:
        counters = json.loads(server.mailfront("status", "--json").stdout)["counters"]
        return sum(count for name, count in counters.items() if "starttls_injection" in name)

    before, logged = events(), len(server.log)
    with greeted(server, port) as client:
        client.send(UPGRADE[port] + b"\r\n" + injected)
        assert INVITED[port] not in client.rest()
    assert events() == before + 1
    said = server.log[logged:]
    assert "STARTTLS injection" in said
    assert "peer=127.0.0.1:" in said


@EVERY_PORT
def test_it_is_refused_inside_tls(server: MailServer, port: str) -> None:
    with greeted(server, port) as client:
        upgraded(client, port)
        if port in ("smtp", "submission"):
            client.ask(b"EHLO client.example.org", b"250 ")
        client.ask(UPGRADE[port], REFUSED[port])
        assert is_alive(client, port)


@EVERY_PORT
@pytest.mark.parametrize("argument", [b" now", b" TLSv1.3 please"])
def test_an_argument_is_refused(server: MailServer, port: str, argument: bytes) -> None:
    with greeted(server, port) as client:
        client.ask(UPGRADE[port] + argument, REFUSED[port])
        assert is_alive(client, port)
        upgraded(client, port)


@pytest.mark.parametrize(
    ("port", "authenticate", "refusal"),
    [
        ("imap", b"b AUTHENTICATE PLAIN", b"b BAD"),
        ("pop", b"AUTH PLAIN", b"-ERR"),
        ("submission", b"AUTH PLAIN", b"501"),
    ],
)
def test_in_the_middle_of_a_login_it_is_a_malformed_response(
    trusting: MailServer, port: str, authenticate: bytes, refusal: bytes
) -> None:
    with greeted(trusting, port) as client:
        client.ask(authenticate, b"+", b"334")
        client.ask(UPGRADE[port], refusal)
        assert is_alive(client, port)
        upgraded(client, port)


def test_after_a_login_in_clear_it_is_refused_by_imap_and_pop(trusting: MailServer) -> None:
    password = trusting.password(ALICE)
    with greeted(trusting, "imap") as client:
        client.ask(f"b LOGIN {ALICE} {password}".encode(), b"b OK")
        client.ask(b"a STARTTLS", b"a BAD")
    with greeted(trusting, "pop") as client:
        client.ask(b"USER " + ALICE.encode(), b"+OK")
        client.ask(b"PASS " + password.encode(), b"+OK")
        client.ask(b"STLS", b"-ERR")


def test_a_login_in_clear_is_forgotten_by_submission(trusting: MailServer) -> None:
    with greeted(trusting, "submission") as client:
        client.ask(b"AUTH PLAIN " + plain(ALICE, trusting.password(ALICE)), b"235")
        upgraded(client, "submission")
        client.ask(b"EHLO client.example.org", b"250 ")
        client.ask(f"MAIL FROM:<{ALICE}>".encode(), b"530")


def test_a_name_given_in_clear_is_forgotten_by_pop(trusting: MailServer) -> None:
    with greeted(trusting, "pop") as client:
        client.ask(b"USER " + BOB.encode(), b"+OK")
        upgraded(client, "pop")
        client.ask(b"PASS " + trusting.password(BOB).encode(), b"-ERR")


def test_half_a_command_in_clear_is_an_injection(server: MailServer) -> None:
    """What stands before the command on its line belongs to it; what stands behind is too much."""
    with greeted(server, "imap") as client:
        client.send(b"a STARTTLS\r\nb LOGIN victim ")
        assert client.rest() == b""


@EVERY_PORT
def test_a_transaction_and_a_greeting_in_clear_are_forgotten(server: MailServer, port: str) -> None:
    with greeted(server, port) as client:
        if port == "smtp":
            client.ask(b"MAIL FROM:<a@example.org>", b"250 ")
            client.ask(f"RCPT TO:<{BOB}>".encode(), b"250 ")
        if port == "imap":
            client.ask(b'i ID ("name" "forged")', b"i OK")
        upgraded(client, port)
        if port in ("smtp", "submission"):
            client.ask(b"DATA", b"503", b"530")
            client.ask(b"MAIL FROM:<a@example.org>", b"50", b"53")
        assert is_alive(client, port)


@EVERY_PORT
def test_mistakes_in_clear_do_not_count_inside_tls(new_server: NewServer, port: str) -> None:
    with new_server({"service.badcommandlimit": "4"}) as server, greeted(server, port) as client:
        for _ in range(3):
            client.ask(b"b FROBNICATE", b"5", b"b BAD", b"-ERR")
        upgraded(client, port)
        for _ in range(3):
            client.ask(b"b FROBNICATE", b"5", b"b BAD", b"-ERR")
        assert is_alive(client, port)


@pytest.mark.parametrize("port", ["imap", "imaps"])
def test_no_session_is_ever_authenticated_before_it_begins(server: MailServer, port: str) -> None:
    with Dialogue(server.ports[port], tls=port == "imaps") as client:
        assert client.line().startswith(b"* OK ")


@EVERY_PORT
def test_a_failed_handshake_ends_the_connection_without_falling_back(
    server: MailServer, port: str
) -> None:
    with greeted(server, port) as client:
        client.ask(UPGRADE[port], INVITED[port])
        client.send(b"NOOP\r\na NOOP\r\nQUIT\r\n")
        assert client.rest() == b""


@pytest.mark.parametrize("minimum", ["-1", "0", "128"])
def test_passwords_are_taken_as_the_option_says(new_server: NewServer, minimum: str) -> None:
    options = dict.fromkeys(IN_CLEAR, minimum)
    server = new_server(options)
    let_submission_be_clear(server)
    with server:
        password = server.password(ALICE)
        for tls in (False, True):
            taken = minimum == "0" or (minimum == "128" and tls)
            with greeted(server, "imap") as client:
                if tls:
                    upgraded(client, "imap")
                offered = b"".join(client.ask(b"c CAPABILITY", b"c OK"))
                assert (b"LOGINDISABLED" not in offered) is taken
                assert (b"AUTH=PLAIN" in offered) is taken
                answer = client.ask(f"b LOGIN {ALICE} {password}".encode(), b"b ")[-1]
                assert answer.startswith(b"b OK") is taken
            with greeted(server, "pop") as client:
                if tls:
                    upgraded(client, "pop")
                offered = b"".join(client.ask(b"CAPA", b"."))
                assert (b"SASL PLAIN" in offered) is taken
                answer = client.ask(b"AUTH PLAIN " + plain(ALICE, password), b"+OK", b"-ERR")[-1]
                assert answer.startswith(b"+OK") is taken
            with greeted(server, "submission") as client:
                if tls:
                    upgraded(client, "submission")
                offered = b"".join(client.ask(b"EHLO client.example.org", b"250 "))
                assert (b"AUTH PLAIN" in offered) is taken
                answer = client.ask(b"AUTH PLAIN " + plain(ALICE, password), b"2", b"5")[-1]
                assert answer.startswith(b"235") is taken
