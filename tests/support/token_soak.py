"""Many handshakes with keys of a token, and what they leave behind in server and token."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.dialogue import unverified_context
from tests.support.ports import LOOPBACK
from tests.support.server import MailServer
from tests.support.token_site import TokenSite

_CLIENTS = 4
_DEADLINE = 30.0
# By which either key is made to sign, in either version.
_VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
_SUITES = ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256")


@dataclass(frozen=True, slots=True)
class Sample:
    """The state after so many handshakes: the token's sessions that are open, those opened ever,
    its signatures, the server's resident octets and open files."""

    handshakes: int
    sessions: int
    sessions_opened: int
    signatures: int
    resident: int
    files: int


def soak(site: TokenSite, server: MailServer, port: str, steps: int, each: int) -> Iterator[Sample]:
    """Make `each` full handshakes `steps` times: EC and RSA by turns under TLS 1.2, and what the
    server prefers under TLS 1.3. The first sample is that before all."""
    yield _sample(site, server, 0)
    for step in range(1, steps + 1):
        _shake(server.ports[port], each)
        yield _sample(site, server, step * each)


def _sample(site: TokenSite, server: MailServer, handshakes: int) -> Sample:
    counts = site.shim.counts
    process = Path("/proc") / str(server.pid)
    pages = int((process / "statm").read_text().split()[1])
    return Sample(
        handshakes,
        counts.sessions_opened - counts.sessions_closed,
        counts.sessions_opened,
        counts.signatures,
        pages * os.sysconf("SC_PAGESIZE"),
        len(list((process / "fd").iterdir())),
    )


def _shake(port: int, times: int) -> None:
    numbers = iter(range(times))
    lock = threading.Lock()
    failures: list[Exception] = []
    contexts = _contexts()

    def work() -> None:
        while not failures:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                _connect(port, contexts[number % len(contexts)])
            except (OSError, ValueError) as failure:
                failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(_CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def _contexts() -> list[ssl.SSLContext]:
    made = []
    for version in _VERSIONS:
        for suite in _SUITES:
            context = unverified_context()
            context.minimum_version = context.maximum_version = version
            if version is ssl.TLSVersion.TLSv1_2:
                context.set_ciphers(suite)
            made.append(context)
    return made


def _connect(port: int, context: ssl.SSLContext) -> None:
    with (
        socket.create_connection((LOOPBACK, port), timeout=_DEADLINE) as plain,
        # Without a name: by SNI another certificate might be chosen.
        context.wrap_socket(plain) as tls,
    ):
        if not tls.recv(1):
            raise ValueError("no greeting")
