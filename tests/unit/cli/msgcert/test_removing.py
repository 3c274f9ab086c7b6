"""`remove-cert`: asks, and spares what a service uses."""

from __future__ import annotations

import io
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.configuration.home import ServerRoot
from mailfront.keystore.internal_token import InternalToken
from tests.support.keystores import PASSWORD, authority, root_with_keystore, self_signed

Captured = pytest.CaptureFixture[str]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def root(tmp_path: Path) -> ServerRoot:
    root = root_with_keystore(tmp_path / "root")
    key, certificate = self_signed()
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        token.add_key_and_certificate("imap-cert", key, [certificate])
        token.add_pending_key("waiting", key)
        token.add_authority("Example CA", authority()[1])
    return root


@pytest.fixture(autouse=True)
def without_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())


def run(root: ServerRoot, *arguments: str) -> int:
    return main(["remove-cert", "--home", str(root.path), *arguments])


def nicknames(root: ServerRoot) -> set[str]:
    with InternalToken.open(root.certificate_database, PASSWORD) as token:
        return set(token.nicknames())


@pytest.mark.parametrize(
    ("alias", "words"),
    [
        ("imap-cert", "the certificate imap-cert and its private key"),
        ("waiting", "the key waiting, which waits"),
        ("Example CA", "the CA Example CA"),
    ],
)
@pytest.mark.parametrize("option", ["--yes", "-i", "--no-inter"])
def test_a_script_says_yes_beforehand(
    root: ServerRoot, alias: str, words: str, option: str, capsys: Captured
) -> None:
    assert run(root, alias, option) == 0
    assert f"removed {words}" in capsys.readouterr().err
    assert alias not in nicknames(root)
    assert len(nicknames(root)) == 2


def test_without_terminal_and_yes_nothing_is_removed(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "imap-cert") == 1
    assert "--yes" in capsys.readouterr().err
    assert "imap-cert" in nicknames(root)


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("Yes\n", 0), ("\n", 1), ("", 1)])
def test_a_terminal_is_asked(
    root: ServerRoot, answer: str, status: int, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert run(root, "imap-cert") == status
    assert "[y/N]" in capsys.readouterr().err
    assert ("imap-cert" in nicknames(root)) == (status == 1)


def test_what_a_service_uses_stays_and_the_option_is_named(
    root: ServerRoot, capsys: Captured
) -> None:
    root.msg_conf.write_text(
        "local.imap.sslnicknames = imap-cert\nlocal.http.sslnicknames = imap-cert\n"
    )
    assert run(root, "imap-cert", "--yes") == 1
    error = capsys.readouterr().err
    assert "in use by imap, http" in error
    assert "local.imap.sslnicknames and local.http.sslnicknames" in error
    assert "imap-cert" in nicknames(root)
    assert run(root, "waiting", "--yes") == 0
    assert run(root, "imap-cert", "--yes", "--force") == 0
    assert nicknames(root) == {"Example CA"}


def test_a_faulty_configuration_spares_everything_but_by_force(
    root: ServerRoot, capsys: Captured
) -> None:
    root.msg_conf.write_text("no.such.option = 1\n")
    assert run(root, "imap-cert", "--yes") == 1
    assert "mailfront check" in capsys.readouterr().err
    assert run(root, "imap-cert", "--yes", "--force") == 0


def test_an_unknown_alias_offers_the_nearest(root: ServerRoot, capsys: Captured) -> None:
    assert run(root, "imap-crt", "--yes") == 1
    assert "did you mean imap-cert?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entry SET trust = 'CTu' WHERE nickname = 'imap-cert'",
        "DELETE FROM entry WHERE nickname = 'imap-cert'",
    ],
)
def test_what_was_damaged_outside_can_be_removed(
    root: ServerRoot, damage: str, capsys: Captured
) -> None:
    with closing(sqlite3.connect(root.certificate_database)) as connection, connection:
        connection.execute(damage)
    assert main(["list-certs", "--home", str(root.path)]) == 1
    assert "imap-cert: the entry was" in capsys.readouterr().err
    assert run(root, "imap-cert", "--yes") == 0
    assert main(["list-certs", "--home", str(root.path)]) == 0
