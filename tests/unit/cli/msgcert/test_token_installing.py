"""Certificates put on a token by msgcert: answers, renewals, imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.pkcs11.external_token import open_external_token
from mailfront.keystore.pkcs11.token_records import TokenContents
from tests.support.issuing import Issuer, certificate_pem_file, key_pem_file
from tests.support.keystores import password_file, pkcs12_file, self_signed

Captured = pytest.CaptureFixture[str]
ISSUER = Issuer()
ISSUED = ISSUER.issue("mail.example.test")
RENEWED = ISSUER.issue("imap.example.test", key=ISSUED.key)
TOKEN = "HSM One"


def run(root: ServerRoot, *arguments: object) -> int:
    return main(["--home", str(root.path), *map(str, arguments)])


def contents(root: ServerRoot) -> TokenContents:
    with open_external_token(root, TOKEN) as token:
        return token.contents()


@pytest.fixture
def root(token_root: ServerRoot) -> ServerRoot:
    """A token with the key of `ISSUED` on it, under another name."""
    with open_external_token(token_root, TOKEN, read_write=True) as token:
        token.import_private_key("key", ISSUED.key)
    return token_root


@pytest.fixture
def answer(tmp_path: Path) -> Path:
    return certificate_pem_file(tmp_path / "answer.pem", ISSUED.chain)


def test_an_answer_goes_beside_its_key(root: ServerRoot, answer: Path, capsys: Captured) -> None:
    assert run(root, "add-cert", f"{TOKEN}:imap", answer) == 0
    told = capsys.readouterr().err
    assert "installed HSM One:imap (EC P-256)" in told
    assert "its key waited as key" in told
    held = contents(root)
    (imap,) = (one for one in held.records() if one.nickname == "imap")
    assert imap.has_key
    assert imap.chain == ISSUED.chain[1:]
    assert [key.nickname for key in held.keys] == ["imap"]


def test_what_is_there_already_is_told(root: ServerRoot, answer: Path, capsys: Captured) -> None:
    assert run(root, "add-cert", f"{TOKEN}:imap", answer) == 0
    assert run(root, "add-cert", f"{TOKEN}:other", answer) == 1
    assert "installed already, as HSM One:imap" in capsys.readouterr().err
    renewed = certificate_pem_file(answer.with_name("renewed.pem"), RENEWED.chain)
    assert run(root, "add-cert", f"{TOKEN}:other", renewed) == 1
    assert 'msgcert renew-cert "HSM One:imap" FILE' in capsys.readouterr().err


def test_the_nickname_of_another_key_is_refused(
    root: ServerRoot, answer: Path, capsys: Captured
) -> None:
    with open_external_token(root, TOKEN, read_write=True) as token:
        token.import_private_key("imap", self_signed()[0])
    assert run(root, "add-cert", f"{TOKEN}:imap", answer) == 1
    assert "is another key: the key of this certificate waits as key" in capsys.readouterr().err


def test_a_certificate_of_a_key_elsewhere_is_refused(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    stranger = certificate_pem_file(tmp_path / "s.pem", ISSUER.issue("x.example.test").chain)
    assert run(root, "add-cert", f"{TOKEN}:imap", stranger) == 1
    assert "is not on the token 'HSM One'" in capsys.readouterr().err
    assert run(root, "add-cert", "imap", stranger) == 1
    assert "neither in the database nor on a token" in capsys.readouterr().err


def test_a_ca_is_trusted_in_the_database_alone(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    file = certificate_pem_file(tmp_path / "ca.pem", [ISSUER.root])
    assert run(root, "add-cert", "-C", "--token", TOKEN, "CA", file) == 1
    assert "leave out --token" in capsys.readouterr().err


def test_a_renewed_certificate_takes_its_place(
    root: ServerRoot, answer: Path, capsys: Captured
) -> None:
    assert run(root, "add-cert", f"{TOKEN}:imap", answer) == 0
    assert run(root, "renew-cert", f"{TOKEN}:imap", answer) == 0
    assert "the same certificate is there already" in capsys.readouterr().err
    renewed = certificate_pem_file(answer.with_name("renewed.pem"), RENEWED.chain)
    assert run(root, "renew-cert", f"{TOKEN}:imap", renewed) == 0
    told = capsys.readouterr().err
    assert "renewed HSM One:imap" in told
    assert "had names that this one has not: DNS:mail.example.test" in told
    held = contents(root)
    assert [one.certificate for one in held.certificates if one.nickname == "imap"] == [
        RENEWED.leaf
    ]


def test_a_renewal_for_another_key_is_refused(
    root: ServerRoot, answer: Path, tmp_path: Path, capsys: Captured
) -> None:
    assert run(root, "add-cert", f"{TOKEN}:imap", answer) == 0
    other = ISSUER.issue("mail.example.test")
    file = certificate_pem_file(tmp_path / "other.pem", other.chain)
    key = key_pem_file(tmp_path / "other.key", other.key)
    assert run(root, "renew-cert", f"{TOKEN}:imap", file) == 1
    assert "is not for the key of HSM One:imap" in capsys.readouterr().err
    assert run(root, "renew-cert", f"{TOKEN}:imap", file, "--key", key) == 1
    assert "cannot be replaced at one moment" in capsys.readouterr().err


def test_a_key_is_imported_with_its_certificate(
    token_root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    file = pkcs12_file(tmp_path / "mail.p12", "imap", ISSUED.key, ISSUED.chain)
    password = password_file(tmp_path / "password")
    assert run(token_root, "import-cert", "--token", TOKEN, "-I", password, file) == 0
    told = capsys.readouterr().err
    assert "imported HSM One:imap (EC P-256)" in told
    assert "the token says of the key: sensitive" in told
    assert "copies of an imported key exist elsewhere" in told
    (imap,) = (one for one in contents(token_root).certificates if one.nickname == "imap")
    assert imap.key is not None
    assert run(token_root, "import-cert", "--token", TOKEN, "-I", password, file) == 1
    assert "there is a certificate HSM One:imap already" in capsys.readouterr().err
    arguments = ("--token", TOKEN, "-I", password, "--replace", file)
    assert run(token_root, "import-cert", *arguments) == 1


def test_a_self_signed_pair_is_imported_from_pem_files(
    token_root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    key, certificate = self_signed(family="rsa")
    files = (
        certificate_pem_file(tmp_path / "c.pem", [certificate]),
        "--key",
        key_pem_file(tmp_path / "k.pem", key),
    )
    assert run(token_root, "import-selfsign-cert", f"{TOKEN}:imap", *files) == 0
    (imap,) = contents(token_root).certificates
    assert imap.key is not None
    edwards, own = self_signed("e.example.test", family="ed25519")
    files = (
        certificate_pem_file(tmp_path / "c.pem", [own]),
        "--key",
        key_pem_file(tmp_path / "k.pem", edwards),
    )
    assert run(token_root, "import-cert", f"{TOKEN}:edwards", *files) == 1
    assert "only RSA keys, and EC keys" in capsys.readouterr().err
