"""Keys on tokens: what a slow one does to sessions that are up, and what handshakes cost.

A session that is logged in asks NOOP while handshakes come at a steady rate: first none, then with
the key of the database, with that of a SoftHSM token, and with that token made to take 20 ms for a
signature. Then handshakes by CPU second of the server, one key after the other: in the database,
on the token, and in the database with the token signing for it (`modutil -default`). With `--soak`
instead 24,000 handshakes with keys of the token, and what they leave behind. Nothing is asserted.
"""

from __future__ import annotations

import socket
import ssl
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

from bench.load import DEADLINE, LOOPBACK, ImapSession, client_context
from bench.processes import cpu_seconds
from mailfront.keystore.passwords import write_password
from tests.support.server import ALICE, MailServer, make_server_root, run_command
from tests.support.token_site import TokenSite
from tests.support.token_soak import soak

SLOW_MILLISECONDS = 20
PER_SECOND = 40
SECONDS = 10.0
PAUSE = 0.005
HANDSHAKES = 1000
_OPTIONS = {
    "service.handshakesperminute": "0",
    "service.maxhandshakesperaddress": "0",
}
# Nicknames, what the token is the default for, and what keys they have.
_KEYS = (
    ("pop-cert", "", "database, EC P-256"),
    ("HSM One:slow", "", "token (SoftHSM), EC P-256"),
    ("pop-cert", "EC", "accelerator (SoftHSM), EC P-256"),
    ("rsa", "", "database, RSA 2048"),
    ("HSM One:slow-rsa", "", "token (SoftHSM), RSA 2048"),
    ("rsa", "RSA", "accelerator (SoftHSM), RSA 2048"),
)
_SOAK_STEPS, _SOAK_EACH = 12, 2000


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory(prefix="mailfront-bench-") as directory:
        site = TokenSite(Path(directory, "tokens"))
        with site.visible():
            _measure_latency(site, Path(directory, "slow"))
            _measure_cost(site, Path(directory, "cost"))


def soak_main() -> None:
    """Print what 24,000 handshakes leave behind."""
    with tempfile.TemporaryDirectory(prefix="mailfront-bench-") as directory:
        site = TokenSite(Path(directory, "tokens"))
        names = "HSM One:slow, HSM One:slow-rsa"
        with site.visible(), _server(Path(directory, "soak"), site, names, shimmed=True) as server:
            print("handshakes  signatures  sessions open  opened  resident KiB  files")
            for sample in soak(site, server, "pops", _SOAK_STEPS, _SOAK_EACH):
                print(
                    f"{sample.handshakes:10}  {sample.signatures:10}  {sample.sessions:13}"
                    f"  {sample.sessions_opened:6}  {sample.resident // 1024:12}  {sample.files:5}",
                    flush=True,
                )


def _measure_latency(site: TokenSite, path: Path) -> None:
    with _server(path, site, "HSM One:slow", shimmed=True) as server:
        session = ImapSession(
            server.ports["imaps"], ALICE, server.password(ALICE), client_context()
        )
        print(f"NOOP of a session that is up, milliseconds, {PER_SECOND} handshakes a second")
        for name, port, delay in (
            ("no handshakes", "", 0),
            ("key of the database", "imaps", 0),
            ("key of a token", "pops", 0),
            (f"key of a token that takes {SLOW_MILLISECONDS} ms", "pops", SLOW_MILLISECONDS),
        ):
            site.shim.delay(delay)
            with _handshakes(server.ports[port] if port else 0):
                taken = _noops(session)
            cuts = statistics.quantiles(taken, n=100)
            print(f"  {name:40} median {cuts[49]:6.2f}   99 % {cuts[98]:6.2f}")
        site.shim.delay(0)
        session.logout()


def _noops(session: ImapSession) -> list[float]:
    taken = []
    end = time.perf_counter() + SECONDS
    while (begin := time.perf_counter()) < end:
        session.noop()
        taken.append((time.perf_counter() - begin) * 1000)
        time.sleep(PAUSE)
    return taken


@contextmanager
def _handshakes(port: int) -> Iterator[None]:
    """Handshakes at the steady rate meanwhile, from a process of their own."""
    if not port:
        yield
        return
    context = get_context("spawn")
    stop = context.Event()
    process = context.Process(target=_shake_steadily, args=(port, stop))
    process.start()
    time.sleep(1.0)
    try:
        yield
    finally:
        stop.set()
        process.join()


def _shake_steadily(port: int, stop: Event) -> None:
    context = client_context()
    due = time.monotonic()
    with ThreadPoolExecutor(16) as threads:
        while not stop.is_set():
            threads.submit(_shake, port, context)
            due += 1 / PER_SECOND
            time.sleep(max(0.0, due - time.monotonic()))


def _shake(port: int, context: ssl.SSLContext) -> None:
    with (
        socket.create_connection((LOOPBACK, port), timeout=DEADLINE) as plain,
        # Without a name: by SNI another certificate might be chosen.
        context.wrap_socket(plain) as tls,
    ):
        tls.recv(1)


def _measure_cost(site: TokenSite, path: Path) -> None:
    print("full handshakes a CPU second of the server, POP3 with implicit TLS")
    for number, (nickname, default, name) in enumerate(_KEYS):
        with _server(path / str(number), site, nickname, shimmed=False, default=default) as server:
            _shake_often(server.ports["pops"])
            before = cpu_seconds(server.pid)
            _shake_often(server.ports["pops"])
            used = cpu_seconds(server.pid) - before
            print(f"  {name:40} {HANDSHAKES / used:6.0f}")


def _shake_often(port: int) -> None:
    context = client_context()
    left = iter(range(HANDSHAKES))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if next(left, None) is None:
                    return
            _shake(port, context)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def _server(
    path: Path, site: TokenSite, nickname: str, *, shimmed: bool, default: str = ""
) -> Iterator[MailServer]:
    path.parent.mkdir(exist_ok=True)
    make_server_root(path)
    server = MailServer(path, {**_OPTIONS, "local.pop.sslnicknames": nickname})
    library = site.shim.library if shimmed else site.hsm.library
    site.command(server, "modutil", "-add", "softhsm", "-libfile", str(library))
    write_password(server.root.sslpassword_conf, "HSM One", site.hsm.pins["HSM One"])
    if shimmed:
        site.certify(server, "slow")
        site.certify(server, "slow-rsa", "--keytype", "rsa")
    run_command(
        "msgcert", "add-selfsign-cert", "--home", str(path), "--keytype", "rsa", "rsa"
    ).check_returncode()
    if default:
        site.command(server, "modutil", "-default", "softhsm", "-mechanisms", default)
    with server:
        yield server
