"""`import-cert` and `import-selfsign-cert`."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import certificate_der, certificate_pem
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.requests import PrivateKey
from tests.support.keystores import (
    PASSWORD,
    authority,
    issued_by,
    password_file,
    pkcs12_file,
    root_with_keystore,
    self_signed,
)

Captured = pytest.CaptureFixture[str]
CA_KEY, CA = authority()
KEY, LEAF = issued_by(CA_KEY, CA, "imap.example.test")
NEW_KEY, NEW_LEAF = issued_by(CA_KEY, CA, "imap.example.test")
OWN_KEY, OWN = self_signed()


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


def run(root: ServerRoot, *arguments: object) -> int:
    return main([*map(str, arguments), "--home", str(root.path)])


def stored(root: ServerRoot) -> dict[str, x509.Certificate]:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        return {record.nickname: record.certificate for record in token.list() if record.has_key}


def pem_files(
    directory: Path,
    key: PrivateKey = KEY,
    *certificates: x509.Certificate,
    password: bytes | None = None,
) -> tuple[Path, Path]:
    """Write `fullchain.pem` and `privkey.pem` as certbot does."""
    directory.mkdir(exist_ok=True)
    chain, private = directory / "fullchain.pem", directory / "privkey.pem"
    chain.write_bytes(b"".join(map(certificate_pem, certificates or (LEAF, CA))))
    form = (
        serialization.NoEncryption()
        if password is None
        else serialization.BestAvailableEncryption(password)
    )
    private.touch(mode=0o600)
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)
    )
    return chain, private


def at_a_terminal(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    remaining, asked = list(answers), []

    def answer(prompt: str) -> str:
        asked.append(prompt)
        return remaining.pop(0)

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(getpass, "getpass", answer)
    return asked


def test_a_pkcs12_file_keeps_its_name_unless_another_is_given(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    file = pkcs12_file(tmp_path / "imap.p12", "imap-cert", KEY, [LEAF, CA])
    password = password_file(tmp_path / "pw")
    assert run(root, "import-cert", "-I", password, file) == 0
    assert run(root, "import-cert", "mine", "-I", password, file) == 0
    assert stored(root) == {"imap-cert": LEAF, "mine": LEAF}
    assert "imported mine (EC P-256)" in capsys.readouterr().err


def test_a_terminal_is_asked_as_the_original_did(
    root: ServerRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pkcs12_file(tmp_path / "imap.p12", "imap-cert", KEY, [LEAF])
    asked = at_a_terminal(monkeypatch, PASSWORD.reveal())
    assert run(root, "import-cert", file) == 0
    assert asked == ["Enter the PKCS#12 file password: "]


def test_a_wrong_password_is_one_line(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    file = pkcs12_file(tmp_path / "imap.p12", "imap-cert", KEY, [LEAF])
    wrong = password_file(tmp_path / "pw", Secret("a guess"))
    assert run(root, "import-cert", "-I", wrong, file) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"{file}: the password does not open the PKCS#12 file" in error
    assert "a guess" not in error


def test_without_terminal_a_password_must_be_in_a_file(
    root: ServerRoot, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = pkcs12_file(tmp_path / "imap.p12", "imap-cert", KEY, [LEAF])
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert run(root, "import-cert", file) == 1
    assert "-I FILE" in capsys.readouterr().err


def test_certbots_files_are_imported_renewed_and_left_alone_when_the_same(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    chain, key = pem_files(tmp_path / "live")
    hook = ("import-cert", "--replace", "imap-cert", chain, "--key", key)
    assert run(root, *hook) == 0
    assert "imported imap-cert" in capsys.readouterr().err
    assert run(root, *hook) == 0
    assert "the same certificate is there already" in capsys.readouterr().err
    pem_files(tmp_path / "live", NEW_KEY, NEW_LEAF, CA)
    assert run(root, *hook) == 0
    assert "replaced imap-cert" in capsys.readouterr().err
    assert stored(root) == {"imap-cert": NEW_LEAF}


def test_a_taken_nickname_is_not_replaced_unasked(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    chain, key = pem_files(tmp_path)
    assert run(root, "import-cert", "imap-cert", chain, "--key", key) == 0
    pem_files(tmp_path, NEW_KEY, NEW_LEAF)
    assert run(root, "import-cert", "imap-cert", chain, "--key", key) == 1
    assert "--replace" in capsys.readouterr().err
    assert stored(root) == {"imap-cert": LEAF}


def test_key_and_certificate_may_be_in_one_file(root: ServerRoot, tmp_path: Path) -> None:
    chain, key = pem_files(tmp_path)
    both = tmp_path / "both.pem"
    both.touch(mode=0o600)
    both.write_bytes(key.read_bytes() + chain.read_bytes())
    assert run(root, "import-cert", both) == 0
    assert stored(root) == {"imap.example.test": LEAF}


def test_a_der_certificate_goes_with_a_key_file(root: ServerRoot, tmp_path: Path) -> None:
    _, key = pem_files(tmp_path)
    file = tmp_path / "imap.der"
    file.write_bytes(certificate_der(LEAF))
    assert run(root, "import-cert", file, "--key", key) == 0
    assert stored(root) == {"imap.example.test": LEAF}


def test_an_encrypted_key_needs_its_password(
    root: ServerRoot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chain, key = pem_files(tmp_path, password=b"open sesame")
    asked = at_a_terminal(monkeypatch, "open sesame")
    assert run(root, "import-cert", chain, "--key", key) == 0
    assert asked == ["Enter the password of the private key: "]


def test_what_the_operator_should_know_is_told_and_the_import_done(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    chain, key = pem_files(tmp_path, KEY, LEAF)
    key.chmod(0o644)
    assert run(root, "import-cert", chain, "--key", key) == 0
    error = capsys.readouterr().err
    assert f"chmod 600 {key}" in error
    assert "CN=Example CA is missing" in error
    assert stored(root) == {"imap.example.test": LEAF}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (certificate_pem(LEAF), "--key FILE"),
        (b"hello", "neither PEM nor DER"),
        (b"", "it is empty"),
    ],
)
def test_files_that_hold_no_key_are_refused_by_name(
    root: ServerRoot, tmp_path: Path, capsys: Captured, content: bytes, told: str
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    assert run(root, "import-cert", file) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{file}: ")
    assert told in error
    assert error.count("\n") == 1


def test_mistakes_are_told_before_any_password_is_asked(
    root: ServerRoot, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch)
    chain, _ = pem_files(tmp_path)
    _, other_key = pem_files(tmp_path / "other", NEW_KEY)
    file = pkcs12_file(tmp_path / "imap.p12", "imap-cert", KEY, [LEAF])
    for arguments, told in (
        (("import-cert", "a,b", chain), "cannot be a nickname"),
        (("import-cert", tmp_path / "nothing"), "cannot be read"),
        (("import-cert", chain, "--key", tmp_path / "nothing"), "cannot be read"),
        (("import-cert", chain, "--key", other_key), "not the one of the certificate"),
        (("import-cert", file, "--key", other_key), "leave out --key"),
    ):
        assert run(root, *arguments) == 1
        assert told in capsys.readouterr().err


def test_only_self_signed_certificates_are_taken_by_the_subcommand_for_them(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    chain, key = pem_files(tmp_path)
    assert run(root, "import-selfsign-cert", chain, "--key", key) == 1
    assert "use `msgcert import-cert`" in capsys.readouterr().err
    chain, key = pem_files(tmp_path, OWN_KEY, OWN)
    assert run(root, "import-selfsign-cert", "own", chain, "--key", key) == 0
    assert stored(root) == {"own": OWN}


def test_without_file_it_is_wrong_usage(root: ServerRoot) -> None:
    assert run(root, "import-cert") == 2
    assert run(root, "import-cert", "a", "b", "c") == 2
