"""Several processes that serve as one: ports, status, tickets, mail, deaths, stop."""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import signal
import smtplib
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from mailfront.interfaces.secret import Secret
from mailfront.keystore.passwords import write_password
from tests.conftest import NewServer
from tests.support.dialogue import unverified_context
from tests.support.ports import LOOPBACK, free_ports
from tests.support.server import ALICE, BOB, MailServer
from tests.support.token_site import NAME, TokenSite
from tests.support.waiting import eventually

TWO = {"service.workers": "2"}


def status(server: MailServer) -> dict[str, object]:
    finished = server.mailfront("status", "--json")
    assert finished.returncode == 0, finished.stderr
    found: dict[str, object] = json.loads(finished.stdout)
    return found


def workers(server: MailServer) -> list[int]:
    """The process ids of the workers."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    return sorted(map(int, children.split()))


def owner(server: MailServer, port: int, client: socket.socket) -> int:
    """Which worker has the other end of a connection."""
    mine = client.getsockname()[1]
    inode = ""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, remote = (int(each.rpartition(":")[2], 16) for each in fields[1:3])
        if (local, remote) == (port, mine):
            inode = fields[9]
    for pid in workers(server):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if os.readlink(descriptor) == f"socket:[{inode}]":
                    return pid
    return 0


def imap(server: MailServer, user: str) -> imaplib.IMAP4_SSL:
    client = imaplib.IMAP4_SSL(
        LOOPBACK, server.ports["imaps"], ssl_context=unverified_context(), timeout=30
    )
    client.login(user, server.password(user))
    return client


def at_each(server: MailServer, user: str) -> dict[int, imaplib.IMAP4_SSL]:
    """One session at each worker."""
    sessions: dict[int, imaplib.IMAP4_SSL] = {}
    for _ in range(60):
        client = imap(server, user)
        pid = owner(server, server.ports["imaps"], client.socket())
        if pid in sessions:
            client.logout()
        else:
            sessions[pid] = client
        if len(sessions) == 2:
            return sessions
    raise AssertionError("the kernel gives all connections to one worker")


def send(server: MailServer, recipient: str) -> None:
    with smtplib.SMTP(LOOPBACK, server.ports["smtp"], timeout=30) as client:
        client.starttls(context=unverified_context())
        client.sendmail("a@sender.test", [recipient], b"Subject: hello\r\n\r\nworld\r\n")


def resumes(server: MailServer, session: Path, version: str, times: int) -> list[bool]:
    """Whether a session is resumed, again and again over new connections."""
    address = f"{LOOPBACK}:{server.ports['imaps']}"
    base = ["openssl", "s_client", "-connect", address, "-ign_eof", version]
    outcomes = []
    for number in range(times + 1):
        direction = "-sess_in" if number else "-sess_out"
        finished = subprocess.run(
            [*base, direction, str(session)], input=b"a LOGOUT\r\n", capture_output=True,
            timeout=30, check=False,
        )  # fmt: skip
        outcomes.append(b"Reused, TLSv1" in finished.stdout)
    return outcomes[1:]


def test_two_workers_are_one_server(new_server: NewServer, tmp_path: Path) -> None:
    with new_server(TWO) as server:
        assert len(workers(server)) == 2
        sessions = at_each(server, ALICE)
        told = status(server)
        assert told["pid"] == server.pid
        assert told["problems"] == []
        ports = told["ports"]
        assert isinstance(ports, list)
        names = [port["name"] for port in ports]
        assert len(names) == len(set(names)) == 8
        (imaps,) = (port for port in ports if port["name"] == "imaps")
        assert imaps["connections"] == 2

        idling = list(sessions.values())
        for client in idling:
            client.select("INBOX")
            client.send(b"i IDLE\r\n")
            assert client.readline().startswith(b"+")
        send(server, ALICE)
        for client in idling:
            # Whichever worker took the mail, both sessions are told.
            assert b"EXISTS" in client.readline()
        for client in idling:
            client.shutdown()

        for version in ("-tls1_2", "-tls1_3"):
            assert all(resumes(server, tmp_path / "session.pem", version, 8))

        reloaded = server.mailfront("reload")
        assert reloaded.returncode == 0, reloaded.stderr
        server.set_option("local.imap.sslnicknames", "pop-cert")
        server.signal(signal.SIGHUP)
        eventually(lambda: len(certificates(server)) == 1, "both present the new certificate")
    assert "Traceback" not in server.log


def test_systemd_is_told_once_when_all_accept_and_once_when_they_stop(
    new_server: NewServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(path))
        channel.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        with new_server(TWO) as server:
            assert channel.recv(100) == b"READY=1"
            assert len(workers(server)) == 2
        assert channel.recv(100) == b"STOPPING=1"
        channel.setblocking(False)
        with pytest.raises(BlockingIOError):
            channel.recv(100)


def test_webmail_and_its_sessions_are_with_one_worker(new_server: NewServer) -> None:
    with new_server(TWO) as server:
        port = server.ports["https"]
        owners = set()
        for _ in range(12):
            plain = socket.create_connection((LOOPBACK, port), timeout=20)
            with unverified_context().wrap_socket(plain, server_hostname="localhost") as channel:
                channel.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert channel.recv(100).startswith(b"HTTP/1.1 ")
                owners.add(owner(server, port, channel))
        assert len(owners) == 1
        assert owners < set(workers(server))


def test_metrics_are_those_of_all_workers(new_server: NewServer) -> None:
    (port,) = free_ports(1)
    with new_server(TWO | {"service.admin.port": str(port)}) as server:
        sessions = at_each(server, ALICE)

        def connections() -> float:
            with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/metrics", timeout=20) as answer:
                lines = answer.read().decode().splitlines()
            (line,) = (
                each for each in lines if each.startswith('mailfront_connections{port="imaps:')
            )
            return float(line.rpartition(" ")[2])

        eventually(lambda: connections() == 2, "both sessions are counted")
        for client in sessions.values():
            client.logout()
        eventually(lambda: connections() == 0, "they are gone")


def certificates(server: MailServer) -> set[bytes]:
    """What is presented to clients that ask for no name, over several connections."""
    found = set()
    for _ in range(12):
        plain = socket.create_connection((LOOPBACK, server.ports["imaps"]), timeout=20)
        with unverified_context().wrap_socket(plain) as channel:
            found.add(channel.getpeercert(binary_form=True) or b"")
    return found


def test_a_worker_that_dies_is_started_again_and_nobody_is_turned_away(
    new_server: NewServer,
) -> None:
    with new_server(TWO) as server:
        first, second = workers(server)
        (before,) = certificates(server)
        server.set_option("local.imap.sslnicknames", "pop-cert")
        eventually(lambda: before not in certificates(server), "another certificate")
        os.kill(first, signal.SIGKILL)
        for _ in range(12):
            client = imap(server, BOB)
            client.logout()
        eventually(lambda: len(workers(server)) == 2 and first not in workers(server), "again")
        eventually(lambda: status(server)["problems"] == [], "all is well")
        assert before not in certificates(server), "the new one follows live options too"
        counters = status(server)["counters"]
        assert isinstance(counters, dict)
        assert counters["workers.restarted"] == 1
        assert second in workers(server)
    assert server.log.count("started again") == 1


def test_a_wrong_option_stops_the_start(new_server: NewServer) -> None:
    server = new_server(TWO | {"local.imap.sslnicknames": "no-such"})
    server.choose_ports()
    finished = server.mailfront("serve")
    assert finished.returncode == 1
    assert "no-such" in finished.stderr
    assert finished.stderr.count("did not start") == 1
    assert "Traceback" not in finished.stderr


def test_another_server_on_the_port_is_noticed(new_server: NewServer) -> None:
    with new_server(TWO) as server:
        other = new_server(TWO, "other")
        other.choose_ports()
        other.set_option("service.imap.sslport", str(server.ports["imaps"]))
        finished = other.mailfront("serve")
        assert finished.returncode == 1
        assert "the port is in use" in finished.stderr


def test_a_stop_ends_all_workers_and_sessions(new_server: NewServer) -> None:
    with new_server(TWO) as server:
        sessions = at_each(server, ALICE)
        children = workers(server)
        assert server.stop() == 0
        for client in sessions.values():
            assert b"BYE" in client.readline()
            client.shutdown()
        assert not any(Path(f"/proc/{pid}").exists() for pid in children)
        server.start()


def test_workers_do_not_outlive_their_supervisor(new_server: NewServer) -> None:
    with new_server(TWO) as server:
        children = workers(server)
        server.signal(signal.SIGKILL)
        assert server.stop() == -signal.SIGKILL
        eventually(
            lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "the workers stop"
        )
        server.start()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TokenSite]:
    site = TokenSite(tmp_path / "tokens")
    with site.visible():
        yield site


def test_each_worker_signs_with_keys_on_a_token(new_server: NewServer, site: TokenSite) -> None:
    server = new_server(TWO | {"local.imap.sslnicknames": "HSM One:token-ec"})
    site.install(server)
    site.certify(server, "token-ec")
    with server:
        (served,) = certificates(server)
        assert x509.load_der_x509_certificate(served).subject.rfc4514_string() == f"CN={NAME}"
        sessions = at_each(server, ALICE)
        for client in sessions.values():
            client.logout()
        assert status(server)["problems"] == []
        assert site.shim.counts.signatures >= 2


def test_a_wrong_pin_is_tried_by_the_first_worker_alone(
    new_server: NewServer, site: TokenSite
) -> None:
    server = new_server(TWO | {"local.imap.sslnicknames": "HSM One:token-ec"})
    site.install(server)
    site.certify(server, "token-ec")
    write_password(server.root.sslpassword_conf, "HSM One", Secret("not-the-pin"))
    before = site.shim.counts.logins
    with server:
        assert len(workers(server)) == 2
    assert site.shim.counts.logins - before == 1
