"""What sessions through an IMAP proxy cost: mailfront, nginx, Dovecot, HAProxy, stunnel.

All stand in front of the same stub on this machine, with the same certificate and one process for
the connections, and run at once; the clients are processes of their own. Figures are the CPU time
of each server's processes, from /proc (`bench.rounds` says how they are compared).
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import proxy_load
from bench.certificate import write_certificate
from bench.peers.dovecot import DovecotProxy
from bench.peers.imap_stub import ImapStub
from bench.peers.mailfront import Mailfront
from bench.peers.nginx import Nginx
from bench.peers.peer import MissingPeerError, Peer
from bench.peers.tls_termination import haproxy, stunnel
from bench.processes import cpu_seconds, proportional_bytes, resident_bytes
from bench.rounds import ROUNDS, Row, measure, print_row, write_results
from mailfront.keystore.formats import chain_pem
from tests.support.client_authority import ClientAuthority
from tests.support.server import ALICE

LOGINS = 600
BULK_KIB = 64 * 1024
BULK_TIMES = 6
IDLE = 2000
IDLE_SECONDS = 5.0
MOVING = 2000
MOVING_SECONDS = 10.0
_OURS = "mailfront"
_NGINX = "nginx mail"
_NGINX_LARGE = "nginx mail 64k"


@dataclass(slots=True)
class Site:
    """The stub, the certificate, and which other checkouts of mailfront take part."""

    directory: Path
    running: ExitStack
    stub: ImapStub
    certificate: Path
    others: Sequence[Path]
    only_ours: bool

    def peers(self, *kinds: Callable[[Site, Path], Peer]) -> list[Peer]:
        """Start mailfront, as often as there are checkouts, and then the others that can run."""
        found: list[Peer] = [self._start(_mailfront)]
        found += [self._start(_checkout(path)) for path in self.others]
        for kind in () if self.only_ours else kinds:
            try:
                found.append(self._start(kind))
            except MissingPeerError as missing:
                print(f"not compared: {missing}", file=sys.stderr)
        return found

    def _start(self, kind: Callable[[Site, Path], Peer]) -> Peer:
        peer = kind(self, Path(tempfile.mkdtemp(dir=self.directory)))
        self.running.callback(peer.stop)
        return peer


def main(case: str, arguments: Sequence[str]) -> None:
    """Run one case, print its table, keep its rounds."""
    parser = argparse.ArgumentParser(prog=f"python -m bench {case}")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--sessions", type=int, default=0, help="how many, where it matters")
    parser.add_argument(
        "--against", type=Path, action="append", default=[], help="another checkout of mailfront"
    )
    parser.add_argument("--only-ours", action="store_true", help="no other programs")
    options = parser.parse_args(arguments)
    with _site(options.against, only_ours=options.only_ours) as site:
        rows = CASES[case](site, options)
    for row in rows:
        print_row(row)
    print(write_results(case, rows, {"options": {"rounds": options.rounds}}))


def logins(site: Site, options: argparse.Namespace) -> list[Row]:
    """A full handshake, the login, LOGOUT; by password and by certificate."""
    count = options.sessions or LOGINS
    row = Row("full TLS 1.3 P-256 handshake + LOGIN + LOGOUT", "CPU µs a session", _NGINX)
    peers = site.peers(_nginx, _dovecot, _haproxy, _stunnel)

    def cost(peer: Peer) -> float:
        before = cpu_seconds(peer.pid)
        proxy_load.log_in_and_out(peer.imaps_port, peer.user, peer.password, count)
        return (cpu_seconds(peer.pid) - before) / count * 1e6

    for peer in peers:
        cost(peer)
    return [measure(row, peers, cost, options.rounds)]


def certificate_logins(site: Site, options: argparse.Namespace) -> list[Row]:
    """The same by certificate (EXTERNAL): nginx asks its auth_http for the stub's password, we
    log in as administrator on behalf of the user."""
    count = options.sessions or LOGINS
    row = Row("full handshake with a client certificate + EXTERNAL", "CPU µs a session", _NGINX)
    authority = ClientAuthority("Bench CA")
    trusted = site.directory / "clients.pem"
    trusted.write_bytes(chain_pem([authority.certificate]))
    presented = authority.issue(ALICE.partition("@")[0]).write(site.directory, "alice")

    def ours(site: Site, directory: Path) -> Peer:
        return Mailfront(
            directory, stub=site.stub, certificate=site.certificate, client_authority=trusted
        )

    def nginx(site: Site, directory: Path) -> Peer:
        return Nginx(
            directory, stub=site.stub, certificate=site.certificate, client_authority=trusted
        )

    peers = [site._start(ours), site._start(nginx)]

    def cost(peer: Peer) -> float:
        before = cpu_seconds(peer.pid)
        proxy_load.log_in_and_out(peer.imaps_port, ALICE, "", count, certificate=presented)
        return (cpu_seconds(peer.pid) - before) / count * 1e6

    for peer in peers:
        cost(peer)
    return [measure(row, peers, cost, options.rounds)]


def bulk(site: Site, options: argparse.Namespace) -> list[Row]:
    """A FETCH of 64 MiB, again and again, in one session."""
    row = Row("FETCH of 64 MiB", "MiB a CPU second", _NGINX_LARGE)
    peers = site.peers(_nginx_large, _nginx, _haproxy, _stunnel, _dovecot)

    def rate(peer: Peer) -> float:
        before = cpu_seconds(peer.pid)
        proxy_load.fetch(peer.imaps_port, peer.user, peer.password, BULK_KIB, BULK_TIMES)
        return BULK_KIB / 1024 * BULK_TIMES / (cpu_seconds(peer.pid) - before)

    return [measure(row, peers, rate, options.rounds)]


def idle(site: Site, options: argparse.Namespace) -> list[Row]:
    """Sessions that are logged in and silent: memory of each, CPU of all, a round only, because a
    process that has served keeps memory for later."""
    count = options.sessions or IDLE
    resident = Row(f"resident memory of {count} idle sessions", "KiB each", _NGINX)
    proportional = Row("proportional set size", "KiB each", _NGINX)
    busy = Row("CPU while they are idle", "ms a second", _NGINX)
    for peer in site.peers(_nginx, _nginx_large, _haproxy, _stunnel, _dovecot):
        proxy_load.log_in_and_out(peer.imaps_port, peer.user, peer.password, 20)
        before, shared = resident_bytes(peer.pid), proportional_bytes(peer.pid)
        with proxy_load.idle_sessions(peer.imaps_port, peer.user, peer.password, count):
            resident.add(peer.name, (resident_bytes(peer.pid) - before) / count / 1024)
            proportional.add(peer.name, (proportional_bytes(peer.pid) - shared) / count / 1024)
            used = cpu_seconds(peer.pid)
            proxy_load.wait(IDLE_SECONDS)
            busy.add(peer.name, (cpu_seconds(peer.pid) - used) / IDLE_SECONDS * 1000)
    return [resident, proportional, busy]


def moving(site: Site, options: argparse.Namespace) -> list[Row]:
    """Sessions that all fetch 64 KiB again and again: what each gets in the same time."""
    count = options.sessions or MOVING
    rate = Row(f"{count} sessions fetch 64 KiB at a time", "MiB a CPU second", _NGINX_LARGE)
    least = Row("what the session that got least got", "percent of the median", _NGINX_LARGE)
    most = Row("what the session that got most got", "percent of the median", _NGINX_LARGE)
    peers = site.peers(_nginx_large, _haproxy)

    def fetched(peer: Peer) -> float:
        before = cpu_seconds(peer.pid)
        shares = proxy_load.fetch_in_many(
            peer.imaps_port, peer.user, peer.password, count, MOVING_SECONDS
        )
        used = cpu_seconds(peer.pid) - before
        median = statistics.median(shares) or 1
        least.add(peer.name, 100 * min(shares) / median)
        most.add(peer.name, 100 * max(shares) / median)
        return sum(shares) / 2**20 / used

    return [measure(rate, peers, fetched, options.rounds), least, most]


def workers(site: Site, options: argparse.Namespace) -> list[Row]:
    """One worker and two: what a session costs, and how many a second there are."""
    count = options.sessions or 2 * LOGINS
    cost = Row("handshake + LOGIN + LOGOUT", "CPU µs a session", "1 worker")
    rate = Row("sessions a second, clients on the same processors", "a second", "1 worker")
    peers = [site._start(_workers(number)) for number in (1, 2)]

    def measured(peer: Peer) -> float:
        before = cpu_seconds(peer.pid)
        seconds = proxy_load.log_in_and_out(peer.imaps_port, peer.user, peer.password, count)
        rate.add(peer.name, count / seconds)
        return (cpu_seconds(peer.pid) - before) / count * 1e6

    for peer in peers:
        proxy_load.log_in_and_out(peer.imaps_port, peer.user, peer.password, 50)
    return [measure(cost, peers, measured, options.rounds), rate]


CASES: dict[str, Callable[[Site, argparse.Namespace], list[Row]]] = {
    "proxy-logins": logins,
    "proxy-certificates": certificate_logins,
    "proxy-bulk": bulk,
    "proxy-idle": idle,
    "moving": moving,
    "workers": workers,
}


@contextmanager
def _site(others: Sequence[Path], *, only_ours: bool) -> Iterator[Site]:
    with tempfile.TemporaryDirectory(prefix="mailfront-bench-") as name, ExitStack() as running:
        directory = Path(name)
        certificate = directory / "certificate.pem"
        write_certificate(certificate)
        stub = ImapStub()
        running.callback(stub.stop)
        yield Site(directory, running, stub, certificate, others, only_ours)


def _mailfront(site: Site, directory: Path) -> Peer:
    return Mailfront(directory, stub=site.stub, certificate=site.certificate)


def _checkout(path: Path) -> Callable[[Site, Path], Peer]:
    def start(site: Site, directory: Path) -> Peer:
        return Mailfront(
            directory, stub=site.stub, certificate=site.certificate, checkout=path, name=path.name
        )

    return start


def _workers(number: int) -> Callable[[Site, Path], Peer]:
    def start(site: Site, directory: Path) -> Peer:
        name = "1 worker" if number == 1 else f"{number} workers"
        options = {"service.workers": str(number)}
        return Mailfront(
            directory, options, stub=site.stub, certificate=site.certificate, name=name
        )

    return start


def _nginx(site: Site, directory: Path) -> Peer:
    return Nginx(directory, stub=site.stub, certificate=site.certificate)


def _nginx_large(site: Site, directory: Path) -> Peer:
    return Nginx(
        directory, stub=site.stub, certificate=site.certificate, buffer="64k", name=_NGINX_LARGE
    )


def _dovecot(site: Site, directory: Path) -> Peer:
    return DovecotProxy(site.stub, site.certificate)


def _haproxy(site: Site, directory: Path) -> Peer:
    return haproxy(directory, site.stub, site.certificate)


def _stunnel(site: Site, directory: Path) -> Peer:
    return stunnel(directory, site.stub, site.certificate)
