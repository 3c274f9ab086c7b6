"""HAProxy before our ports: its PROXY headers, of every kind, tell who the client is."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.clients import run
from tests.support.haproxy import HaProxy
from tests.support.ports import LOOPBACK
from tests.support.server import ALICE, MailServer
from tests.support.waiting import eventually

CLIENT = "127.0.0.77"
BEHIND = {
    "service.proxynetworks": LOOPBACK,
    **{
        f"service.{group}.proxyprotocol": "yes"
        for group in ("imap", "pop", "smtp", "submit", "http")
    },
}
CHECKS = {
    "smtp": "option smtpchk EHLO checker.example.org",
    "imap": "option tcp-check\ntcp-check expect string *\\ OK",
    "imaps": "option tcp-check\ntcp-check connect ssl send-proxy\ntcp-check expect string *\\ OK",
    "https": "option httpchk\nhttp-check connect ssl send-proxy\nhttp-check send meth GET uri /",
}


def curl(server: MailServer, url: str, *more: str) -> str:
    finished = run(
        ["curl", "--silent", "--show-error", "--insecure", "--interface", CLIENT, *more,
         "--config", "-", url],
        text_input=f'user = "{ALICE}:{server.password(ALICE)}"\n',
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def ended(server: MailServer, service: str) -> list[str]:
    """The client addresses in the connection log of a service."""
    return re.findall(rf"connection.* service={service} peer=(\S+):\d+ ", server.log)


@pytest.mark.parametrize(
    "send", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"]
)
def test_the_log_and_the_mail_know_the_client(
    new_server: NewServer, tmp_path: Path, send: str
) -> None:
    with (
        new_server(BEHIND) as server,
        HaProxy(tmp_path / "haproxy", server.ports, send) as balancer,
    ):
        ports = balancer.ports
        assert "LIST" in curl(server, f"imaps://{LOOPBACK}:{ports['imaps']}/")
        assert "LIST" in curl(server, f"imap://{LOOPBACK}:{ports['imap']}/", "--ssl-reqd")
        curl(server, f"pop3s://{LOOPBACK}:{ports['pops']}/")
        curl(server, f"https://{LOOPBACK}:{ports['https']}/")
        message = tmp_path / "message"
        message.write_text(f"From: {ALICE}\r\nTo: {ALICE}\r\nSubject: hello\r\n\r\nHello.\r\n")
        for url in (
            f"smtp://{LOOPBACK}:{ports['submission']}",
            f"smtps://{LOOPBACK}:{ports['submissions']}",
        ):
            curl(
                server, url, "--ssl-reqd", "--mail-from", ALICE, "--mail-rcpt", ALICE,
                "--upload-file", str(message),
            )  # fmt: skip
        run(
            ["swaks", "--server", LOOPBACK, "--port", str(ports["smtp"]), "--tls",
             "--local-interface", CLIENT, "--from", "bob@example.org", "--to", ALICE]
        )  # fmt: skip
        services = ("imaps", "imap", "pop3s", "https", "submission", "submissions", "smtp")
        for service in services:
            eventually(lambda name=service: ended(server, name) != [], service)  # type: ignore[misc]
            assert set(ended(server, service)) == {CLIENT}
        mail = curl(server, f"imaps://{LOOPBACK}:{ports['imaps']}/INBOX;MAILINDEX=3")
        assert f"[{CLIENT}]" in mail


def test_health_checks_are_answered_and_leave_no_trace(
    new_server: NewServer, tmp_path: Path
) -> None:
    with new_server(BEHIND) as server:
        targets = {name: server.ports[name] for name in CHECKS}
        with HaProxy(tmp_path / "haproxy", targets, "send-proxy-v2", CHECKS) as balancer:
            answered = dict.fromkeys(CHECKS, "L7OK")
            eventually(lambda: balancer.checks() == answered, "checks")
            curl(server, f"imaps://{LOOPBACK}:{balancer.ports['imaps']}/")
        eventually(lambda: ended(server, "imaps") == [CLIENT], "the client's own session")
        assert ended(server, r"\S+") == [CLIENT]


def test_nobody_else_connects_and_a_trusted_client_without_a_header_neither(
    new_server: NewServer,
) -> None:
    with new_server(BEHIND) as server:
        for address, reason in (
            ("127.0.0.78", "not of service.proxynetworks"),
            (LOOPBACK, "no PROXY header"),
        ):
            port = server.ports["imap"]
            with socket.create_connection((LOOPBACK, port), 10, (address, 0)) as plain:
                with_reset = b""
                try:
                    plain.sendall(b"a CAPABILITY\r\n")
                    with_reset = plain.recv(100)
                except ConnectionError:
                    pass
                assert with_reset == b""
            eventually(lambda why=reason: why in server.log, reason)  # type: ignore[misc]


def test_limits_hold_for_each_client_and_not_for_the_load_balancer(
    new_server: NewServer, tmp_path: Path
) -> None:
    options = BEHIND | {"service.connectionsperaddress": "2"}
    with (
        new_server(options) as server,
        HaProxy(tmp_path / "haproxy", server.ports, "send-proxy-v2") as balancer,
    ):
        held = []
        for number in (1, 1, 2, 2, 3, 3, 1):
            source = (f"127.0.1.{number}", 0)
            plain = socket.create_connection((LOOPBACK, balancer.ports["imap"]), 10, source)
            held.append((plain, plain.recv(100)))
        assert [greeting[:6] for _, greeting in held[:6]] == [b"* OK ["] * 6
        assert held[6][1].startswith(b"* BYE")
        for plain, _ in held:
            plain.close()
