"""Machines of our own: network namespaces on one bridge, each with an address.

Nothing of this machine's own network is touched: the bridge is in a namespace too. Needs root.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

SUBNET = "10.77.0"
_SWITCH = "switch"


def can_make_namespaces() -> str:
    """Try it; return why it cannot be done here, empty if it can."""
    name = f"mailfront-try-{os.getpid()}"
    try:
        for action in ("add", "del"):
            _ip("netns", action, name)
    except (OSError, subprocess.CalledProcessError) as failure:
        return f"no network namespaces can be made here: {failure}"
    return ""


class Network:
    """Machines by name, each at `10.77.0.N`; all that runs in them ends with it."""

    def __init__(self) -> None:
        self._prefix = f"mailfront-{os.getpid()}-"
        self._namespaces: list[str] = []
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        switch = self._add(_SWITCH)
        _ip("-n", switch, "link", "add", "bridge", "type", "bridge")
        _ip("-n", switch, "link", "set", "bridge", "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self._running:
            end(process)
        for namespace in reversed(self._namespaces):
            subprocess.run(["ip", "netns", "del", namespace], check=False, timeout=30)

    def add(self, name: str, number: int) -> str:
        """Make a machine; return its address."""
        namespace, switch = self._add(name), self._prefix + _SWITCH
        address = f"{SUBNET}.{number}"
        _ip(
            "-n", namespace, "link", "add", "eth0", "type", "veth",
            "peer", "name", f"port{number}", "netns", switch,
        )  # fmt: skip
        _ip("-n", switch, "link", "set", f"port{number}", "master", "bridge", "up")
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
        for link in ("lo", "eth0"):
            _ip("-n", namespace, "link", "set", link, "up")
        return address

    def start(
        self, name: str, command: Sequence[str | Path], log: Path, *, talks: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a program on a machine; its output goes to `log`. One that `talks` has pipes."""
        pipe = subprocess.PIPE if talks else None
        with log.open("ab") as output:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self._prefix + name, *map(str, command)],
                stdin=pipe or subprocess.DEVNULL,
                stdout=pipe or output,
                stderr=output,
                start_new_session=True,
            )
        self._running.append(process)
        return process

    def reaches(self, name: str, address: str, port: int) -> bool:
        """Whether a program on machine `name` finds somebody at `address`."""
        done = subprocess.run(
            ["ip", "netns", "exec", self._prefix + name, "bash", "-c",
             f"exec 3<>/dev/tcp/{address}/{port}"],
            check=False, timeout=30, capture_output=True,
        )  # fmt: skip
        return done.returncode == 0

    def _add(self, name: str) -> str:
        namespace = self._prefix + name
        _ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        return namespace


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM) -> None:
    """End a program that was started here, and what it started: its session is its own."""
    if process.poll() is not None:
        return
    os.killpg(process.pid, number)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, timeout=30, capture_output=True)
