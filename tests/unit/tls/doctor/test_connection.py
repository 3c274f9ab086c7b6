"""Connections of the examining client: bounded in time and octets, whatever the server does."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mailfront.errors import OperatorError, StarttlsError, TlsAnswerError
from mailfront.protocol.starttls_client import StarttlsProtocol
from mailfront.protocol.tls_probe.code_points import TLS12
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.doctor.connection import MOST_RECEIVED, Connection
from mailfront.tls.doctor.target import Target
from tests.support.bad_servers import script, stub
from tests.support.ports import LOOPBACK, free_ports

LONG = 30.0


def target_of(port: int, starttls: StarttlsProtocol | None = None) -> Target:
    return Target(LOOPBACK, port, "mail.example.test", starttls, implicit=starttls is None)


def pour(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"x" * 65536)


def drip(connection: socket.socket) -> None:
    # Each octet comes in time for a deadline that began anew with the one before.
    connection.settimeout(0.02)
    while True:
        connection.sendall(b"*")
        try:
            if not connection.recv(1):
                return
        except TimeoutError:
            continue


def leave(connection: socket.socket) -> None:
    connection.recv(65536)


def test_a_port_where_nobody_listens_is_told_with_a_remedy() -> None:
    [port] = free_ports(1)
    with pytest.raises(OperatorError, match=rf"no connection to {LOOPBACK}:{port}: .*refused"):
        Connection(target_of(port), LONG)


def received_from(connection: Connection) -> Iterator[bytes]:
    while data := connection.receive():
        yield data


def test_a_server_that_does_not_stop_sending_is_left() -> None:
    received: list[bytes] = []
    with stub(pour) as port, Connection(target_of(port), LONG) as connection:
        with pytest.raises(TlsAnswerError, match="does not stop"):
            received.extend(received_from(connection))
        assert sum(map(len, received)) <= MOST_RECEIVED


def test_a_server_that_drips_gains_no_time() -> None:
    with (
        stub(drip) as port,
        Connection(target_of(port), 0.3) as connection,
        pytest.raises(TimeoutError),
    ):
        list(received_from(connection))


def test_the_clear_part_ends_with_the_go_ahead() -> None:
    answers = [b"+OK ready\r\n", b"+OK\r\nSTLS\r\n.\r\n", b"+OK begin\r\n"]
    with stub(partial(script, answers=answers)) as port:
        target = target_of(port, StarttlsProtocol.POP3)
        with Connection(target, LONG) as connection:
            dialogue = connection.reach_tls()
    assert dialogue is not None
    assert dialogue.is_ready
    assert "STLS" in dialogue.capabilities


def test_where_tls_begins_at_once_nothing_is_said_in_clear() -> None:
    with stub(leave) as port, Connection(target_of(port), LONG) as connection:
        assert connection.reach_tls() is None


@pytest.mark.parametrize(
    ("serve", "error"),
    [
        (partial(script, answers=[b"+OK ready\r\n", b"+OK\r\nUSER\r\n.\r\n"]), StarttlsError),
        (partial(script, answers=[b"+OK ready\r\n"]), ConnectionResetError),
    ],
    ids=["STLS not announced", "closed"],
)
def test_a_clear_part_that_leads_nowhere_is_an_error(
    serve: Callable[[socket.socket], None], error: type[Exception]
) -> None:
    with stub(serve) as port:
        target = target_of(port, StarttlsProtocol.POP3)
        with Connection(target, LONG) as connection, pytest.raises(error):
            connection.reach_tls()


def test_a_server_that_closes_after_a_client_hello_has_accepted_nothing() -> None:
    with stub(leave) as port, Connection(target_of(port), LONG) as connection:
        answer = connection.probe(Offer(TLS12))
    assert not answer.is_accepted
    assert not answer.is_complete
