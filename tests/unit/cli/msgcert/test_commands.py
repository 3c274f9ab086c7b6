"""The command line of msgcert: names, help, exit codes, and a certificate's first hour."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailfront.cli.msgcert import main
from mailfront.cli.msgcert.commands import SUBCOMMANDS, find_subcommand
from mailfront.configuration.home import HOME_VARIABLE
from tests.support.keystores import root_with_keystore

Captured = pytest.CaptureFixture[str]


@pytest.mark.parametrize("option", ["-?", "--help", "-h"])
def test_help_lists_the_subcommands_that_exist_and_only_those(
    option: str, capsys: Captured
) -> None:
    assert main([option]) == 0
    text = capsys.readouterr().out
    for name in ("generate-certDB", "add-selfsign-cert", "list-certs", "show-cert"):
        assert f"  {name} " in text
    assert "examples:" in text


@pytest.mark.parametrize("subcommand", [subcommand.name for subcommand in SUBCOMMANDS])
def test_every_subcommand_has_a_help_with_examples(subcommand: str, capsys: Captured) -> None:
    assert main([subcommand, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"msgcert {subcommand}" in text
    assert "examples:" in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    "name", ["generate-certDB", "generate-CertDB", "generate_certdb", "GENERATE-CERTDB"]
)
def test_names_are_taken_in_any_case_and_with_underscores(name: str) -> None:
    found = find_subcommand(name)
    assert found is not None
    assert found.name == "generate-certDB"


@pytest.mark.parametrize(
    "name",
    [
        "generate-certDB",
        "add-selfsign-cert",
        "renew-selfsign-cert",
        "request-cert",
        "add-cert",
        "renew-cert",
        "import-cert",
        "import-selfsign-cert",
        "export-cert",
        "list-certs",
        "show-cert",
        "remove-cert",
    ],
)
def test_every_subcommand_of_the_original_is_there(name: str) -> None:
    assert find_subcommand(name.upper().replace("-", "_")) is not None


@pytest.mark.parametrize("name", ["internal", "Internal (Software) Token"])
def test_the_internal_token_may_be_named(name: str, tmp_path: Path) -> None:
    home = str(root_with_keystore(tmp_path / "root").path)
    assert main(["--home", home, "--token", name, "list-certs"]) == 0
    assert main(["list-certs", "--home", home, "--token", name]) == 0


def test_another_token_is_refused_in_a_sentence(tmp_path: Path, capsys: Captured) -> None:
    home = str(root_with_keystore(tmp_path / "root").path)
    assert main(["--home", home, "--token", "HSM One", "list-certs"]) == 1
    error = capsys.readouterr().err
    assert "no token 'HSM One'" in error
    assert error.count("\n") == 1


def test_a_mistyped_subcommand_offers_the_nearest(capsys: Captured) -> None:
    assert main(["list-cert"]) == 2
    assert "did you mean list-certs?" in capsys.readouterr().err


def test_no_subcommand_shows_the_help_on_stderr(capsys: Captured) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert "subcommands:" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments", [["--frobnicate", "list-certs"], ["list-certs", "--frobnicate"], ["--home"]]
)
def test_unknown_options_are_wrong_usage(arguments: list[str], capsys: Captured) -> None:
    assert main(arguments) == 2
    assert "error:" in capsys.readouterr().err


def test_the_server_root_must_be_named(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    assert main(["list-certs"]) == 1
    assert "--home DIR" in capsys.readouterr().err


def test_shared_options_stand_before_or_behind_the_name(tmp_path: Path, capsys: Captured) -> None:
    home = str(root_with_keystore(tmp_path / "root").path)
    for arguments in (
        ["--home", home, "list-certs"],
        [f"--home={home}", "list-certs"],
        ["list-certs", "--home", home],
        ["list-certs", f"--home={home}"],
    ):
        assert main(arguments) == 0
    assert capsys.readouterr().out.count("0 certificates found") == 4


def test_a_wrong_password_is_one_line_and_exit_1(tmp_path: Path, capsys: Captured) -> None:
    root = root_with_keystore(tmp_path / "root")
    own = tmp_path / "pw"
    own.write_text("a guess\n")
    own.chmod(0o600)
    assert main(["--home", str(root.path), "-W", str(own), "list-certs"]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "the password does not open the certificate database" in captured.err
    assert "a guess" not in captured.err


def test_a_certificate_is_made_listed_and_shown(tmp_path: Path, capsys: Captured) -> None:
    home = ["--home", str(root_with_keystore(tmp_path / "root").path)]
    assert main(["add-selfsign-cert", *home, "--name", "imap.example.test", "imap-cert"]) == 0
    assert main(["list-certs", *home]) == 0
    assert main(["show-cert", *home, "imap-cert"]) == 0
    text = capsys.readouterr().out
    assert "1 certificate found" in text
    assert 'Subject: "CN=imap.example.test"' in text
