"""A certification authority by `openssl ca`, and its responder by `openssl ocsp`."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailfront.keystore import requests
from tests.support.openssl_directory import KEYS, OpensslDirectory

_HOST = "localhost"
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


class OpensslAuthority:
    """A root CA in a directory, with a responder that it lets answer."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files = OpensslDirectory(directory, _CONFIGURATION)
        self._files.run(
            "req", "-x509", "-newkey", *KEYS["ec"], "-nodes", "-subj", "/CN=Example openssl CA",
            "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", HOST=_HOST,
        )  # fmt: skip
        self.issue("responder", section="responder")

    @property
    def certificate(self) -> x509.Certificate:
        """The root's certificate."""
        return x509.load_pem_x509_certificate((self.directory / "ca.pem").read_bytes())

    def issue(
        self, name: str, *, family: str = "ec", host: str = _HOST, section: str = "server"
    ) -> tuple[requests.PrivateKey, x509.Certificate]:
        """A key and its certificate, in the files `name`.key and `name`.pem."""
        self._files.request(name, family)
        self._files.run(
            "ca", "-batch", "-notext", "-config", "ca.conf", "-extensions", section,
            "-in", f"{name}.csr", "-out", f"{name}.pem", HOST=host,
        )  # fmt: skip
        key_pem = (self.directory / f"{name}.key").read_bytes()
        key = serialization.load_pem_private_key(key_pem, None)
        pem = (self.directory / f"{name}.pem").read_bytes()
        return key, x509.load_pem_x509_certificate(pem)  # type: ignore[return-value]

    def revoke(self, name: str) -> None:
        """Revoke a certificate, which its responder sees at the next question."""
        self._files.revoke(name, HOST=_HOST)

    def responder(self, minutes: int = 60) -> AbstractContextManager[None]:
        """A responder whose answers count for so many minutes."""
        return self._files.responder("-nmin", str(minutes))
