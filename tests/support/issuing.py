"""A certification authority with an intermediate, whose certificates have chosen names and dates;
and the files in which ACME clients leave them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mailfront.keystore import requests
from mailfront.keystore.formats import chain_pem
from tests.support.keystores import authority, intermediate


@dataclass(frozen=True)
class Issued:
    """A server's key and its certificate, with the intermediate that signed it behind it."""

    key: requests.PrivateKey
    chain: tuple[x509.Certificate, ...]

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]


class Issuer:
    """A root and an intermediate below it, which signs."""

    def __init__(self) -> None:
        root_key, self.root = authority("Example Root")
        self._key, self.intermediate = intermediate(root_key, self.root, "Example Issuing CA")

    def issue(
        self,
        *names: str,
        key: requests.PrivateKey | None = None,
        begins: datetime | None = None,
        days: float = 90,
    ) -> Issued:
        """Return a certificate for `names`, from `begins` (default: a moment ago) for `days`."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        begins = begins or datetime.now(UTC) - timedelta(minutes=5)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(requests.build_subject(name=names[0], country=""))
            .issuer_name(self.intermediate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(days=days))
            .add_extension(
                x509.SubjectAlternativeName([*map(requests.parse_alternative_name, names)]),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        return Issued(key, (certificate, self.intermediate))


def certificate_pem_file(path: Path, chain: Sequence[x509.Certificate]) -> Path:
    """Write certificates to `path` as PEM, in place, and return the path."""
    path.write_bytes(chain_pem(chain))
    return path


def key_pem_file(path: Path, key: requests.PrivateKey) -> Path:
    """Write a private key in clear to `path`, in place, and return the path."""
    path.touch(mode=0o600)
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
