"""Whole sessions without a pause, from a process of its own: IMAPS and SMTP with STARTTLS.

Each is tried once; whatever goes wrong in it is a failure that is told.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.dialogue import DEADLINE, unverified_context
from tests.support.ports import LOOPBACK

# What the server must say to a client that has no version in common with it.
REFUSED_VERSION = "TLSV1_ALERT_PROTOCOL_VERSION"


@dataclass
class Load:
    """What came of the sessions: `seen` counts them by port, version and suite; `refused` those
    that were told that their version is too old."""

    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    refused: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Account:
    """Where to go, and as whom."""

    imaps: int
    submission: int
    user: str
    password: str


def sessions(account: Account, highest: ssl.TLSVersion, until: Path) -> Load:
    """Make sessions of versions up to `highest` until the file `until` is there."""
    context = unverified_context()
    context.maximum_version = highest
    load = Load()
    kinds: list[tuple[str, Callable[[Account, ssl.SSLContext], tuple[str, str]]]] = [
        ("imaps", imap_session),
        ("submission", smtp_session),
    ]
    while not until.exists():
        for name, session in kinds:
            try:
                load.seen[(name, *session(account, context))] += 1
            except ssl.SSLError as failure:
                if failure.reason == REFUSED_VERSION:
                    load.refused += 1
                else:
                    load.failures.append(f"{name}: {failure!r}")
            except OSError as failure:
                load.failures.append(f"{name}: {failure!r}")
        time.sleep(0.005)
    return load


def imap_session(account: Account, context: ssl.SSLContext) -> tuple[str, str]:
    """LOGIN, NOOP, LOGOUT; return version and suite."""
    with (
        socket.create_connection((LOOPBACK, account.imaps), timeout=DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as channel,
    ):
        agreed = _agreed(channel)
        _expect(channel, b"", b"* OK")
        _expect(channel, f'a LOGIN {account.user} "{account.password}"'.encode(), b"a OK")
        _expect(channel, b"b NOOP", b"b OK")
        _expect(channel, b"c LOGOUT", b"c OK")
        return agreed


def smtp_session(account: Account, context: ssl.SSLContext) -> tuple[str, str]:
    """EHLO, STARTTLS, EHLO, QUIT; return version and suite."""
    with socket.create_connection((LOOPBACK, account.submission), timeout=DEADLINE) as plain:
        _expect(plain, b"", b"220 ")
        _expect(plain, b"EHLO client.example.test", b"250 ")
        _expect(plain, b"STARTTLS", b"220 ")
        with context.wrap_socket(plain, server_hostname="localhost") as channel:
            agreed = _agreed(channel)
            _expect(channel, b"EHLO client.example.test", b"250 ")
            _expect(channel, b"QUIT", b"221 ")
            return agreed


def _agreed(channel: ssl.SSLSocket) -> tuple[str, str]:
    cipher = channel.cipher()
    return channel.version() or "none", cipher[0] if cipher is not None else "none"


def _expect(channel: socket.socket, command: bytes, beginning: bytes) -> None:
    """Send a line and read up to the one that begins as told; `ConnectionError` if none does."""
    if command:
        channel.sendall(command + b"\r\n")
    received = b""
    while not any(line.startswith(beginning) for line in received.split(b"\r\n")[:-1]):
        chunk = channel.recv(16384)
        if not chunk:
            raise ConnectionError(f"closed before {beginning!r}, after {received!r}")
        received += chunk
