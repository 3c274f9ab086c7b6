"""Hostile or broken input gets the protocol's own error, ends the connection where it must, and
leaves neither a traceback in the log nor memory behind."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.dialogue import Dialogue
from tests.support.server import ALICE, MailServer

MEBIBYTE = 1 << 20
# More than the server's own limit of twenty; then something is wrong.
MOST_BAD_COMMANDS = 25

# Service: the command that nobody knows, and what each refusal begins with.
UNKNOWN = {
    "smtp": (b"FROBNICATE", b"50"),
    "submissions": (b"FROBNICATE", b"50"),
    "imaps": (b"a FROBNICATE", b"a BAD"),
    "pops": (b"FROBNICATE", b"-ERR"),
}


def conversation(server: MailServer, name: str) -> Dialogue:
    """Connect, with TLS on the ports that begin with it, and read the greeting."""
    client = Dialogue(server.ports[name], tls=name.endswith("s"))
    client.line()
    return client


def resident_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_command_is_refused_and_the_next_one_answered(
    server: MailServer, name: str
) -> None:
    command, refusal = UNKNOWN[name]
    with conversation(server, name) as client:
        assert client.ask(command, refusal)
        goodbye = {"smtp": b"221", "submissions": b"221", "imaps": b"q OK", "pops": b"+OK"}[name]
        assert client.ask(b"q LOGOUT" if name == "imaps" else b"QUIT", goodbye)


@pytest.mark.parametrize("name", UNKNOWN)
def test_twenty_bad_commands_end_the_connection(server: MailServer, name: str) -> None:
    command, _ = UNKNOWN[name]
    with conversation(server, name) as client:
        client.send((command + b"\r\n") * MOST_BAD_COMMANDS)
        answers = client.rest().splitlines()
    assert 0 < len(answers) <= 22, answers


@pytest.mark.parametrize(
    ("name", "length", "refusals"),
    [
        ("smtp", 3_000, (b"500", b"421")),
        ("imaps", 70_000, (b"* BAD", b"* BYE")),
        ("pops", 300, (b"-ERR",)),
    ],
)
def test_an_over_long_line_is_refused(
    server: MailServer, name: str, length: int, refusals: tuple[bytes, ...]
) -> None:
    with conversation(server, name) as client:
        client.send(b"x" * length + b"\r\n")
        assert client.line().startswith(refusals)


@pytest.mark.parametrize("name", ["smtp", "imaps", "pops"])
def test_a_line_without_end_costs_no_memory(server: MailServer, name: str) -> None:
    before = resident_bytes(server.pid)
    # The server may close meanwhile.
    with conversation(server, name) as client, suppress(OSError):
        for _ in range(64):
            client.send(b"x" * MEBIBYTE)
    with conversation(server, name):
        assert resident_bytes(server.pid) - before < 32 * MEBIBYTE


@pytest.mark.parametrize(
    ("name", "command", "refusals"),
    [
        ("smtp", b"NOOP\0", (b"50",)),
        ("imaps", b"a NOOP\0", (b"a BAD", b"* BAD")),
        ("pops", b"USER a\0b", (b"-ERR",)),
    ],
)
def test_nul_is_refused(
    server: MailServer, name: str, command: bytes, refusals: tuple[bytes, ...]
) -> None:
    with conversation(server, name) as client:
        assert client.ask(command, *refusals)


def test_imap_refuses_a_literal_that_is_too_large_before_it_is_sent(server: MailServer) -> None:
    with conversation(server, "imaps") as client:
        client.send(b"a LOGIN {99999999}\r\n")
        assert client.line().startswith((b"a BAD", b"a NO", b"* BYE"))


def test_imap_does_not_keep_a_literal_that_is_too_large_and_already_on_its_way(
    server: MailServer,
) -> None:
    before = resident_bytes(server.pid)
    with conversation(server, "imaps") as client:
        client.send(b"a LOGIN {99999999+}\r\n")
        assert client.line().startswith((b"a BAD", b"a NO", b"* BYE"))
        with suppress(OSError):  # The server may close meanwhile.
            for _ in range(40):
                client.send(b"x" * MEBIBYTE)
    with conversation(server, "imaps"):
        assert resident_bytes(server.pid) - before < 32 * MEBIBYTE


def test_imap_refuses_a_wrong_password_and_an_unknown_user_with_the_same_words(
    server: MailServer,
) -> None:
    with conversation(server, "imaps") as client:
        (wrong,) = client.ask(f"a LOGIN {ALICE} wrong".encode(), b"a ")
    with conversation(server, "imaps") as client:
        (unknown,) = client.ask(b"a LOGIN nobody@example.test wrong", b"a ")
    assert wrong.startswith(b"a NO [AUTHENTICATIONFAILED]")
    assert unknown == wrong


def test_pop_refuses_a_wrong_password(server: MailServer) -> None:
    with conversation(server, "pops") as client:
        client.ask(f"USER {ALICE}".encode(), b"+OK")
        (answer,) = client.ask(b"PASS wrong", b"-ERR", b"+OK")
        assert answer.startswith(b"-ERR [AUTH]")


def test_submission_refuses_a_wrong_password(server: MailServer) -> None:
    credentials = base64.b64encode(f"\0{ALICE}\0wrong".encode())
    with conversation(server, "submissions") as client:
        client.ask(b"EHLO client.example.org", b"250 ")
        (answer,) = client.ask(b"AUTH PLAIN " + credentials, b"5", b"2")
        assert answer.startswith(b"535 5.7.8")


@pytest.mark.parametrize("name", ["imaps", "pops", "submissions", "https"])
def test_garbage_in_place_of_a_handshake_ends_the_connection(server: MailServer, name: str) -> None:
    with Dialogue(server.ports[name]) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n" + bytes(range(256)) * 8)
        answer = client.rest()
    # Nothing, or an alert record (RFC 8446 section 5.1).
    assert answer[:1] in (b"", b"\x15")


@pytest.mark.parametrize("name", ["smtp", "imap", "pop"])
def test_garbage_after_starttls_ends_the_connection(server: MailServer, name: str) -> None:
    with conversation(server, name) as client:
        if name == "smtp":
            client.ask(b"EHLO client.example.org", b"250 ")
        client.ask(
            {"smtp": b"STARTTLS", "imap": b"a STARTTLS", "pop": b"STLS"}[name],
            b"2",
            b"a OK",
            b"+OK",
        )
        client.send(b"this is not a ClientHello\r\n" * 10)
        assert client.rest()[:1] in (b"", b"\x15")


@pytest.mark.parametrize("name", ["smtp", "imap", "pop"])
def test_a_web_browser_on_a_mail_port_is_sent_away(server: MailServer, name: str) -> None:
    with conversation(server, name) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\nQUIT\r\n")
        assert b"221" not in client.rest()


def test_smtp_refuses_a_bare_line_feed_in_a_message(server: MailServer) -> None:
    with conversation(server, "smtp") as client:
        client.ask(b"EHLO client.example.org", b"250 ")
        client.ask(b"MAIL FROM:<a@example.org>", b"250 ")
        client.ask(f"RCPT TO:<{ALICE}>".encode(), b"250 ")
        client.ask(b"DATA", b"354 ")
        client.send(b"Subject: smuggled\r\n\r\nbody\n.\nMAIL FROM:<evil@example.org>\r\n.\r\n")
        assert client.line().startswith(b"5")


def test_smtp_refuses_a_message_that_is_too_large_before_it_is_sent(server: MailServer) -> None:
    with conversation(server, "smtp") as client:
        client.ask(b"EHLO client.example.org", b"250 ")
        (answer,) = client.ask(b"MAIL FROM:<a@example.org> SIZE=999999999999", b"5", b"2")
        assert answer.startswith(b"552 5.3.4")


def test_smtp_refuses_a_message_that_grows_too_large(new_server: NewServer) -> None:
    with (
        new_server({"service.smtp.sizelimit": "65536"}) as server,
        conversation(server, "smtp") as client,
    ):
        client.ask(b"EHLO client.example.org", b"250 ")
        client.ask(b"MAIL FROM:<a@example.org>", b"250 ")
        client.ask(f"RCPT TO:<{ALICE}>".encode(), b"250 ")
        client.ask(b"DATA", b"354 ")
        client.send(b"Subject: large\r\n\r\n" + b"x" * 70 * 1000 + b"\r\n.\r\n")
        assert client.line().startswith(b"552 5.3.4")


def test_a_silent_client_is_sent_away(new_server: NewServer) -> None:
    options = {"service.logintimeout": "5", "service.handshaketimeout": "1"}
    with new_server(options) as server:
        with Dialogue(server.ports["imaps"]) as no_handshake:
            assert no_handshake.rest()[:1] in (b"", b"\x15")
        with conversation(server, "imap") as imap, conversation(server, "pop") as pop:
            assert imap.rest().startswith(b"* BYE")
            assert pop.rest().startswith(b"-ERR")
