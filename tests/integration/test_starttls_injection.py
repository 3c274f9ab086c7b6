"""What is pipelined in clear behind STARTTLS is never executed, and what was learnt in clear is
forgotten (RFC 3207 section 4.2, RFC 9051 section 6.2.1, RFC 2595 section 4)."""

from __future__ import annotations

from tests.support.dialogue import Dialogue
from tests.support.server import ALICE, BOB, MailServer


def test_smtp_never_executes_a_command_behind_starttls(server: MailServer) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"EHLO client.example.org", b"250 ")
        client.send(b"STARTTLS\r\nRSET\r\nNOOP\r\n")
        assert b"250" not in client.rest()
    assert "injection" in server.log


def test_imap_never_executes_a_command_behind_starttls(server: MailServer) -> None:
    with Dialogue(server.ports["imap"]) as client:
        client.line()
        client.send(b"a STARTTLS\r\nb CAPABILITY\r\n")
        answer = client.rest()
    assert b"CAPABILITY" not in answer
    assert b"b " not in answer


def test_pop_never_executes_a_command_behind_stls(server: MailServer) -> None:
    with Dialogue(server.ports["pop"]) as client:
        client.line()
        client.send(b"STLS\r\nCAPA\r\n")
        assert b"UIDL" not in client.rest()


def test_smtp_forgets_the_greeting_of_the_clear_session(server: MailServer) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"EHLO client.example.org", b"250 ")
        client.ask(b"STARTTLS", b"220 ")
        client.start_tls()
        (answer,) = client.ask(b"MAIL FROM:<a@example.org>", b"5", b"2")
        assert answer.startswith(b"503")
        answers = client.ask(b"EHLO client.example.org", b"250 ")
        assert not any(b"STARTTLS" in line for line in answers)


def test_smtp_forgets_the_envelope_of_the_clear_session(server: MailServer) -> None:
    with Dialogue(server.ports["smtp"]) as client:
        client.line()
        client.ask(b"EHLO client.example.org", b"250 ")
        client.ask(b"MAIL FROM:<a@example.org>", b"250 ")
        client.ask(f"RCPT TO:<{BOB}>".encode(), b"250 ")
        client.ask(b"STARTTLS", b"220 ")
        client.start_tls()
        client.ask(b"EHLO client.example.org", b"250 ")
        (answer,) = client.ask(b"DATA", b"5", b"3")
        assert answer.startswith(b"503")


def test_imap_offers_login_only_inside_tls(server: MailServer) -> None:
    with Dialogue(server.ports["imap"]) as client:
        client.line()
        before = b" ".join(client.ask(b"a CAPABILITY", b"a "))
        assert b"LOGINDISABLED" in before
        assert b"STARTTLS" in before
        (refused,) = client.ask(f"b LOGIN {ALICE} {server.password(ALICE)}".encode(), b"b ")
        assert refused.startswith((b"b NO", b"b BAD"))
        client.ask(b"c STARTTLS", b"c OK")
        client.start_tls()
        after = b" ".join(client.ask(b"d CAPABILITY", b"d "))
        assert b"LOGINDISABLED" not in after
        assert b"STARTTLS" not in after


def test_pop_forgets_the_user_of_the_clear_session(server: MailServer) -> None:
    with Dialogue(server.ports["pop"]) as client:
        client.line()
        client.send(f"USER {ALICE}\r\n".encode())
        assert client.line().startswith(b"-ERR")
        client.ask(b"STLS", b"+OK")
        client.start_tls()
        client.send(f"PASS {server.password(ALICE)}\r\n".encode())
        assert client.line().startswith(b"-ERR")
