"""`mailfront init`: what it prints, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.configuration.msg_conf import load_configuration


def test_a_server_root_is_made_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "root"
    assert main(["init", "--home", str(home), "--domain", "example.org"]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"server root: {home}\n"
    configuration = load_configuration(home / "config" / "msg.conf")
    assert configuration.string("service.defaultdomain") == "example.org"


def test_the_demonstration_tells_where_the_passwords_are_and_not_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "root"
    assert main(["init", "--home", str(home), "--demo"]) == 0
    printed = capsys.readouterr()
    passwords = home / "initial-passwords.txt"
    assert f"users: alice@example.test, bob@example.test; passwords: {passwords}" in printed.out
    for line in passwords.read_text().splitlines():
        assert line.split()[1] not in printed.out + printed.err


def test_a_directory_that_is_not_empty_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    assert main(["init", "--home", str(tmp_path)]) == 1
    assert "name a new or an empty directory" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_server_root_is_not_made_over_another(
    server_root_template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (server_root_template / "config" / "msg.conf").read_bytes()
    assert main(["init", "--home", str(server_root_template)]) == 1
    assert "is a server root already" in capsys.readouterr().err
    assert (server_root_template / "config" / "msg.conf").read_bytes() == before


def test_init_takes_no_arguments_without_a_name(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 2
