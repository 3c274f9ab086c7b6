"""Renewed means served: a running server follows every renewed certificate, and keeps the old one
where the new one would not do."""

from __future__ import annotations

import json
import re
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from mailfront.keystore.formats import sha256_fingerprint
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from tests.conftest import NewServer
from tests.support.dialogue import DEADLINE, Dialogue, unverified_context
from tests.support.issuing import Issued, Issuer, certificate_pem_file, key_pem_file
from tests.support.keystores import self_signed
from tests.support.ports import LOOPBACK, free_ports
from tests.support.server import ALICE, MailServer, run_command
from tests.support.waiting import eventually

RENEWALS = 50
THREADS = 3
NICKNAME = "imap-cert"
NAMES = ("mail.example.test", "imap.example.test")


def msgcert(server: MailServer, *arguments: object) -> str:
    """Run msgcert beside the running server, as an operator does; return what it tells people."""
    finished = run_command("msgcert", "--home", str(server.root.path), *map(str, arguments))
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def told_fingerprint(text: str) -> str:
    """The fingerprint in what msgcert told."""
    found = re.search("^SHA-256 fingerprint: ([0-9A-F:]{95})$", text, re.MULTILINE)
    assert found is not None, text
    return found[1]


def opened(server: MailServer) -> InternalToken:
    password = read_password(server.root.sslpassword_conf, INTERNAL_TOKEN)
    return InternalToken.open(server.root.certificate_database, password)


def served(server: MailServer, port: str = "imaps") -> str:
    """The fingerprint of the certificate that a new connection is shown."""
    # A name that no other service's certificate is for, so that none of those is chosen by it.
    with Dialogue(server.ports[port], tls=True, server_name=NAMES[0]) as client:
        return sha256_fingerprint(x509.load_der_x509_certificate(client.certificate))


def _is_served(server: MailServer, fingerprint: str) -> bool:
    return served(server) == fingerprint


def counters(server: MailServer) -> dict[str, int]:
    counted = json.loads(server.mailfront("status", "--json").stdout)["counters"]
    assert isinstance(counted, dict)
    return counted


def pem_files(directory: Path, issued: Issued) -> tuple[Path, Path]:
    """Write `fullchain.pem` and `privkey.pem`, the key first."""
    directory.mkdir(exist_ok=True)
    key = key_pem_file(directory / "privkey.pem", issued.key)
    return certificate_pem_file(directory / "fullchain.pem", issued.chain), key


def put(server: MailServer, directory: Path, issued: Issued) -> str:
    """Put a certificate in place of the present one; return its fingerprint."""
    chain, key = pem_files(directory, issued)
    msgcert(server, "import-cert", "--replace", NICKNAME, chain, "--key", key)
    return sha256_fingerprint(issued.leaf)


def issued_server(new_server: NewServer, directory: Path, issuer: Issuer) -> MailServer:
    """A server, not started, whose IMAP presents a certificate of `issuer`."""
    server = new_server()
    root = certificate_pem_file(directory / "root.pem", [issuer.root])
    msgcert(server, "add-cert", "-C", "Example Root", root)
    put(server, directory / "first", issuer.issue(*NAMES))
    return server


class Visitors:
    """Threads that connect without a pause, and what each of them was shown."""

    def __init__(self, port: int) -> None:
        self.shown: list[list[str]] = [[] for _ in range(THREADS)]
        self.failures: list[str] = []
        self._port = port
        self._context = unverified_context()
        self._stop = threading.Event()

    @contextmanager
    def connecting(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._visit, args=(shown,)) for shown in self.shown]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _visit(self, shown: list[str]) -> None:
        while not self._stop.is_set():
            try:
                fingerprint = self._connection()
            except OSError as failure:
                self.failures.append(repr(failure))
                continue
            if shown[-1:] != [fingerprint]:
                shown.append(fingerprint)
            # Two cores are for the server and for msgcert too.
            time.sleep(0.01)

    def _connection(self) -> str:
        address = (LOOPBACK, self._port)
        with (
            socket.create_connection(address, timeout=DEADLINE) as plain,
            self._context.wrap_socket(plain, server_hostname=NAMES[0]) as client,
        ):
            certificate = client.getpeercert(binary_form=True)
            if certificate is None or not client.recv(64).startswith(b"* OK"):
                raise ssl.SSLError("no greeting")
            return sha256_fingerprint(x509.load_der_x509_certificate(certificate))


@pytest.mark.timeout(400)
def test_fifty_renewals_under_constant_connections_cost_none(new_server: NewServer) -> None:
    with new_server() as server, ExitStack() as stack:
        known = [served(server)]
        open_before = [
            stack.enter_context(Dialogue(server.ports["imaps"], tls=True)) for _ in "123"
        ]
        login = f"a LOGIN {ALICE} {server.password(ALICE)}".encode()
        for client in open_before:
            client.ask(login, b"a OK")
        visitors = Visitors(server.ports["imaps"])
        with visitors.connecting():
            for _ in range(RENEWALS):
                told = msgcert(server, "renew-selfsign-cert", "--new-key", NICKNAME)
                known.append(told_fingerprint(told))
            eventually(lambda: served(server) == known[-1], "the last one is not served")
        assert visitors.failures == []
        assert len(set(known)) == RENEWALS + 1
        for shown in visitors.shown:
            order = [known.index(fingerprint) for fingerprint in shown]
            assert order == sorted(order), "an older certificate came back"
            assert len(order) > 1
        for client in open_before:
            assert client.ask(b"a NOOP", b"a OK")
        counted = counters(server)
        assert 1 < counted["imaps.certificates_rotated"] <= RENEWALS
        assert counted["imap.certificates_rotated"] == counted["imaps.certificates_rotated"]
        assert "pops.certificates_rotated" not in counted
        assert "imaps.handshakes_failed" not in counted


def test_one_renewed_certificate_is_logged_once_for_each_port_that_presents_it(
    new_server: NewServer,
) -> None:
    with new_server() as server:
        old, other = served(server), served(server, "pops")
        msgcert(server, "renew-selfsign-cert", NICKNAME)
        eventually(lambda: served(server) != old, "the new one is not served")
        new = served(server)
        assert served(server, "pops") == other
        lines = [line for line in server.log.splitlines() if " replaced=" in line]
        assert len(lines) == 2
        for name in ("imap", "imaps"):
            address = f"{LOOPBACK}:{server.ports[name]}"
            expected = f"port={name} address={address} nickname={NICKNAME} fingerprint={new}"
            assert any(line.endswith(f"{expected} replaced={old}") for line in lines), lines
        rotated = {name: count for name, count in counters(server).items() if "rotated" in name}
        assert rotated == {"imap.certificates_rotated": 1, "imaps.certificates_rotated": 1}


def _without_a_name(issuer: Issuer) -> Issued:
    return issuer.issue(NAMES[0])


def _expired(issuer: Issuer) -> Issued:
    return issuer.issue(*NAMES, begins=datetime.now(UTC) - timedelta(days=91))


def _without_its_intermediate(issuer: Issuer) -> Issued:
    stranger = Issuer().issue(*NAMES)
    return Issued(stranger.key, stranger.chain[:1])


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_without_a_name, "is not for imap.example.test"),
        (_expired, "expired on"),
        (_without_its_intermediate, "is incomplete"),
    ],
)
def test_an_unfit_certificate_stays_unserved_until_a_right_one_comes(
    new_server: NewServer, tmp_path: Path, made: Callable[[Issuer], Issued], reason: str
) -> None:
    issuer = Issuer()
    with issued_server(new_server, tmp_path, issuer) as server:
        old = served(server)
        unfit = put(server, tmp_path / "unfit", made(issuer))
        eventually(lambda: reason in server.log, "the log does not say why")
        assert served(server) == old
        status = server.mailfront("status", "--strict")
        assert status.returncode == 1
        assert f"{old[:11]} (keystore: {unfit[:11]})" in status.stdout
        assert re.search(f"^problem: imap: .*{re.escape(reason)}", status.stderr, re.MULTILINE)
        assert counters(server)["imaps.certificates_refused"] == 1
        right = put(server, tmp_path / "right", issuer.issue(*NAMES))
        eventually(lambda: served(server) == right, "the right one is not served")
        status = server.mailfront("status", "--strict")
        assert status.returncode == 0, status.stderr
        assert "keystore:" not in status.stdout
        assert counters(server)["imaps.certificates_refused"] == 1


class Renewer:
    """A tool that keeps a certificate in files."""

    def __init__(self, directory: Path, first: Issued) -> None:
        self.directory = directory
        self.certificate_file = directory / "fullchain.pem"
        self.key_file = directory / "privkey.pem"
        self.begin(first)

    def begin(self, first: Issued) -> None:
        pem_files(self.directory, first)

    def renew(self, issued: Issued) -> None:
        raise NotImplementedError


class Certbot(Renewer):
    """`live/NAME/*.pem` are symbolic links into `archive/NAME/`, where the files are numbered."""

    def begin(self, first: Issued) -> None:
        self._number = 0
        self._archive = self.directory / "archive" / NAMES[0]
        self._live = self.directory / "live" / NAMES[0]
        self._archive.mkdir(parents=True)
        self._live.mkdir(parents=True)
        self.certificate_file = self._live / "fullchain.pem"
        self.key_file = self._live / "privkey.pem"
        self.renew(first)

    def renew(self, issued: Issued) -> None:
        self._number += 1
        key_pem_file(self._archive / f"privkey{self._number}.pem", issued.key)
        certificate_pem_file(self._archive / f"fullchain{self._number}.pem", issued.chain)
        for kind in ("privkey", "fullchain"):
            link = self._live / f"{kind}.pem"
            link.unlink(missing_ok=True)
            link.symlink_to(f"../../archive/{NAMES[0]}/{kind}{self._number}.pem")


class AcmeSh(Renewer):
    """The files are overwritten where they are; its hooks may take a while between them."""

    def begin(self, first: Issued) -> None:
        self.directory.mkdir()
        pem_files(self.directory, first)

    def renew(self, issued: Issued) -> None:
        key_pem_file(self.key_file, issued.key)
        time.sleep(2.5)
        certificate_pem_file(self.certificate_file, issued.chain)


class Kubernetes(Renewer):
    """A mounted secret: `tls.crt` and `tls.key` lead through `..data`, which is swapped."""

    def begin(self, first: Issued) -> None:
        self._number = 0
        self.directory.mkdir()
        for name in ("tls.crt", "tls.key"):
            (self.directory / name).symlink_to(f"..data/{name}")
        self.certificate_file = self.directory / "tls.crt"
        self.key_file = self.directory / "tls.key"
        self.renew(first)

    def renew(self, issued: Issued) -> None:
        self._number += 1
        version = self.directory / f"..2026_11_23_{self._number}"
        version.mkdir()
        certificate_pem_file(version / "tls.crt", issued.chain)
        key_pem_file(version / "tls.key", issued.key)
        swap = self.directory / "..data_tmp"
        swap.symlink_to(version.name)
        swap.replace(self.directory / "..data")


@pytest.mark.parametrize("tool", [Certbot, AcmeSh, Kubernetes])
def test_a_linked_certificate_follows_the_files_of_its_tool(
    new_server: NewServer, tmp_path: Path, tool: type[Renewer]
) -> None:
    issuer = Issuer()
    with issued_server(new_server, tmp_path, issuer) as server:
        first = issuer.issue(*NAMES)
        renewer = tool(tmp_path / "tool", first)
        files = ("--cert", renewer.certificate_file, "--key", renewer.key_file)
        msgcert(server, "link", NICKNAME, *files)
        latest = sha256_fingerprint(first.leaf)
        eventually(lambda: served(server) == latest, "the linked one is not served")
        with Dialogue(server.ports["imaps"], tls=True) as open_before:
            open_before.line()
            for _ in range(2):
                renewed = issuer.issue(*NAMES)
                renewer.renew(renewed)
                latest = sha256_fingerprint(renewed.leaf)
                eventually(partial(_is_served, server, latest), "not followed")
            assert open_before.ask(b"a NOOP", b"a OK")
        assert f"{NICKNAME} imported from {renewer.certificate_file}" in server.log
        assert " ERROR " not in server.log
        status = server.mailfront("status", "--strict")
        assert status.returncode == 0, status.stderr


def test_unfit_linked_files_are_told_and_leave_the_keystore_as_it_is(
    new_server: NewServer, tmp_path: Path
) -> None:
    issuer = Issuer()
    with issued_server(new_server, tmp_path, issuer) as server:
        renewer = Certbot(tmp_path / "tool", issuer.issue(*NAMES))
        files = ("--cert", renewer.certificate_file, "--key", renewer.key_file)
        msgcert(server, "link", NICKNAME, *files)
        with opened(server) as token:
            before = token.require(NICKNAME).sha256
        eventually(lambda: served(server) == before, "the linked one is not served")
        renewer.renew(_without_a_name(issuer))
        eventually(lambda: "linked files are not imported" in server.log, "the log is silent")
        status = server.mailfront("status", "--strict")
        assert status.returncode == 1
        assert "is not for imap.example.test" in status.stderr
        assert counters(server)["imaps.certificates_refused"] == 1
        assert served(server) == before
        renewed = issuer.issue(*NAMES)
        renewer.renew(renewed)
        latest = sha256_fingerprint(renewed.leaf)
        eventually(lambda: served(server) == latest, "the right one is not served")
        assert server.mailfront("status", "--strict").returncode == 0


def test_the_metrics_tell_when_each_certificate_expires(new_server: NewServer) -> None:
    [port] = free_ports(1)
    with new_server({"service.admin.port": str(port)}) as server:
        with opened(server) as token:
            expected = {
                (record.nickname,): record.certificate.not_valid_after_utc.timestamp()
                for record in token.list()
                if record.nickname in ("smtp-cert", "imap-cert", "pop-cert", "http-cert")
            }
        eventually(lambda: set(_expiries(port)) == set(expected), "not all are told")
        assert _expiries(port) == expected


def _expiries(port: int) -> dict[tuple[str], float]:
    address = f"http://{LOOPBACK}:{port}/metrics"
    with urllib.request.urlopen(address, timeout=DEADLINE) as answer:
        text = answer.read().decode()
    return {
        (sample.labels["nickname"],): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "mailfront_certificate_expiry_seconds"
    }


def _with_an_old_certificate(server: MailServer) -> str:
    """Make the certificate of IMAP one that has lived 80 of its 90 days."""
    key, certificate = self_signed(now=datetime.now(UTC) - timedelta(days=80))
    with opened(server) as token:
        return token.replace(NICKNAME, [certificate], key).sha256


def test_a_self_signed_certificate_is_renewed_by_the_server_if_that_is_wanted(
    new_server: NewServer,
) -> None:
    server = new_server({"local.ssl.autorenewselfsigned": "yes"})
    old = _with_an_old_certificate(server)
    with server:
        eventually(lambda: served(server) != old, "it is not renewed")
        with opened(server) as token:
            record = token.require(NICKNAME)
        assert served(server) == record.sha256
        assert record.certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=80)
        assert f"nickname={NICKNAME} self-signed, renewed until" in server.log
        assert server.mailfront("status", "--strict").returncode == 0


def test_it_is_only_warned_of_otherwise(new_server: NewServer) -> None:
    server = new_server({"local.ssl.autorenewselfsigned": "no"})
    old = _with_an_old_certificate(server)
    with server:
        eventually(lambda: f"nickname={NICKNAME} services=imap expires in" in server.log, "silent")
        assert served(server) == old
        assert "renewed until" not in server.log
