"""HAProxy as load balancers place it: TCP to one of our ports, with a PROXY header before."""

from __future__ import annotations

import csv
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ports import LOOPBACK, free_ports

START_DEADLINE = 15.0


class HaProxy:
    """Listens on a free port for each of `targets` (name: its port), with `send` on the server's
    line (`send-proxy`, `send-proxy-v2`, …), and stops at the end. `check` are lines of the backend
    for health checks, which then run four times a second."""

    def __init__(
        self,
        directory: Path,
        targets: dict[str, int],
        send: str,
        check: dict[str, str] | None = None,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory
        self._targets = targets
        self._send = send
        self._check = check or {}
        self.ports: dict[str, int] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.ports = dict(zip(self._targets, free_ports(len(self._targets)), strict=True))
        path = self._directory / "haproxy.cfg"
        path.write_text("\n".join(self._lines()) + "\n")
        with (self._directory / "haproxy.log").open("wb") as log:
            self._process = subprocess.Popen(
                ["haproxy", "-db", "-f", str(path)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_DEADLINE
        while not (self._directory / "stats.sock").exists():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(10)

    @property
    def log(self) -> str:
        """What HAProxy said."""
        return (self._directory / "haproxy.log").read_text(errors="replace")

    def checks(self) -> dict[str, str]:
        """What the last health check of each port came to (L4OK, L7OK, L7STS, …)."""
        with socket.socket(socket.AF_UNIX) as channel:
            channel.connect(str(self._directory / "stats.sock"))
            channel.sendall(b"show stat\n")
            answer = b"".join(iter(lambda: channel.recv(65536), b"")).decode()
        rows = csv.DictReader(answer.removeprefix("# ").splitlines())
        # While the next check runs, an asterisk stands before the last one's outcome.
        return {
            row["pxname"]: row["check_status"].removeprefix("* ")
            for row in rows
            if row["svname"] == "us"
        }

    def _lines(self) -> list[str]:
        lines = [
            "global",
            "  ssl-server-verify none",
            f"  stats socket {self._directory / 'stats.sock'}",
            "defaults",
            "  mode tcp",
            "  timeout connect 5s",
            "  timeout client 60s",
            "  timeout server 60s",
            "  timeout check 5s",
        ]
        for name, target in self._targets.items():
            checked = name in self._check
            lines += [
                f"listen {name}",
                f"  bind {LOOPBACK}:{self.ports[name]}",
                *([f"  {line}" for line in self._check[name].splitlines()] if checked else []),
                f"  server us {LOOPBACK}:{target} {self._send}"
                + (" check check-send-proxy inter 250ms" if checked else ""),
            ]
        return lines
