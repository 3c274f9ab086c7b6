"""A tree of CAs for clients by `openssl ca`: root, issuing CA, clients' certificates, CRLs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.openssl_directory import KEYS, OpensslDirectory

_NOBODY = "nobody@example.test"
_CONFIGURATION = """
[ca]
default_ca = authority
[authority]
dir = {directory}
database = $dir/index.txt
serial = $dir/serial
crlnumber = $dir/crlnumber
new_certs_dir = $dir
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
default_days = 30
default_crl_days = 7
policy = any
unique_subject = no
[any]
commonName = supplied
[issuer]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
authorityKeyIdentifier = keyid
subjectAltName = email:${{ENV::MAIL}}
[questionable]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
subjectAltName = email:${{ENV::MAIL}}
authorityInfoAccess = OCSP;URI:http://{loopback}:{port}/
[responder]
extendedKeyUsage = OCSPSigning
keyUsage = digitalSignature
[server]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth
subjectAltName = email:${{ENV::MAIL}}
"""


class OpensslClientAuthority:
    """One CA in a directory of its own; `parent` None: a root."""

    def __init__(
        self, directory: Path, name: str, parent: OpensslClientAuthority | None = None
    ) -> None:
        self.directory = directory
        self.parent = parent
        self._files = OpensslDirectory(directory, _CONFIGURATION)
        made = ["-newkey", *KEYS["ec"], "-nodes", "-subj", f"/CN={name}", "-keyout", "ca.key"]
        if parent is None:
            self._run("req", "-x509", *made, "-out", "ca.pem", "-days", "30")
        else:
            self._run("req", "-new", *made, "-out", "ca.csr")
            parent.sign(directory / "ca.csr", self.certificate, "issuer")

    @property
    def certificate(self) -> Path:
        """The CA's certificate."""
        return self.directory / "ca.pem"

    def issue(
        self, name: str, *, family: str = "ec", section: str = "client", dates: tuple[str, ...] = ()
    ) -> list[str]:
        """A client's certificate; returns what tells `openssl s_client` to present it."""
        self._files.request(name, family)
        self.sign(self.directory / f"{name}.csr", self.directory / f"{name}.pem", section, *dates)
        key, certificate = self.directory / f"{name}.key", self.directory / f"{name}.pem"
        chain = ["-cert_chain", str(self.certificate)] if self.parent is not None else []
        return ["-cert", str(certificate), "-key", str(key), *chain]

    def sign(self, request: Path, into: Path, section: str, *dates: str) -> None:
        """Sign a request."""
        self._run(
            "ca", "-batch", "-notext", "-config", "ca.conf", "-extensions", section, *dates,
            "-in", str(request), "-out", str(into), mail=f"{into.stem}@example.test",
        )  # fmt: skip

    def revoke(self, name: str) -> None:
        """Revoke a certificate; only the next list has it."""
        self._files.revoke(name, MAIL=_NOBODY)

    def revocation_list(self, *times: str) -> Path:
        """Make a new list; return its path."""
        self._run("ca", "-config", "ca.conf", "-gencrl", *times, "-out", "list.pem")
        return self.directory / "list.pem"

    @contextmanager
    def responder(self) -> Iterator[None]:
        """Answer questions about certificates of the section `questionable`."""
        if not (self.directory / "responder.pem").exists():
            self.issue("responder", section="responder")
        with self._files.responder():
            yield

    def _run(self, *arguments: str, mail: str = _NOBODY) -> None:
        self._files.run(*arguments, MAIL=mail)
