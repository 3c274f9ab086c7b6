"""From the arguments to the opened keystore: where the password comes from."""

from __future__ import annotations

import argparse
import getpass
import io
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.configuration.home import HOME_VARIABLE, ServerRoot
from mailfront.errors import OperatorError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import write_password
from tests.support.keystores import CHEAP, PASSWORD, root_with_keystore


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    return root_with_keystore(tmp_path / "root")


def arguments(root: ServerRoot, password_file: str | None = None) -> argparse.Namespace:
    return argparse.Namespace(home=str(root.path), cert_pwd_file=password_file)


def feed(monkeypatch: pytest.MonkeyPatch, octets: bytes, *, terminal: bool = False) -> None:
    stream = SimpleNamespace(buffer=io.BytesIO(octets), isatty=lambda: terminal)
    monkeypatch.setattr(sys, "stdin", stream)


def test_the_line_of_the_password_file_opens_the_keystore(root: ServerRoot) -> None:
    with open_token(arguments(root)) as token:
        assert token.path == root.certificate_database


def test_a_file_named_by_the_option_comes_before_it(root: ServerRoot, tmp_path: Path) -> None:
    write_password(root.sslpassword_conf, INTERNAL_TOKEN, Secret("wrong"))
    own = tmp_path / "pw"
    own.write_text(f"{PASSWORD.reveal()}\nsecond line\n")
    own.chmod(0o600)
    open_token(arguments(root, str(own))).close()


def test_a_password_file_that_others_may_read_is_refused(root: ServerRoot, tmp_path: Path) -> None:
    own = tmp_path / "pw"
    own.write_text(PASSWORD.reveal())
    own.chmod(0o644)
    with pytest.raises(OperatorError, match="chmod 600"):
        open_token(arguments(root, str(own)))


def test_a_hyphen_means_standard_input(root: ServerRoot, monkeypatch: pytest.MonkeyPatch) -> None:
    root.sslpassword_conf.unlink()
    feed(monkeypatch, PASSWORD.reveal().encode() + b"\n")
    open_token(arguments(root, "-")).close()


def test_without_any_password_a_terminal_is_asked(
    root: ServerRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    root.sslpassword_conf.unlink()
    asked: list[str] = []

    def answer(text: str) -> str:
        asked.append(text)
        return PASSWORD.reveal()

    feed(monkeypatch, b"", terminal=True)
    monkeypatch.setattr(getpass, "getpass", answer)
    open_token(arguments(root)).close()
    assert asked == ["Enter the certificate database password: "]


def test_without_any_password_and_terminal_the_option_is_named(
    root: ServerRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_password(root.sslpassword_conf, INTERNAL_TOKEN, Secret("x"))
    root.sslpassword_conf.write_text("HSM One:pin\n")
    feed(monkeypatch, b"")
    with pytest.raises(OperatorError, match="-W FILE"):
        open_token(arguments(root))


def test_a_password_file_that_others_may_read_stops_everything(root: ServerRoot) -> None:
    root.sslpassword_conf.chmod(0o640)
    with pytest.raises(OperatorError, match="chmod 600"):
        open_token(arguments(root))


def test_a_missing_database_is_told_before_a_password_is_asked(root: ServerRoot) -> None:
    root.certificate_database.unlink()
    root.sslpassword_conf.unlink()
    with pytest.raises(OperatorError, match="generate-certDB"):
        open_token(arguments(root))


def test_the_well_known_password_works_with_a_loud_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = ServerRoot(tmp_path)
    write_password(root.sslpassword_conf, INTERNAL_TOKEN, Secret("netscape!"))
    InternalToken.create(root.certificate_database, Secret("netscape!"), cost=CHEAP).close()
    open_token(arguments(root)).close()
    assert "WARNING" in capsys.readouterr().err


def test_the_server_root_may_come_from_the_environment(
    root: ServerRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOME_VARIABLE, str(root.path))
    assert server_root(argparse.Namespace(home=None)) == root


def test_a_server_root_that_is_not_there_names_init(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="mailfront init"):
        server_root(argparse.Namespace(home=str(tmp_path / "nowhere")))
