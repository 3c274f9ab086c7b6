"""`backup` and `restore`."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.backup import write_backup
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from tests.support.keystores import CHEAP, PASSWORD, password_file, root_with_keystore, self_signed

Captured = pytest.CaptureFixture[str]
KEY, CERTIFICATE = self_signed()
BACKUP_PASSWORD = Secret("for the backup")


@pytest.fixture(autouse=True)
def cheap_derivation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(InternalToken.create.__kwdefaults__ or {}, "cost", CHEAP)
    monkeypatch.setattr(write_backup, "__defaults__", (CHEAP,))


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", KEY, [CERTIFICATE])
    return root


@pytest.fixture
def secret(tmp_path: Path) -> str:
    return password_file(tmp_path / "pw", BACKUP_PASSWORD)


@pytest.fixture
def backup(root: ServerRoot, tmp_path: Path, secret: str) -> str:
    file = str(tmp_path / "certificates.backup")
    assert run(root, "backup", file, "-O", secret) == 0
    return file


def run(root: ServerRoot, *arguments: str) -> int:
    return main([*arguments, "--home", str(root.path)])


def nicknames(root: ServerRoot) -> tuple[str, ...]:
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    with InternalToken.open(root.certificate_database, password) as token:
        return token.nicknames()


def test_a_backup_is_private_and_overwrites_nothing(
    root: ServerRoot, backup: str, secret: str, capsys: Captured
) -> None:
    assert stat.S_IMODE(Path(backup).stat().st_mode) == 0o600
    assert run(root, "backup", backup, "-O", secret) == 1
    assert "--force" in capsys.readouterr().err
    assert run(root, "backup", backup, "-O", secret, "--force") == 0


def test_a_backup_is_restored_on_another_machine(backup: str, secret: str, tmp_path: Path) -> None:
    there = ServerRoot(tmp_path / "there")
    there.path.mkdir()
    assert run(there, "restore", backup, "-I", secret) == 0
    assert nicknames(there) == ("imap-cert",)


def test_an_existing_database_is_replaced_only_by_force(
    root: ServerRoot, backup: str, secret: str, capsys: Captured
) -> None:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("newer", KEY, [CERTIFICATE])
    assert run(root, "restore", backup, "-I", secret) == 1
    assert "--force" in capsys.readouterr().err
    assert nicknames(root) == ("imap-cert", "newer")
    assert run(root, "restore", "--force", backup, "-I", secret) == 0
    assert nicknames(root) == ("imap-cert",)


def test_a_database_that_does_not_open_is_told_how_to_be_replaced(
    root: ServerRoot, backup: str, secret: str, capsys: Captured
) -> None:
    root.certificate_database.write_bytes(b"damaged" * 1000)
    assert run(root, "restore", "--force", backup, "-I", secret) == 1
    assert f"move {root.certdb_directory} away" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"hello", "not a backup"), (None, "cannot be read")],
)
def test_what_is_no_backup_is_told_by_name(
    root: ServerRoot, tmp_path: Path, secret: str, capsys: Captured, content: bytes, told: str
) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)
    assert run(root, "restore", "--force", str(file), "-I", secret) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"{file}: ")
    assert told in error


def test_a_wrong_password_is_one_line(
    root: ServerRoot, backup: str, tmp_path: Path, capsys: Captured
) -> None:
    capsys.readouterr()
    wrong = password_file(tmp_path / "wrong", Secret("a guess"))
    assert run(root, "restore", "--force", backup, "-I", wrong) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_without_terminal_the_passwords_must_be_in_files(
    root: ServerRoot, backup: str, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert run(root, "backup", str(tmp_path / "new")) == 1
    assert "-O FILE" in capsys.readouterr().err
    assert run(root, "restore", "--force", backup) == 1
    assert "-I FILE" in capsys.readouterr().err
