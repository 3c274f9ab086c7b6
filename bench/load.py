"""The load: clients that log in over IMAPS, and one that sends messages over SMTP with STARTTLS.

Few at a time on purpose: the figure is the server's CPU per operation, not its throughput.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"
DEADLINE = 30.0
# nginx's greeting waits for the client's delayed acknowledgement; others go on meanwhile.
_AT_A_TIME = 8


def client_context() -> ssl.SSLContext:
    """TLS 1.3 with a P-256 key exchange; certificates are not verified."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_ecdh_curve("prime256v1")
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ImapSession:
    """An IMAPS connection: greeted and logged in when made."""

    def __init__(self, port: int, user: str, password: str, context: ssl.SSLContext) -> None:
        plain = socket.create_connection((LOOPBACK, port), timeout=DEADLINE)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = context.wrap_socket(plain, server_hostname="localhost")
        self._wait_for(b"* OK")
        self._socket.sendall(f'a LOGIN {user} "{password}"\r\n'.encode())
        self._wait_for(b"a OK")

    def noop(self) -> None:
        """Ask for nothing, and wait for the answer."""
        self._socket.sendall(b"n NOOP\r\n")
        self._wait_for(b"n OK")

    def logout(self) -> None:
        """Say goodbye and close."""
        self._socket.sendall(b"b LOGOUT\r\n")
        self._wait_for(b"b OK")
        self.close()

    def close(self) -> None:
        """Close without a word."""
        self._socket.close()

    def _wait_for(self, beginning: bytes) -> None:
        received = b""
        while not any(line.startswith(beginning) for line in received.split(b"\r\n")[:-1]):
            chunk = self._socket.recv(16384)
            if not chunk:
                raise ConnectionError(f"closed before {beginning!r}: {received!r}")
            received += chunk


def log_in_and_out(port: int, user: str, password: str, times: int) -> None:
    """Full handshake, LOGIN and LOGOUT, so many times, a few at a time."""
    context = client_context()

    def once(_: int) -> None:
        ImapSession(port, user, password, context).logout()

    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        for _ in pool.map(once, range(times)):
            pass


def idle_sessions(port: int, user: str, password: str, count: int) -> ExitStack:
    """Open sessions that are logged in and silent; leaving the stack closes them."""
    context = client_context()

    def opened(_: int) -> ImapSession:
        return ImapSession(port, user, password, context)

    with ExitStack() as opening, ThreadPoolExecutor(_AT_A_TIME) as pool:
        for session in pool.map(opened, range(count)):
            opening.callback(session.close)
        return opening.pop_all()


def message_of(size: int) -> bytes:
    """Return a message of `size` octets with lines of ordinary length."""
    head = b"From: <bench@example.org>\r\nTo: <alice@example.test>\r\nSubject: bench\r\n\r\n"
    line = b"All work and no play makes Jack a dull boy, says the line of ordinary length.\r\n"
    body = line * (size // len(line) + 1)
    return head + body[: size - len(head) - 2] + b"\r\n"


def send_messages(port: int, recipient: str, message: bytes, times: int) -> None:
    """Send a message so many times over one connection with STARTTLS; each is answered 250."""
    with smtplib.SMTP(
        LOOPBACK, port, local_hostname="bench.example.org", timeout=DEADLINE
    ) as client:
        client.starttls(context=client_context())
        for _ in range(times):
            client.sendmail("bench@example.org", [recipient], message)
