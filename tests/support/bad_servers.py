"""TLS servers with chosen faults: `openssl s_server` processes, and stubs that break STARTTLS."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.issuing import Issued, certificate_pem_file, key_pem_file
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports

DEADLINE = 20.0


@contextmanager
def openssl_server(
    directory: Path, issued: Issued, *options: str, chain: bool = True
) -> Iterator[int]:
    """Run `openssl s_server` with a certificate, its chain unless told otherwise; give its port."""
    openssl = require_program("openssl")
    key = key_pem_file(directory / "key.pem", issued.key)
    leaf = certificate_pem_file(directory / "leaf.pem", issued.chain[:1])
    arguments = ["-key", str(key), "-cert", str(leaf), "-quiet", *options]
    if chain:
        issuers = certificate_pem_file(directory / "issuers.pem", issued.chain[1:])
        arguments += ["-cert_chain", str(issuers)]
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [str(openssl), "s_server", "-accept", f"{LOOPBACK}:{port}", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        _wait_for(port, process)
        yield port
    finally:
        process.kill()
        process.communicate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            socket.create_connection((LOOPBACK, port), timeout=DEADLINE).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("openssl s_server does not listen")


@contextmanager
def stub(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """Call `serve` with each connection, one after the other; give the port."""
    with socket.create_server((LOOPBACK, 0)) as listener:
        thread = threading.Thread(target=_accept, args=(listener, serve))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Closing alone would not wake the thread that accepts.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE)


def _accept(listener: socket.socket, serve: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        with connection:
            connection.settimeout(DEADLINE)
            try:
                serve(connection)
            except OSError:
                # The client left, which is its right.
                continue


def script(connection: socket.socket, answers: Sequence[bytes]) -> None:
    """Send the first answer, then one for each line received."""
    for answer in answers:
        connection.sendall(answer)
        received = b""
        while not received.endswith(b"\n"):
            data = connection.recv(4096)
            if not data:
                return
            received += data
