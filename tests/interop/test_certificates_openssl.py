"""The certificates and keys that we make, read by OpenSSL and by Python's strict verification."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailfront.keystore import requests
from mailfront.keystore.creation import add_self_signed
from mailfront.keystore.formats import certificate_der, certificate_pem
from mailfront.keystore.internal_token import InternalToken
from tests.support.keystores import new_token
from tests.support.peers import require_program

NAMES = ("imap.example.test", "*.example.test", "192.0.2.7", "2001:db8::7", "root@example.test")
KINDS = {
    "ec": requests.KeyKind(),
    "ec-384": requests.KeyKind("ec", curve="P-384"),
    "rsa": requests.KeyKind("rsa"),
    "rsa-4096": requests.KeyKind("rsa", size=4096),
    "ed25519": requests.KeyKind("ed25519"),
}


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InternalToken]:
    with new_token(tmp_path_factory.mktemp("keystore")) as token:
        for nickname, kind in KINDS.items():
            add_self_signed(
                token,
                nickname,
                requests.parse_subject(r"CN=imap.example.test,O=Exämple\, Inc,C=CH"),
                tuple(map(requests.parse_alternative_name, NAMES)),
                key_kind=kind,
            )
        yield token


def openssl(*arguments: str, given: bytes = b"") -> str:
    program = require_program("openssl")
    finished = subprocess.run(
        [str(program), *arguments], input=given, capture_output=True, timeout=30, check=False
    )
    assert finished.returncode == 0, finished.stderr.decode()
    return finished.stdout.decode()


def pem(token: InternalToken, nickname: str) -> bytes:
    return certificate_pem(token.require(nickname).certificate)


def credentials_file(token: InternalToken, nickname: str, directory: Path) -> tuple[Path, bytes]:
    credentials = token.credentials(nickname)
    path = directory / "credentials.pem"
    path.write_bytes(credentials.chain_pem + credentials.key_pem)
    return path, credentials.passphrase


@pytest.mark.parametrize("nickname", KINDS)
def test_openssl_reads_names_usage_and_dates(token: InternalToken, nickname: str) -> None:
    text = openssl("x509", "-noout", "-text", "-nameopt", "RFC2253", given=pem(token, nickname))
    for part in (
        "Version: 3 (0x2)",
        "Subject: CN=imap.example.test,O=Ex\\C3\\A4mple\\, Inc,C=CH",
        "DNS:imap.example.test, DNS:*.example.test, IP Address:192.0.2.7, "
        "IP Address:2001:DB8:0:0:0:0:0:7, email:root@example.test",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature",
        "TLS Web Server Authentication",
        "X509v3 Subject Key Identifier",
    ):
        assert part in text


@pytest.mark.parametrize("nickname", KINDS)
def test_the_fingerprints_are_openssls(token: InternalToken, nickname: str) -> None:
    line = openssl("x509", "-noout", "-fingerprint", "-sha256", given=pem(token, nickname))
    assert line.strip().partition("=")[2] == token.require(nickname).sha256


@pytest.mark.parametrize("nickname", KINDS)
@pytest.mark.parametrize(
    "host",
    [
        ("-verify_hostname", "imap.example.test"),
        ("-verify_hostname", "smtp.example.test"),
        ("-verify_ip", "192.0.2.7"),
        ("-verify_ip", "2001:db8::7"),
    ],
)
def test_openssl_verifies_it_strictly_as_a_server_once_trusted(
    token: InternalToken, tmp_path: Path, nickname: str, host: tuple[str, str]
) -> None:
    path = tmp_path / "certificate.pem"
    path.write_bytes(pem(token, nickname))
    trusted = ("-x509_strict", "-purpose", "sslserver", "-CAfile", str(path))
    assert "OK" in openssl("verify", *trusted, *host, str(path))


def test_a_certificate_that_is_trusted_cannot_vouch_for_another(
    token: InternalToken, tmp_path: Path
) -> None:
    path = tmp_path / "certificate.pem"
    path.write_bytes(pem(token, "ec"))
    finished = subprocess.run(
        [str(require_program("openssl")), "verify", "-purpose", "sslserver", "-CAfile", str(path)],
        input=pem(token, "rsa"),
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert finished.returncode != 0


@pytest.mark.parametrize("nickname", KINDS)
def test_openssl_opens_the_encrypted_key_and_it_is_the_certificates(
    token: InternalToken, tmp_path: Path, nickname: str
) -> None:
    path, passphrase = credentials_file(token, nickname, tmp_path)
    public = openssl("pkey", "-in", str(path), "-passin", "stdin", "-pubout", given=passphrase)
    assert public == openssl("x509", "-noout", "-pubkey", given=pem(token, nickname))


@pytest.mark.parametrize("nickname", KINDS)
def test_a_strict_python_client_shakes_hands_with_it(
    token: InternalToken, tmp_path: Path, nickname: str
) -> None:
    path, passphrase = credentials_file(token, nickname, tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path, password=passphrase)
    client = ssl.create_default_context(cadata=pem(token, nickname).decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    accepted = handshake(client, server, "imap.example.test")
    assert accepted == certificate_der(token.require(nickname).certificate)


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> bytes | None:
    """Run a handshake in memory and return the certificate that the client accepted."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return ends[0].getpeercert(binary_form=True)
