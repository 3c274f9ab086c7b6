"""The clients of `bench.proxy`, in processes of their own: logins, a bulk fetch, many sessions.

Certificates of servers are not verified: that would be the clients' cost, and no concern here.
"""

from __future__ import annotations

import base64
import multiprocessing
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bench.load import DEADLINE, LOOPBACK, client_context

_PROCESSES = 2
_AT_A_TIME = 6
_PIECE_KIB = 64
_BUFFER = 256 * 1024
_spawn = multiprocessing.get_context("spawn")


def log_in_and_out(
    port: int, user: str, password: str, count: int, *, certificate: Path | None = None
) -> float:
    """Full handshake, login, LOGOUT, so many times; return the seconds that all took."""
    begun = time.perf_counter()
    with ProcessPoolExecutor(_PROCESSES, mp_context=_spawn) as pool:
        shares = [count // _PROCESSES + (number < count % _PROCESSES) for number in range(2)]
        for done in [
            pool.submit(_log_in_and_out, port, user, password, share, certificate)
            for share in shares
        ]:
            done.result()
    return time.perf_counter() - begun


def fetch(port: int, user: str, password: str, size_kib: int, times: int) -> None:
    """Fetch so many KiB so many times in one session."""
    with ProcessPoolExecutor(1, mp_context=_spawn) as pool:
        pool.submit(_fetch, port, user, password, size_kib, times).result()


@contextmanager
def idle_sessions(port: int, user: str, password: str, count: int) -> Iterator[None]:
    """Hold so many sessions that are logged in and silent."""
    ours, theirs = _spawn.Pipe()
    process = _spawn.Process(target=_hold, args=(theirs, port, user, password, count))
    process.start()
    theirs.close()
    try:
        ours.recv()
        # What the last logins left to do is done.
        time.sleep(1.0)
        yield
    finally:
        ours.close()
        process.join()


def fetch_in_many(port: int, user: str, password: str, count: int, seconds: float) -> list[int]:
    """Let so many sessions fetch 64 KiB at a time for so long; return the octets of each."""
    with ProcessPoolExecutor(_PROCESSES, mp_context=_spawn) as pool:
        start = time.time() + DEADLINE * count / 2000
        done = [
            pool.submit(_fetch_in_many, port, user, password, count // _PROCESSES, start, seconds)
            for _ in range(_PROCESSES)
        ]
        return [share for each in done for share in each.result()]


def wait(seconds: float) -> None:
    """Let time pass."""
    time.sleep(seconds)


def _log_in_and_out(
    port: int, user: str, password: str, count: int, certificate: Path | None
) -> None:
    context = client_context()
    if certificate is not None:
        context.load_cert_chain(certificate)

    def once(_: int) -> None:
        tls = _connect(port, context)
        if certificate is None:
            _say(tls, _login(user, password), b"a OK")
        else:
            _say(tls, b"a AUTHENTICATE EXTERNAL\r\n", b"+ ", b"+")
            _say(tls, base64.b64encode(user.encode()) + b"\r\n", b"a OK")
        _say(tls, b"b LOGOUT\r\n", b"b OK")
        tls.close()

    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        for _ in threads.map(once, range(count)):
            pass


def _fetch(port: int, user: str, password: str, size_kib: int, times: int) -> None:
    tls = _logged_in(port, user, password)
    buffer = memoryview(bytearray(_BUFFER))
    for _ in range(times):
        tls.sendall(b"c FETCH %d BODY[]\r\n" % size_kib)
        left = size_kib * 1024
        while left > 0:
            left -= tls.recv_into(buffer)
        _finish_fetch(tls, bytes(buffer[:16]), left)
    _say(tls, b"b LOGOUT\r\n", b"b OK")
    tls.close()


def _finish_fetch(tls: ssl.SSLSocket, last: bytes, left: int) -> None:
    """What surrounds a literal is a line before it and two behind it."""
    surplus = -left
    while surplus < len(b"* 1 FETCH (BODY[] {67108864}\r\n") and not last.endswith(b"done\r\n"):
        data = tls.recv(16384)
        surplus, last = surplus + len(data), data
        if data.endswith(b"done\r\n"):
            return


def _hold(ready: Connection, port: int, user: str, password: str, count: int) -> None:
    context = client_context()

    def opened(_: int) -> ssl.SSLSocket:
        return _logged_in(port, user, password, context)

    with ThreadPoolExecutor(2 * _AT_A_TIME) as threads:
        sessions = list(threads.map(opened, range(count)))
    ready.send(len(sessions))
    try:
        ready.recv()
    except EOFError:
        for session in sessions:
            session.close()


def _fetch_in_many(
    port: int, user: str, password: str, count: int, start: float, seconds: float
) -> list[int]:
    context = client_context()
    with ThreadPoolExecutor(_AT_A_TIME) as threads:
        sessions = list(
            threads.map(lambda _: _logged_in(port, user, password, context), range(count))
        )
    time.sleep(max(0.0, start - time.time()))
    command, buffer = b"c FETCH %d BODY[]\r\n" % _PIECE_KIB, memoryview(bytearray(_BUFFER))
    shares = dict.fromkeys(sessions, 0)
    by_number = {session.fileno(): session for session in sessions}
    selector = selectors.DefaultSelector()
    for session in sessions:
        session.sendall(command)
        session.setblocking(False)
        selector.register(session, selectors.EVENT_READ)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for key, _ in selector.select(1.0):
            session = by_number[key.fd]
            last = b""
            try:
                while read := session.recv_into(buffer):
                    shares[session] += read
                    last = bytes(buffer[max(0, read - 6) : read])
            except (ssl.SSLWantReadError, BlockingIOError):
                pass
            if last.endswith(b"done\r\n"):
                session.send(command)
    for session in sessions:
        session.close()
    return list(shares.values())


def _logged_in(
    port: int, user: str, password: str, context: ssl.SSLContext | None = None
) -> ssl.SSLSocket:
    tls = _connect(port, context or client_context())
    _say(tls, _login(user, password), b"a OK")
    return tls


def _login(user: str, password: str) -> bytes:
    return f'a LOGIN {user} "{password}"\r\n'.encode()


def _connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection((LOOPBACK, port), timeout=DEADLINE)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    tls = context.wrap_socket(plain, server_hostname="localhost")
    _say(tls, b"", b"* OK")
    return tls


def _say(tls: ssl.SSLSocket, said: bytes, *answers: bytes) -> None:
    """Send, and wait for a line that begins with one of `answers`."""
    if said:
        tls.sendall(said)
    received = b""
    while not any(line.startswith(answers) for line in received.split(b"\r\n")[:-1]):
        chunk = tls.recv(16384)
        if not chunk:
            raise ConnectionError(f"closed before {answers!r}: {received!r}")
        received += chunk
