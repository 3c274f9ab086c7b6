"""What a server did with a command injected behind STARTTLS, told from its answers inside TLS."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import pytest

from mailfront.errors import StarttlsError, StarttlsFault, TlsAnswerError
from mailfront.protocol.starttls_client import Dialogue, StarttlsProtocol
from mailfront.tls.doctor.connection import Connection
from mailfront.tls.doctor.injection import (
    accepts_second_starttls,
    capabilities_inside,
    executes_injected,
)
from mailfront.tls.doctor.trust import lenient_context

SMTP, IMAP, POP3 = StarttlsProtocol.SMTP, StarttlsProtocol.IMAP, StarttlsProtocol.POP3


class Scripted(Connection):
    """A connection whose server says what it was told to, then closes."""

    def __init__(self, answers: Sequence[bytes], *, fault: Exception | None = None) -> None:
        self.sent: list[bytes] = []
        self.behind = b""
        self._answers = list(answers)
        self._fault = fault

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def receive(self) -> bytes:
        return self._answers.pop(0) if self._answers else b""

    def reach_tls(self, *, behind: bytes = b"") -> Dialogue | None:
        self.behind = behind
        if isinstance(self._fault, StarttlsError):
            raise self._fault
        return None

    def start_tls(
        self, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> ssl.SSLSocket:
        if self._fault is not None:
            raise self._fault
        # Nobody looks at it: what follows goes through `send` and `receive`.
        return ssl.SSLSocket.__new__(ssl.SSLSocket)


@pytest.mark.parametrize(
    ("protocol", "answers"),
    [
        (SMTP, [b"500 what?\r\n", b"250 mail\r\n"]),
        (SMTP, [b"500 what?\r\n250 mail\r\n"]),
        (IMAP, [b"injected OK NOOP\r\n", b"* CAPABILITY IMAP4rev1\r\nc1 OK\r\n"]),
        (IMAP, [b"* 1 EXISTS\r\ninjected BAD\r\n"]),
        (POP3, [b"-ERR what?\r\n+OK\r\n.\r\n"]),
    ],
)
def test_a_command_that_is_answered_inside_was_executed(
    protocol: StarttlsProtocol, answers: list[bytes]
) -> None:
    connection = Scripted(answers)
    outcome = executes_injected(connection, protocol, lenient_context())
    assert outcome == (True, "executed inside TLS")
    assert b"injected" in connection.behind.lower()


@pytest.mark.parametrize(
    ("protocol", "answers"),
    [
        (SMTP, [b"250-mail\r\n250 SIZE\r\n"]),
        (SMTP, [b"502 no EHLO here\r\n"]),
        (IMAP, [b"* CAPABILITY IMAP4rev1\r\nc1 OK\r\n"]),
        (POP3, [b"+OK\r\nTOP\r\n.\r\n"]),
        (POP3, [b"-ERR no CAPA here\r\n"]),
    ],
)
def test_a_command_that_only_the_question_is_answered_after_was_dropped(
    protocol: StarttlsProtocol, answers: list[bytes]
) -> None:
    outcome = executes_injected(Scripted(answers), protocol, lenient_context())
    assert outcome == (False, "dropped")


def test_a_server_that_refuses_or_breaks_off_executes_nothing() -> None:
    refused = StarttlsError(StarttlsFault.REFUSED, "surplus octets")
    outcome = executes_injected(Scripted([], fault=refused), SMTP, lenient_context())
    assert outcome == (False, f"refused: {refused}")
    for failure in (ssl.SSLError(1, "alert"), ConnectionResetError(), TlsAnswerError("nonsense")):
        outcome = executes_injected(Scripted([], fault=failure), SMTP, lenient_context())
        assert outcome == (False, "the server broke off")


def test_answers_without_end_are_given_up() -> None:
    connection = Scripted([b"* 1 EXISTS\r\n" * 1000])
    assert executes_injected(connection, IMAP, lenient_context()) == (
        False,
        "the server broke off",
    )


@pytest.mark.parametrize(
    ("protocol", "answer", "accepted"),
    [
        (SMTP, b"220 go ahead\r\n", True),
        (SMTP, b"503 TLS already\r\n", False),
        (IMAP, b"* OK [ALERT] x\r\nc9 OK begin\r\n", True),
        (IMAP, b"c9 BAD TLS already\r\n", False),
        (POP3, b"+OK begin\r\n", True),
        (POP3, b"-ERR TLS already\r\n", False),
        (POP3, b"", False),
    ],
)
def test_a_second_starttls_is_accepted_or_not(
    protocol: StarttlsProtocol, answer: bytes, accepted: bool
) -> None:
    assert accepts_second_starttls(Scripted([answer]), protocol) is accepted


def test_capabilities_inside_are_asked_for_without_waiting_for_a_greeting() -> None:
    connection = Scripted([b"250-mail\r\n250-SIZE 1000\r\n250 AUTH PLAIN\r\n"])
    assert capabilities_inside(connection, SMTP) == ("SIZE 1000", "AUTH PLAIN")
    assert connection.sent == [b"EHLO client.invalid\r\n"]
