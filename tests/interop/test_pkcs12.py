"""PKCS#12 files that OpenSSL and NSS write are imported; both read what is exported."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore import requests
from mailfront.keystore.creation import add_self_signed
from mailfront.keystore.formats import certificate_pem, private_key_public_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.pkcs12 import read_pkcs12
from tests.support.keystores import (
    PASSWORD,
    authority,
    issued_by,
    password_file,
    root_with_keystore,
)
from tests.support.nss import NssDatabase
from tests.support.peers import require_program
from tests.support.server import run_command

FILE_PASSWORD = Secret("for the file")
KINDS = {
    "ec": requests.KeyKind(),
    "ec-384": requests.KeyKind("ec", curve="P-384"),
    "rsa": requests.KeyKind("rsa"),
    "ed25519": requests.KeyKind("ed25519"),
}
CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> ServerRoot:
    root = root_with_keystore(tmp_path_factory.mktemp("exporting") / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        for nickname, kind in KINDS.items():
            add_self_signed(token, nickname, requests.parse_subject("CN=imap"), key_kind=kind)
        token.add_key_and_certificate("chained", KEY, [LEAF, CA])
    return root


@pytest.fixture
def other_root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "other")


def openssl(*arguments: object) -> str:
    program = require_program("openssl")
    finished = subprocess.run(
        [str(program), *map(str, arguments)], capture_output=True, timeout=60, check=False
    )
    assert finished.returncode == 0, finished.stderr.decode()
    return (finished.stdout + finished.stderr).decode()


def msgcert(root: ServerRoot, *arguments: object) -> str:
    finished = run_command("msgcert", "--home", str(root.path), *map(str, arguments))
    assert finished.returncode == 0, finished.stderr
    return finished.stderr


def exported(root: ServerRoot, nickname: str, directory: Path, *more: str) -> tuple[Path, str]:
    password = password_file(directory / "pw", FILE_PASSWORD)
    file = directory / "exported.p12"
    msgcert(root, "export-cert", "-o", file, "-O", password, *more, nickname)
    return file, password


@pytest.mark.parametrize("nickname", [*KINDS, "chained"])
def test_openssl_reads_what_is_exported(root: ServerRoot, tmp_path: Path, nickname: str) -> None:
    file, password = exported(root, nickname, tmp_path)
    text = openssl("pkcs12", "-in", file, "-passin", f"file:{password}", "-nodes", "-info")
    assert "PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256" in text
    assert "MAC: sha256, Iteration 600000" in text
    assert text.count("BEGIN CERTIFICATE") == (2 if nickname == "chained" else 1)
    assert f"friendlyName: {nickname}" in text
    assert "BEGIN PRIVATE KEY" in text


def test_openssl_reads_the_legacy_form(root: ServerRoot, tmp_path: Path) -> None:
    file, password = exported(root, "rsa", tmp_path, "--legacy")
    arguments = ("-in", file, "-passin", f"file:{password}", "-nodes", "-info", "-legacy")
    text = openssl("pkcs12", *arguments)
    assert "pbeWithSHA1And3-KeyTripleDES-CBC" in text
    assert "MAC: sha1" in text


FORMS = {
    "today": (),
    "aes-128": ("-certpbe", "AES-128-CBC", "-keypbe", "AES-128-CBC"),
    "3des": ("-legacy", "-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES"),
    "rc2": ("-legacy",),
    "certificates in clear": ("-certpbe", "NONE"),
    "no mac": ("-nomac",),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_openssl_writes_is_imported(other_root: ServerRoot, tmp_path: Path, form: str) -> None:
    chain, key = files(tmp_path)
    password = password_file(tmp_path / "pw", FILE_PASSWORD)
    file = tmp_path / "openssl.p12"
    made = ("-export", "-in", chain, "-inkey", key, "-name", "from openssl")
    openssl("pkcs12", *made, "-out", file, "-passout", f"file:{password}", *FORMS[form])
    msgcert(other_root, "import-cert", "-I", password, file)
    with InternalToken.open(other_root.certificate_database, PASSWORD) as token:
        record = token.require("from openssl")
        assert record.certificate == LEAF
        assert private_key_public_der(token.private_key("from openssl")) == (
            private_key_public_der(KEY)
        )


def test_a_file_that_openssl_wrote_without_password_is_imported(
    other_root: ServerRoot, tmp_path: Path
) -> None:
    chain, key = files(tmp_path)
    file = tmp_path / "openssl.p12"
    openssl("pkcs12", "-export", "-in", chain, "-inkey", key, "-out", file, "-passout", "pass:")
    msgcert(other_root, "import-cert", "imap-cert", file)


@pytest.mark.parametrize("form", ["PKCS#8", "PKCS#8 encrypted", "old", "old encrypted"])
def test_keys_that_openssl_writes_are_imported(
    other_root: ServerRoot, tmp_path: Path, form: str
) -> None:
    chain, plain = files(tmp_path)
    password = password_file(tmp_path / "pw", FILE_PASSWORD)
    key = tmp_path / "key.pem"
    arguments = ["pkey", "-in", plain, "-out", key]
    arguments += ["-traditional"] if "old" in form else []
    if "encrypted" in form:
        arguments += ["-aes256", "-passout", f"file:{password}"]
    openssl(*arguments)
    msgcert(other_root, "import-cert", "-I", password, chain, "--key", key)


@pytest.mark.parametrize("nickname", ["ec", "rsa", "chained"])
@pytest.mark.parametrize("more", [(), ("--legacy",)])
def test_nss_reads_what_is_exported(
    root: ServerRoot, tmp_path: Path, nickname: str, more: tuple[str, ...]
) -> None:
    file, password = exported(root, nickname, tmp_path, *more)
    database = NssDatabase(tmp_path / "nss")
    database.pk12util("-i", file, "-w", password)
    assert nickname in database.certutil("-L")
    assert nickname in database.certutil("-K")


@pytest.mark.parametrize("key_type", ["rsa", "ec"])
def test_what_nss_writes_is_imported(other_root: ServerRoot, tmp_path: Path, key_type: str) -> None:
    database = NssDatabase(tmp_path / "nss")
    database.self_signed("from nss", key_type=key_type)
    password = password_file(tmp_path / "pw", FILE_PASSWORD)
    file = tmp_path / "nss.p12"
    database.pk12util("-o", file, "-n", "from nss", "-w", password)
    msgcert(other_root, "import-cert", "-I", password, file)
    with InternalToken.open(other_root.certificate_database, PASSWORD) as token:
        assert token.require("from nss").key_type == key_type
        assert token.private_key("from nss")


def test_a_file_of_nss_with_several_keys_gives_all_of_them(tmp_path: Path) -> None:
    database = NssDatabase(tmp_path / "nss")
    for _ in range(2):
        database.self_signed("same", key_type="ec")
    password = password_file(tmp_path / "pw", FILE_PASSWORD)
    file = tmp_path / "nss.p12"
    database.pk12util("-o", file, "-n", "same", "-w", password)
    contents = read_pkcs12(file.read_bytes(), FILE_PASSWORD)
    assert [identity.friendly_name for identity in contents.identities] == ["same", "same"]
    for identity in contents.identities:
        assert private_key_public_der(identity.private_key)


def files(directory: Path) -> tuple[Path, Path]:
    chain, key = directory / "chain.pem", directory / "plain.pem"
    chain.write_bytes(certificate_pem(LEAF) + certificate_pem(CA))
    key.touch(mode=0o600)
    key.write_bytes(
        KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, key
