"""Minimum version, suites and certificates change while clients connect without a pause: no
connection fails, and those that were there go on as they began."""

from __future__ import annotations

import ssl
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.conftest import NewServer
from tests.support.dialogue import Dialogue
from tests.support.server import ALICE, MailServer, run_command
from tests.support.session_load import REFUSED_VERSION, Account, Load, imap_session, sessions
from tests.support.waiting import eventually

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
# Two that can do both versions, and one of the older alone, which is refused for a while.
CLIENTS = (TLS13, TLS13, TLS12)
ROUNDS = 3
OPTIONS = {
    # All clients are one address here.
    "service.handshakesperminute": "0",
    "service.connectionsperaddress": "0",
    "local.imap.sslnicknames": "imap-cert",
}
FEWER = "ECDHE-ECDSA-AES256-GCM-SHA384"


def account(server: MailServer) -> Account:
    ports = server.ports
    return Account(ports["imaps"], ports["submission"], ALICE, server.password(ALICE))


def operator(server: MailServer, program: str, *arguments: str) -> None:
    """Run a command beside the server."""
    finished = run_command(program, "--home", str(server.root.path), *arguments)
    assert finished.returncode == 0, finished.stderr


def configure(server: MailServer, option: str, value: str) -> None:
    operator(server, "configutil", "-o", option, "-v", value)


def context_up_to(version: ssl.TLSVersion) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = version
    return context


def is_refused(server: MailServer, version: ssl.TLSVersion) -> bool:
    try:
        imap_session(account(server), context_up_to(version))
    except ssl.SSLError as failure:
        if failure.reason == REFUSED_VERSION:
            return True
        raise
    return False


def suite(server: MailServer) -> str:
    """What a TLS 1.2 client gets."""
    return imap_session(account(server), context_up_to(TLS12))[1]


def certificate(server: MailServer) -> bytes:
    with Dialogue(server.ports["imaps"], tls=True, server_name="unknown.example.test") as client:
        return client.certificate


@contextmanager
def load_on(server: MailServer, until: Path, results: list[Load]) -> Iterator[None]:
    with ProcessPoolExecutor(len(CLIENTS), get_context("spawn")) as pool:
        running = [pool.submit(sessions, account(server), each, until) for each in CLIENTS]
        try:
            yield
        finally:
            until.touch()
        results += [each.result() for each in running]


class Resident:
    """A session that stays, with what it agreed on and was shown."""

    def __init__(self, server: MailServer, version: ssl.TLSVersion, stack: ExitStack) -> None:
        self._dialogue = stack.enter_context(Dialogue(server.ports["imaps"]))
        self._dialogue.start_tls(context_up_to(version))
        self._began = self._state()
        self._dialogue.line()
        login = f'a LOGIN {ALICE} "{server.password(ALICE)}"'
        self._dialogue.ask(login.encode(), b"a OK")

    def _state(self) -> tuple[str, str, bytes]:
        return *self._dialogue.agreed, self._dialogue.certificate

    def goes_on_as_it_began(self) -> bool:
        return self._dialogue.ask(b"b NOOP", b"b OK") != [] and self._state() == self._began


@pytest.mark.timeout(400)
def test_versions_suites_and_certificates_change_under_load_and_no_connection_fails(
    new_server: NewServer, tmp_path: Path
) -> None:
    results: list[Load] = []
    with new_server(OPTIONS) as server, ExitStack() as stack:
        residents = [Resident(server, version, stack) for version in (TLS12, TLS13)]
        shown = [certificate(server)]
        with load_on(server, tmp_path / "stop", results):
            for _ in range(ROUNDS):
                configure(server, "encryption.tlsminversion", "TLSv1.3")
                eventually(lambda: is_refused(server, TLS12), "TLS 1.3 alone")
                operator(server, "msgcert", "renew-selfsign-cert", "--new-key", "imap-cert")
                eventually(lambda: certificate(server) != shown[-1], "the renewed certificate")
                shown.append(certificate(server))
                configure(server, "encryption.tlsminversion", "TLSv1.2")
                eventually(lambda: not is_refused(server, TLS12), "TLS 1.2 too")
                configure(server, "encryption.nsssl3ciphers", FEWER)
                eventually(lambda: suite(server) == FEWER, "the shorter list of suites")
                configure(server, "local.imap.sslnicknames", "pop-cert")
                eventually(lambda: certificate(server) != shown[-1], "another nickname")
                configure(server, "local.imap.sslnicknames", "imap-cert")
                eventually(lambda: certificate(server) == shown[-1], "the former nickname")
                configure(server, "encryption.nsssl3ciphers", "")
                eventually(lambda: suite(server) != FEWER, "the policy's suites")
                assert all(each.goes_on_as_it_began() for each in residents)
        for each in residents:
            assert each.goes_on_as_it_began()
        assert len(set(shown)) == ROUNDS + 1
        assert [load.failures for load in results] == [[] for _ in CLIENTS]
        for key, count in sum((load.seen for load in results), Counter[object]()).items():
            print(key, count)
        print("refused for their version:", [load.refused for load in results])
        assert [load.refused > 0 for load in results] == [False, False, True]
        seen = {key for load in results for key in load.seen}
        assert {(port, version) for port, version, _ in seen} == {
            (port, version)
            for port in ("imaps", "submission")
            for version in ("TLSv1.2", "TLSv1.3")
        }
        assert ("imaps", "TLSv1.2", FEWER) in seen
