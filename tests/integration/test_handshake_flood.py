"""Floods of handshakes leave established sessions alive, are bounded, and leave nothing behind."""

from __future__ import annotations

import json
import os
import socket
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from multiprocessing import get_context
from pathlib import Path

from tests.conftest import NewServer
from tests.support.client_hello import client_hello
from tests.support.dialogue import Dialogue, unverified_context
from tests.support.handshake_load import handshakes
from tests.support.server import ALICE, MailServer

HALF_OPEN = 2000
SECONDS = 8.0
PER_SECOND = 200
PROCESSES = 2
# Floods come from many addresses of loopback, as from many clients.
NETWORKS = [f"127.0.{number // 100 + 1}.{number % 100 + 1}" for number in range(100)]


def counters(server: MailServer) -> dict[str, int]:
    found: dict[str, int] = json.loads(server.mailfront("status", "--json").stdout)["counters"]
    return found


def resident_megabytes(server: MailServer) -> float:
    pages = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def connection(server: MailServer, source: str, port: str = "imaps") -> socket.socket:
    return socket.create_connection(
        ("127.0.0.1", server.ports[port]), timeout=20, source_address=(source, 0)
    )


def half_open(server: MailServer, stack: ExitStack) -> None:
    """Half of them send half a ClientHello, the others a whole one and then nothing."""
    hello = client_hello()
    for number in range(HALF_OPEN):
        channel = stack.enter_context(connection(server, NETWORKS[number % len(NETWORKS)]))
        with suppress(OSError):
            channel.sendall(hello[:200] if number % 2 else hello)


def noops(session: Dialogue, seconds: float) -> list[float]:
    """How long each answer took."""
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        asked = time.perf_counter()
        session.ask(b"n NOOP", b"n OK")
        taken.append(time.perf_counter() - asked)
        time.sleep(0.01)
    return taken


def percentile(values: list[float], hundredth: int) -> float:
    return statistics.quantiles(values, n=100)[hundredth - 1] * 1000


def test_a_session_goes_on_under_half_open_handshakes_and_load(new_server: NewServer) -> None:
    with new_server({"service.maxconnections": "5000"}) as server, ExitStack() as stack:
        session = stack.enter_context(Dialogue(server.ports["imaps"], tls=True))
        session.line()
        session.ask(f"a LOGIN {ALICE} {server.password(ALICE)}".encode(), b"a OK")
        before = resident_megabytes(server)
        quiet = noops(session, 1.0)
        half_open(server, stack)
        with ProcessPoolExecutor(PROCESSES, get_context("spawn")) as pool:
            loads = [
                pool.submit(
                    handshakes, server.ports["imaps"], NETWORKS, PER_SECOND / PROCESSES, SECONDS
                )
                for _ in range(PROCESSES)
            ]
            taken = noops(session, SECONDS)
            done = sum(load.result() for load in loads)
        print(
            f"\nNOOP: {len(taken)}, median {statistics.median(taken) * 1000:.1f} ms, "
            f"99 % in {percentile(taken, 99):.1f} ms, longest {max(taken) * 1000:.1f} ms "
            f"(without a flood {percentile(quiet, 99):.1f} ms); "
            f"handshakes: {done}; "
            f"memory {before:.0f} to {resident_megabytes(server):.0f} MiB"
        )
        assert done > SECONDS * PER_SECOND / 10
        # 500 handshakes under way and 2,000 connections.
        assert resident_megabytes(server) - before < 100
        session.ask(b"z LOGOUT", b"z OK")


def test_one_address_spends_its_budget_and_no_other_s(new_server: NewServer) -> None:
    options = {"service.handshakesperminute": "20", "service.connectionsperaddress": "500"}
    with new_server(options) as server, ExitStack() as stack:
        hello = client_hello()
        for _ in range(200):
            stack.enter_context(connection(server, "127.0.0.2")).sendall(hello)
        # 20 begin, 100 wait, 80 are refused; another address is served at once.
        with connection(server, "127.0.0.3") as plain:
            secured = unverified_context().wrap_socket(plain, server_hostname="localhost")
            assert secured.recv(1000).startswith(b"* OK")
        assert 70 <= counters(server)["handshake: too many handshakes"] <= 80
        assert "see service.handshakesperminute" in server.log


def test_what_waits_too_long_is_told_so_and_forgotten(new_server: NewServer) -> None:
    options = {"service.maxhandshakesperaddress": "1", "service.handshaketimeout": "1"}
    with new_server(options) as server, ExitStack() as stack:
        hello = client_hello()
        first = stack.enter_context(connection(server, "127.0.0.2"))
        first.sendall(hello)
        assert first.recv(1000).startswith(b"\x16")
        second = stack.enter_context(connection(server, "127.0.0.2"))
        second.sendall(hello)
        # Its turn comes when the first one's time is over; or both are over at once.
        said = second.recv(1000)
        assert said[:1] in (b"\x15", b"\x16")
        with connection(server, "127.0.0.2") as plain:
            secured = unverified_context().wrap_socket(plain, server_hostname="localhost")
            assert secured.recv(1000).startswith(b"* OK")
