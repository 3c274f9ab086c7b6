"""A real Redis server on loopback: start, kill, freeze and restart; nothing is kept on disk.

Takes a directory and, for TLS, the files of a certificate; gives the URL for
`local.sharedstore.url`, and a client of its own to look at what is stored.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports

SITE_SECRET = "0123456789abcdef" * 4
_DEADLINE = 20.0


class RedisServer:
    """One redis-server. With `certificate` and `key` (PEM files) it speaks TLS alone, with
    `password` it demands a login."""

    def __init__(
        self,
        path: Path,
        *,
        password: str = "",
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        path.mkdir(parents=True)
        self.path = path
        (self.port,) = free_ports(1)
        self._tls = certificate is not None
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        lines = [f"bind {LOOPBACK}", 'save ""', "appendonly no", f"dir {path}"]
        if certificate is not None:
            lines += [
                "port 0", f"tls-port {self.port}", f"tls-cert-file {certificate}",
                f"tls-key-file {key}", "tls-auth-clients no",
            ]  # fmt: skip
        else:
            lines.append(f"port {self.port}")
        if password:
            lines.append(f"requirepass {password}")
        (path / "redis.conf").write_text("\n".join(lines) + "\n")
        (path / "redis.conf").chmod(0o600)

    @property
    def url(self) -> str:
        """What the option wants."""
        user = "default@" if self._password else ""
        return f"{'rediss' if self._tls else 'redis'}://{user}{LOOPBACK}:{self.port}"

    @property
    def client(self) -> redis.Redis:
        """A client of the tests' own."""
        return redis.Redis(
            host=LOOPBACK,
            port=self.port,
            password=self._password or None,
            ssl=self._tls,
            ssl_cert_reqs="none",
            socket_timeout=5,
        )

    def options(self, root: Path, **others: str) -> dict[str, str]:
        """Return the options for a front end that shares all it can over this store, with time
        enough for a loaded machine; the secrets' files are written below `root`."""
        for name, secret in (("site.secret", SITE_SECRET), ("store.password", self._password)):
            path = root / "config" / name
            path.write_text(secret + "\n")
            path.chmod(0o600)
        return {
            "local.sharedstore.url": self.url,
            "local.sharedstore.passfile": "file:config/store.password",
            "local.sharedstore.timeout": "2000",
            "local.ssl.ticketkeystore": "shared",
            "service.throttlestore": "shared",
            **others,
        }

    def start(self) -> None:
        """Start, and wait until it answers."""
        program = require_program("redis-server")
        with (self.path / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(program), str(self.path / "redis.conf")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _DEADLINE
        while True:
            try:
                with self.client as client:
                    client.ping()
                    return
            except redis.RedisError:
                assert self._process.poll() is None, (self.path / "log").read_text()
                assert time.monotonic() < deadline, "redis-server does not answer"
                time.sleep(0.05)

    def kill(self) -> None:
        """End it at once; what was in it is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it hold its connections and answer nothing."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
