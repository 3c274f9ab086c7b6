"""The `mailfront` command: its subcommands, help texts and exit codes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mailfront.cli.main import COMMANDS, main
from mailfront.version import VERSION

SUBCOMMANDS = [
    "init",
    "quickstart",
    "serve",
    "check",
    "doctor",
    "ciphers",
    "status",
    "reload",
    "user",
    "certmap-test",
    "queue",
    "route",
    "dkim",
    "tlsa",
]


@pytest.fixture(autouse=True)
def _no_server_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MAILFRONT_HOME", raising=False)


def test_the_help_names_every_subcommand_and_the_exit_codes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in SUBCOMMANDS:
        assert re.search(rf"^ +{name}\b", text, re.MULTILINE)
    assert "Exit status: 0 done, 1 failed, 2 wrong usage." in text
    assert len(SUBCOMMANDS) >= len(COMMANDS)


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_every_subcommand_has_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"usage: mailfront {name}")


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"mailfront {VERSION}\n"


@pytest.mark.parametrize("arguments", [[], ["sing"], ["check", "--loud"], ["status", "x"]])
def test_wrong_usage_is_told_with_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("usage: mailfront")


@pytest.mark.parametrize("name", ["init", "quickstart", "serve", "check", "status", "reload"])
def test_a_command_needs_a_server_root(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name]) == 1
    assert "give --home DIR, or set MAILFRONT_HOME" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["serve", "check", "status", "reload"])
def test_a_directory_without_configuration_is_no_server_root(
    name: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MAILFRONT_HOME", str(tmp_path))
    assert main([name]) == 1
    printed = capsys.readouterr()
    assert "is not a server root" in printed.err
    assert f"mailfront init --home {tmp_path}" in printed.err
    assert printed.out == ""
