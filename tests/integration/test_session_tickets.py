"""Session tickets: taken while the context lives, and never in the way afterwards."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import NewServer
from tests.support.dialogue import unverified_context
from tests.support.ports import LOOPBACK
from tests.support.server import MailServer
from tests.support.waiting import eventually

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


@contextmanager
def connection(
    server: MailServer, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> Iterator[ssl.SSLSocket]:
    plain = socket.create_connection((LOOPBACK, server.ports["imaps"]), timeout=20)
    with context.wrap_socket(plain, server_hostname="localhost", session=session) as channel:
        assert channel.recv(1000).startswith(b"* OK ")
        yield channel


def client(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = unverified_context()
    context.maximum_version = version
    return context


def certificate(server: MailServer) -> bytes:
    with connection(server, unverified_context()) as channel:
        found = channel.getpeercert(binary_form=True)
        assert found is not None
        return found


@VERSIONS
def test_a_ticket_from_before_a_change_leads_to_a_full_handshake(
    new_server: NewServer, version: ssl.TLSVersion
) -> None:
    context = client(version)
    with new_server() as server:
        with connection(server, context) as first:
            session = first.session
        with connection(server, context, session) as again:
            assert again.session_reused
        before = certificate(server)
        server.set_option("local.imap.sslnicknames", "pop-cert")
        eventually(lambda: certificate(server) != before, "the new certificate is not served")
        with connection(server, context, session) as after:
            assert not after.session_reused
            assert after.getpeercert(binary_form=True) != before
            after.sendall(b"a NOOP\r\n")
            assert after.recv(1000) == b"a OK Noop completed\r\n"
        assert "handshake:" not in server.log


@VERSIONS
def test_a_ticket_from_before_a_restart_leads_to_a_full_handshake(
    new_server: NewServer, version: ssl.TLSVersion
) -> None:
    context = client(version)
    with new_server() as server:
        with connection(server, context) as first:
            session = first.session
        assert server.stop() == 0
        server.start()
        with connection(server, context, session) as after:
            after.sendall(b"a NOOP\r\n")
            assert after.recv(1000) == b"a OK Noop completed\r\n"


def test_resumed_handshakes_spend_no_budget(new_server: NewServer) -> None:
    context = client(ssl.TLSVersion.TLSv1_3)
    with new_server({"service.handshakesperminute": "3"}) as server:
        with connection(server, context) as first:
            session = first.session
        for _ in range(20):
            with connection(server, context, session) as again:
                assert again.session_reused
                session = again.session
