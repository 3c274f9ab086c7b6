"""A flood of handshakes: 2,000 that stay half-open and 200 a second that are finished, while one
session that is logged in asks NOOP.

The flood comes from two hundred addresses of loopback, as from many clients, and from processes of
its own. Half of the half-open ones have sent half a ClientHello, the others a whole one and then
nothing; whichever the server closes is opened again. Nothing is asserted.
"""

from __future__ import annotations

import os
import selectors
import socket
import statistics
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from bench.load import DEADLINE, LOOPBACK, ImapSession, client_context
from bench.peers.mailfront import Mailfront
from bench.processes import cpu_seconds, resident_bytes, seconds_in_line
from tests.support.client_hello import client_hello

HALF_OPEN = 2000
PER_SECOND = 200
SECONDS = 10.0
QUIET_SECONDS = 2.0
LOAD_PROCESSES = 2
# A handshake waits for its turn, so one process has several under way.
THREADS = 24
PAUSE = 0.01
_OPTIONS = {
    "service.maxconnections": "5000",
    "service.imap.maxsessions": "5000",
    # The server's own, which the other benches lift.
    "service.handshakesperminute": "1200",
    "service.maxhandshakesperaddress": "50",
}


def addresses(network: int) -> list[str]:
    """A hundred addresses of loopback in 127.`network`.0.0/16."""
    return [f"127.{network}.{number // 10}.{number % 10 + 1}" for number in range(100)]


@dataclass
class Finished:
    """What a process that finishes handshakes has done: how many, how long they took (seconds), and
    what went wrong."""

    done: int = 0
    taken: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)


def finish_handshakes(port: int, per_second: float, begin: float, seconds: float) -> Finished:
    """Begin so many a second, at a steady pace, from the moment `begin` of the clock."""
    context = client_context()
    sources = addresses(1)
    finished = Finished()
    numbers = iter(range(int(per_second * seconds)))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            time.sleep(max(0.0, begin + number / per_second - time.time()))
            if time.time() > begin + seconds:
                return
            source = (sources[number % len(sources)], 0)
            began = time.perf_counter()
            try:
                plain = socket.create_connection(
                    (LOOPBACK, port), timeout=DEADLINE, source_address=source
                )
                with plain, context.wrap_socket(plain, server_hostname="localhost"):
                    pass
            except OSError as failure:
                with lock:
                    finished.failures[type(failure).__name__] += 1
            else:
                with lock:
                    finished.done += 1
                    finished.taken.append(time.perf_counter() - began)

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return finished


@dataclass
class Held:
    """The half-open connections: how many at each look, and how often one was opened again."""

    looks: list[int] = field(default_factory=list)
    reopened: int = 0


def hold_half_open(port: int, number: int, begin: float, seconds: float, ready: Path) -> Held:
    """Open so many and tell by the file `ready`; then keep as many for so long."""
    hello, sources = client_hello(), addresses(0)
    held = Held()
    with selectors.DefaultSelector() as selector:

        def begin_one(index: int) -> None:
            with suppress(OSError):
                source = (sources[index % len(sources)], 0)
                channel = socket.create_connection(
                    (LOOPBACK, port), timeout=DEADLINE, source_address=source
                )
                channel.sendall(hello[:200] if index % 2 else hello)
                channel.setblocking(False)
                selector.register(channel, selectors.EVENT_READ, index)

        for index in range(number):
            begin_one(index)
        ready.touch()
        look_at = begin
        while (now := time.time()) < begin + seconds:
            closed = [key for key, _ in selector.select(0.05) if _is_closed(key.fileobj)]
            for key in closed:
                selector.unregister(key.fileobj)
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()
            if now >= look_at:
                held.looks.append(len(selector.get_map()))
                look_at += 0.1
            for key in closed:
                held.reopened += 1
                begin_one(key.data)
        for key in list(selector.get_map().values()):
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()
    return held


def _is_closed(channel: object) -> bool:
    """Take what the server sent; whether that was its last word, an alert."""
    assert isinstance(channel, socket.socket)
    try:
        received = channel.recv(65536)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return not received or received.startswith(b"\x15")


def noops(session: ImapSession, seconds: float) -> list[float]:
    """Ask without haste for so long; how long each answer took, in milliseconds."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = time.perf_counter()
        session.noop()
        taken.append((time.perf_counter() - asked) * 1000)
        time.sleep(PAUSE)
    return taken


def main() -> None:
    """Print the figures of one run."""
    print("load average before:", " ".join(f"{each:.2f}" for each in os.getloadavg()))
    with tempfile.TemporaryDirectory(prefix="mailfront-bench-") as name:
        server = Mailfront(Path(name), _OPTIONS)
        try:
            _run(server, Path(name, "ready"))
        finally:
            server.stop()


def _run(server: Mailfront, ready: Path) -> None:
    session = ImapSession(server.imaps_port, server.user, server.password, client_context())
    quiet = noops(session, QUIET_SECONDS)
    memory = resident_bytes(server.pid)
    with ProcessPoolExecutor(LOAD_PROCESSES + 1, get_context("spawn")) as pool:
        # Time for the processes to start and for the connections to be made.
        begin = time.time() + 6.0
        holding = pool.submit(hold_half_open, server.imaps_port, HALF_OPEN, begin, SECONDS, ready)
        loading = [
            pool.submit(
                finish_handshakes, server.imaps_port, PER_SECOND / LOAD_PROCESSES, begin, SECONDS
            )
            for _ in range(LOAD_PROCESSES)
        ]
        time.sleep(max(0.0, begin - time.time()))
        late = "" if ready.exists() else " (begun before all of them were there)"
        cpu, line, began = cpu_seconds(server.pid), seconds_in_line(server.pid), time.monotonic()
        taken = noops(session, SECONDS)
        elapsed = time.monotonic() - began
        cpu = (cpu_seconds(server.pid) - cpu) / elapsed
        line = (seconds_in_line(server.pid) - line) / elapsed
        memory = resident_bytes(server.pid) - memory
        results = [each.result() for each in loading]
        held = holding.result()
    session.logout()
    waited = [seconds * 1000 for result in results for seconds in result.taken]
    failures = sum((result.failures for result in results), Counter[str]())
    told = ", ".join(f"{count} {kind}" for kind, count in failures.items()) or "none"
    print(
        f"half-open: {statistics.mean(held.looks):,.0f} on average, {min(held.looks):,} at least"
        f"{late}; {held.reopened / SECONDS:.0f} opened again per second"
    )
    print(
        f"handshakes finished: {sum(result.done for result in results) / SECONDS:.0f} of "
        f"{PER_SECOND} per second; each {_figures(waited)}; failures: {told}"
    )
    print(
        f"NOOP of the session: {len(taken)}, {_figures(taken)} (without a flood {_figures(quiet)})"
    )
    print(
        f"server: {cpu:.0%} of a processor, {line:.0%} of the time in line for one; "
        f"{memory / 2**20:.0f} MiB more"
    )
    print("load average after: ", " ".join(f"{each:.2f}" for each in os.getloadavg()))


def _figures(milliseconds: list[float]) -> str:
    if len(milliseconds) < 2:
        return "too few to tell"
    hundredths = statistics.quantiles(milliseconds, n=100)
    return (
        f"median {hundredths[49]:.1f} ms, p99 {hundredths[98]:.1f} ms, "
        f"longest {max(milliseconds):.1f} ms"
    )
