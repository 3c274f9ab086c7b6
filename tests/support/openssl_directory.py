"""What every `openssl ca` needs: a directory to run in, keys, and a responder by `openssl ocsp`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports
from tests.support.waiting import eventually

KEYS = {
    "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["rsa:2048"],
    "ed25519": ["ed25519"],
}


class OpensslDirectory:
    """A new directory with the files of one authority; `configuration` may name `directory`,
    `loopback` and the responder's `port` in braces."""

    def __init__(self, directory: Path, configuration: str) -> None:
        self.directory = directory
        self._openssl = str(require_program("openssl"))
        [self.port] = free_ports(1)
        directory.mkdir()
        (directory / "index.txt").touch()
        (directory / "serial").write_text("1000\n")
        (directory / "crlnumber").write_text("01\n")
        (directory / "ca.conf").write_text(
            configuration.format(directory=directory, loopback=LOOPBACK, port=self.port)
        )

    def run(self, *arguments: str, **environment: str) -> None:
        """Run openssl in the directory."""
        subprocess.run(
            [self._openssl, *arguments],
            cwd=self.directory,
            env={"PATH": "/usr/bin:/bin", **environment},
            check=True,
            capture_output=True,
            timeout=60,
        )

    def request(self, name: str, family: str) -> None:
        """Make a key and a request, in the files `name`.key and `name`.csr."""
        self.run(
            "req", "-new", "-newkey", *KEYS[family], "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )  # fmt: skip

    def revoke(self, name: str, **environment: str) -> None:
        """Revoke the certificate in the file `name`.pem."""
        self.run("ca", "-config", "ca.conf", "-revoke", f"{name}.pem", **environment)

    @contextmanager
    def responder(self, *arguments: str) -> Iterator[None]:
        """Answer on `port` as `responder.pem`."""
        log = self.directory / "responder.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    self._openssl, "ocsp", "-index", "index.txt", "-port", str(self.port),
                    "-rsigner", "responder.pem", "-rkey", "responder.key", "-CA", "ca.pem",
                    *arguments,
                ],
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )  # fmt: skip
        try:
            # A connection without a question would keep it busy for good.
            eventually(lambda: "waiting for OCSP" in log.read_text(), "the responder listens")
            yield
        finally:
            process.kill()
            process.wait()
