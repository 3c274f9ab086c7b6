"""`mailfront quickstart`: what it makes and prints; the server is a stand-in here."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration
from mailfront.interfaces.status import PortStatus, ServerStatus

PORTS = tuple(
    PortStatus("x", name, "127.0.0.1", port, "implicit", "", "", None, 0)
    for name, port in (("submission", 2587), ("imaps", 2993), ("https", 2443))
)


class Report:
    def status(self) -> ServerStatus:
        return ServerStatus("1.0", 42, datetime.now(UTC), "uvloop", PORTS)


@pytest.fixture(autouse=True)
def served(monkeypatch: pytest.MonkeyPatch) -> list[ServerRoot]:
    """The server roots that were served: ready at once, stopped at once."""
    roots: list[ServerRoot] = []

    def serve(root: ServerRoot, on_ready: Callable[[Report], None]) -> None:
        roots.append(root)
        on_ready(Report())

    monkeypatch.setattr("mailfront.server.process.serve", serve)
    return roots


@pytest.fixture
def home(server_root_template: Path, tmp_path: Path) -> Path:
    shutil.copytree(server_root_template, tmp_path / "root")
    return tmp_path / "root"


def test_the_first_start_makes_a_server_root(
    tmp_path: Path, served: list[ServerRoot], capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "var"
    assert main(["quickstart", "--home", str(home), "--listen", "127.0.0.2"]) == 0
    assert served == [ServerRoot(home)]
    configuration = load_configuration(home / "config" / "msg.conf")
    assert configuration.string("service.listenaddr") == "127.0.0.2"
    assert configuration.integer("service.imap.sslport") == 2993
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "mailfront ready"
    assert f"the passwords are in {home / 'initial-passwords.txt'}" in printed.err
    for line in (home / "initial-passwords.txt").read_text().splitlines():
        assert line.split()[1] not in printed.out + printed.err


def test_a_second_start_leaves_everything_as_it_was(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (home / "config" / "msg.conf").read_bytes()
    assert main(["quickstart", "--home", str(home)]) == 0
    assert (home / "config" / "msg.conf").read_bytes() == before
    assert "passwords" not in capsys.readouterr().err


def test_the_tour_has_commands_for_the_ports_in_fact(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["quickstart", "--home", str(home)])
    printed = capsys.readouterr().out
    assert "openssl s_client -connect localhost:2587 -starttls smtp" in printed
    assert "imaps://localhost:2993/INBOX" in printed
    assert "https://localhost:2443/" in printed


def test_passwords_are_printed_on_a_terminal_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    main(["quickstart", "--home", str(tmp_path / "var")])
    first = (tmp_path / "var" / "initial-passwords.txt").read_text().splitlines()[0]
    assert f"  alice@example.test  password: {first.split()[1]}" in capsys.readouterr().out


def test_a_directory_of_somebody_else_is_refused(
    tmp_path: Path, served: list[ServerRoot], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").touch()
    assert main(["quickstart", "--home", str(tmp_path)]) == 1
    assert served == []
    assert "not empty" in capsys.readouterr().err
