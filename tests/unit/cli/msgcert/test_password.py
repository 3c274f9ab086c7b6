"""`change-password`."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from tests.support.keystores import PASSWORD, password_file, root_with_keystore

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["change-password", *arguments, "--home", str(root.path)])


def noted(root: ServerRoot) -> Secret:
    return read_password(root.sslpassword_conf, INTERNAL_TOKEN)


def opens(root: ServerRoot, password: Secret) -> bool:
    InternalToken.open(root.certificate_database, password).close()
    return True


def test_the_password_comes_from_a_file(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    new = password_file(tmp_path / "new", Secret("another"))
    assert run(root, "--new-pwd-file", new) == 0
    assert noted(root) == Secret("another")
    assert opens(root, noted(root))
    told = capsys.readouterr().err
    assert str(root.sslpassword_conf) in told
    assert "another" not in told


def test_a_terminal_is_asked_twice(root: ServerRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["another", "another"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr(getpass, "getpass", lambda prompt: answers.pop(0))
    assert run(root) == 0
    assert noted(root) == Secret("another")


def test_a_random_one_is_written_and_never_shown(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "--random") == 0
    assert noted(root) != PASSWORD
    assert opens(root, noted(root))
    captured = capsys.readouterr()
    assert noted(root).reveal() not in captured.out + captured.err


def test_a_random_one_that_nobody_would_know_is_refused(
    root: ServerRoot, tmp_path: Path, capsys: Captured
) -> None:
    own = password_file(tmp_path / "own")
    root.sslpassword_conf.unlink()
    assert run(root, "--random", "-W", own) == 1
    assert "nobody would know" in capsys.readouterr().err
    assert opens(root, PASSWORD)


def test_without_terminal_a_choice_is_needed(
    root: ServerRoot, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert run(root) == 1
    assert "--new-pwd-file FILE, or --random" in capsys.readouterr().err


def test_a_wrong_password_is_one_line(root: ServerRoot, tmp_path: Path, capsys: Captured) -> None:
    wrong = password_file(tmp_path / "wrong", Secret("a guess"))
    assert run(root, "--random", "-W", wrong) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert opens(root, PASSWORD)
