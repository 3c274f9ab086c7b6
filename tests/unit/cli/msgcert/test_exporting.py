"""`export-cert`."""

from __future__ import annotations

import getpass
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import chain_pem, private_key_public_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.pkcs12 import read_pkcs12
from tests.support.keystores import (
    PASSWORD,
    authority,
    issued_by,
    password_file,
    root_with_keystore,
)

Captured = pytest.CaptureFixture[str]
CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")
FILE_PASSWORD = Secret("for the file")


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", KEY, [LEAF, CA])
        token.add_authority("Example CA", CA)
    return root


def run(root: ServerRoot, *arguments: object) -> int:
    return main([*map(str, arguments), "--home", str(root.path)])


@pytest.fixture
def given_password(tmp_path: Path) -> str:
    return password_file(tmp_path / "pw", FILE_PASSWORD)


@pytest.mark.parametrize("more", [(), ("--legacy",)])
def test_the_file_is_private_and_holds_key_certificate_and_issuers(
    root: ServerRoot, tmp_path: Path, given_password: str, more: tuple[str, ...]
) -> None:
    file = tmp_path / "imap.p12"
    assert run(root, "export-cert", "-o", file, "-O", given_password, *more, "imap-cert") == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    contents = read_pkcs12(file.read_bytes(), FILE_PASSWORD)
    (identity,) = contents.identities
    assert (identity.friendly_name, identity.certificate) == ("imap-cert", LEAF)
    assert private_key_public_der(identity.private_key) == private_key_public_der(KEY)
    assert contents.others == (CA,)


def test_pem_is_the_chain_and_an_encrypted_key(
    root: ServerRoot, tmp_path: Path, given_password: str
) -> None:
    file = tmp_path / "imap.pem"
    assert run(root, "export-cert", "--pem", "-o", file, "-O", given_password, "imap-cert") == 0
    content = file.read_bytes()
    assert content.startswith(chain_pem((LEAF, CA)))
    key = load_pem_private_key(content[len(chain_pem((LEAF, CA))) :], b"for the file")
    assert private_key_public_der(key) == private_key_public_der(KEY)


def test_a_terminal_is_asked_twice_as_the_original_did(
    root: ServerRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = ["same", "same"], []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return answers.pop(0)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(getpass, "getpass", answer)
    assert run(root, "export-cert", "-o", tmp_path / "imap.p12", "imap-cert") == 0
    assert asked == ["Choose the PKCS#12 file password: ", "Confirm the PKCS#12 file password: "]


def test_nothing_is_overwritten_unless_forced(
    root: ServerRoot, tmp_path: Path, given_password: str, capsys: Captured
) -> None:
    file = tmp_path / "imap.p12"
    file.write_bytes(b"precious")
    export = ("export-cert", "-o", file, "-O", given_password, "imap-cert")
    assert run(root, *export) == 1
    assert "--force" in capsys.readouterr().err
    assert file.read_bytes() == b"precious"
    assert run(root, *export, "--force") == 0
    assert read_pkcs12(file.read_bytes(), FILE_PASSWORD).identities


@pytest.mark.parametrize(
    ("nickname", "told"),
    [("imap-crt", "did you mean imap-cert"), ("Example CA", "show-cert -F ascii Example CA")],
)
def test_what_has_no_key_is_told(
    root: ServerRoot,
    tmp_path: Path,
    given_password: str,
    capsys: Captured,
    nickname: str,
    told: str,
) -> None:
    file = tmp_path / "imap.p12"
    assert run(root, "export-cert", "-o", file, "-O", given_password, nickname) == 1
    assert told in capsys.readouterr().err
    assert not file.exists()


def test_without_terminal_the_password_must_be_in_a_file(
    root: ServerRoot, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert run(root, "export-cert", "-o", tmp_path / "imap.p12", "imap-cert") == 1
    assert "-O FILE" in capsys.readouterr().err


def test_two_forms_at_once_are_wrong_usage(root: ServerRoot) -> None:
    assert run(root, "export-cert", "--pem", "--legacy", "imap-cert") == 2
