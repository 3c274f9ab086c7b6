"""The real `mailfront serve` as a process of its own: server root, ports, start, ready, stop.

Takes a server root made by `mailfront init --demo` and options by name; gives the ports by name,
the demo users' passwords and everything the server logged.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import set_option
from tests.support.ports import LOOPBACK, free_ports

PORT_OPTIONS = {
    "smtp": "service.smtp.port",
    "submission": "service.submit.port",
    "submissions": "service.submit.sslport",
    "imap": "service.imap.port",
    "imaps": "service.imap.sslport",
    "pop": "service.pop.port",
    "pops": "service.pop.sslport",
    "https": "service.http.sslport",
}
ALICE = "alice@example.test"
BOB = "bob@example.test"
READY = "mailfront ready"
START_DEADLINE = 30.0
STOP_DEADLINE = 30.0
_ATTEMPTS = 3


def command(program: str, *arguments: str) -> list[str]:
    """Return the command line of one of our programs, from the environment that runs the test."""
    return [str(Path(sys.executable).with_name(program)), *arguments]


def run_command(
    program: str, *arguments: str, text_input: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `mailfront`, `msgcert` or `configutil` to its end; nothing is asserted."""
    environment = {name: value for name, value in os.environ.items() if name != "MAILFRONT_HOME"}
    return subprocess.run(
        command(program, *arguments),
        input=text_input,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def make_server_root(path: Path) -> None:
    """Make a server root with the demo users and certificates at `path`, which must not exist."""
    made = run_command(
        "mailfront", "init", "--home", str(path), "--domain", "example.test", "--demo"
    )
    assert made.returncode == 0, made.stderr


class MailServer:
    """One running server over its own server root."""

    def __init__(self, path: Path, options: Mapping[str, str] | None = None) -> None:
        self.root = ServerRoot(path)
        self.ports: dict[str, int] = {}
        self._options = dict(options or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._stdout = path.with_name(path.name + ".stdout")
        self._stderr = path.with_name(path.name + ".stderr")

    @classmethod
    def copied(
        cls, template: Path, path: Path, options: Mapping[str, str] | None = None
    ) -> MailServer:
        """Return a server over a copy of a prepared server root (making one costs a second)."""
        shutil.copytree(template, path)
        return cls(path, options)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        status = self.stop()
        if error is None:
            assert status == 0, f"exit status {status}\n{self.log}"
            assert "Traceback" not in self.log, self.log

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything the server wrote to stderr since the first start."""
        return self._stderr.read_text(errors="replace") if self._stderr.exists() else ""

    def start(self) -> None:
        """Start and wait for the line `mailfront ready`."""
        for attempt in range(_ATTEMPTS):
            if not self.ports or attempt:
                self.choose_ports()
            if self._started():
                return
            taken = "in use" in self.log.lower()
            assert taken, f"the server did not start\n{self.log}"
        raise AssertionError(f"no free ports in {_ATTEMPTS} attempts\n{self.log}")

    def stop(self) -> int:
        """End the server with SIGTERM; return its exit status."""
        assert self._process is not None, "the server is not running"
        process, self._process = self._process, None
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """End the server as a crash would, without a word."""
        assert self._process is not None, "the server is not running"
        process, self._process = self._process, None
        process.kill()
        process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server."""
        os.kill(self.pid, number)

    def set_option(self, name: str, value: str) -> None:
        """Change an option in msg.conf as `configutil` does."""
        set_option(self.root.msg_conf, name, value)

    def mailfront(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `mailfront ARGUMENTS --home ROOT`."""
        return run_command("mailfront", *arguments, "--home", str(self.root.path))

    def password(self, user: str) -> str:
        """Return the random password that `mailfront init --demo` gave the user."""
        for line in self.root.initial_passwords.read_text().splitlines():
            address, _, password = line.partition(" ")
            if address == user:
                return password.strip()
        raise AssertionError(f"no password of {user} in {self.root.initial_passwords}")

    def choose_ports(self) -> None:
        """Write free ports on loopback and the options of this server to msg.conf."""
        chosen = free_ports(len(PORT_OPTIONS))
        self.ports = dict(zip(PORT_OPTIONS, chosen, strict=True))
        options = {PORT_OPTIONS[name]: str(port) for name, port in self.ports.items()}
        options |= {"service.listenaddr": LOOPBACK, "service.http.port": "0"}
        for name, value in (options | self._options).items():
            self.set_option(name, value)

    def _started(self) -> bool:
        with self._stdout.open("wb") as stdout, self._stderr.open("ab") as stderr:
            process = subprocess.Popen(
                command("mailfront", "serve", "--home", str(self.root.path)),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        deadline = time.monotonic() + START_DEADLINE
        while process.poll() is None:
            if READY in self._stdout.read_text(errors="replace").splitlines():
                self._process = process
                return True
            if time.monotonic() > deadline:
                process.kill()
                process.wait()
                raise AssertionError(f"not ready after {START_DEADLINE} s\n{self.log}")
            time.sleep(0.02)
        return False
