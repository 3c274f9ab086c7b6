"""A certification authority by `openssl ca`, and its responder by `openssl ocsp`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailfront.keystore import requests
from tests.support.peers import require_program
from tests.support.ports import LOOPBACK, free_ports
from tests.support.waiting import eventually

_CONFIGURATION = """
[ca]
default_ca = authority
[authority]
dir = {directory}
database = $dir/index.txt
serial = $dir/serial
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_days = 30
policy = any
[any]
commonName = supplied
[server]
authorityInfoAccess = OCSP;URI:http://{loopback}:{port}/
subjectAltName = DNS:${{ENV::HOST}}
[demanding]
authorityInfoAccess = OCSP;URI:http://{loopback}:{port}/
subjectAltName = DNS:${{ENV::HOST}}
tlsfeature = status_request
[responder]
extendedKeyUsage = OCSPSigning
keyUsage = digitalSignature
noCheck = ignored
"""
_KEYS = {
    "ec": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["rsa:2048"],
}


class OpensslAuthority:
    """A root CA in a directory, with a responder that it lets answer."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._openssl = str(require_program("openssl"))
        [self.port] = free_ports(1)
        directory.mkdir()
        (directory / "index.txt").touch()
        (directory / "serial").write_text("1000\n")
        (directory / "ca.conf").write_text(
            _CONFIGURATION.format(directory=directory, loopback=LOOPBACK, port=self.port)
        )
        self._run(
            "req", "-x509", "-newkey", *_KEYS["ec"], "-nodes", "-subj", "/CN=Example openssl CA",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", "30",
        )  # fmt: skip
        self.issue("responder", section="responder")

    @property
    def certificate(self) -> x509.Certificate:
        """The root's certificate."""
        return x509.load_pem_x509_certificate((self.directory / "ca.pem").read_bytes())

    def issue(
        self, name: str, *, family: str = "ec", host: str = "localhost", section: str = "server"
    ) -> tuple[requests.PrivateKey, x509.Certificate]:
        """A key and its certificate, in the files `name`.key and `name`.pem."""
        self._run(
            "req", "-new", "-newkey", *_KEYS[family], "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.csr",
        )  # fmt: skip
        self._run(
            "ca", "-batch", "-notext", "-config", "ca.conf", "-extensions", section,
            "-in", f"{name}.csr", "-out", f"{name}.pem", host=host,
        )  # fmt: skip
        key_pem = (self.directory / f"{name}.key").read_bytes()
        key = serialization.load_pem_private_key(key_pem, None)
        pem = (self.directory / f"{name}.pem").read_bytes()
        return key, x509.load_pem_x509_certificate(pem)  # type: ignore[return-value]

    def revoke(self, name: str) -> None:
        """Revoke a certificate, which its responder sees at the next question."""
        self._run("ca", "-config", "ca.conf", "-revoke", f"{name}.pem")

    @contextmanager
    def responder(self, minutes: int = 60) -> Iterator[None]:
        """A responder whose answers count for so many minutes."""
        log = self.directory / "responder.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    self._openssl, "ocsp", "-index", "index.txt", "-port", str(self.port),
                    "-rsigner", "responder.pem", "-rkey", "responder.key", "-CA", "ca.pem",
                    "-nmin", str(minutes),
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

    def _run(self, *arguments: str, host: str = "localhost") -> None:
        subprocess.run(
            [self._openssl, *arguments],
            cwd=self.directory,
            env={"HOST": host, "PATH": "/usr/bin:/bin"},
            check=True,
            capture_output=True,
            timeout=60,
        )
