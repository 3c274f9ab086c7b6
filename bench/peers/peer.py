"""What every measured server offers to the bench, and how a program is started and ended."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Protocol

from bench.load import LOOPBACK

_DEADLINE = 20.0
_DAEMON_DIRECTORIES = "/usr/local/sbin:/usr/sbin:/sbin"


class MissingPeerError(Exception):
    """The server cannot run here; the text says why."""


class Peer(Protocol):
    """A running server: its name for the table, process and ports (0: it has no such service)."""

    name: str
    pid: int
    imaps_port: int
    smtp_port: int
    user: str
    password: str

    def stop(self) -> None:
        """End the server's processes."""
        ...


def program(name: str) -> Path:
    """Return the path of a program; raises `MissingPeerError`."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_DAEMON_DIRECTORIES}")
    if found is None:
        raise MissingPeerError(f"{name} is not installed")
    return Path(found)


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return once the server accepts connections; raises `MissingPeerError` if it does not."""
    deadline = time.monotonic() + _DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((LOOPBACK, port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise MissingPeerError(f"{process.args!r} does not listen on port {port}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end; insist after a while."""
    process.terminate()
    try:
        process.wait(_DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
