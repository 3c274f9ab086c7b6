"""`mailfront dkim`: keys are made, listed, and published."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mailfront.cli.main import main
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import set_option


@pytest.fixture
def home(server_root_template: Path, tmp_path: Path) -> str:
    return str(shutil.copytree(server_root_template, tmp_path / "root"))


def test_a_key_is_made_and_its_record_printed(
    home: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dkim", "create", "Example.test", "s1", "--home", home]) == 0
    made = capsys.readouterr()
    assert made.out.startswith('s1._domainkey.example.test. IN TXT ( "v=DKIM1; k=rsa; p=')
    assert '" "' in made.out
    assert "dkim.selectors = example.test:s1" in made.err
    assert main(["dkim", "record", "example.test", "s1", "--home", home]) == 0
    assert capsys.readouterr().out == made.out


def test_the_list_tells_which_keys_sign_and_which_are_missing(
    home: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["dkim", "create", "example.test", "s1", "--algorithm", "ed25519", "--home", home])
    main(["dkim", "create", "example.test", "s2", "--algorithm", "ed25519", "--home", home])
    set_option(
        ServerRoot(Path(home)).msg_conf, "dkim.selectors", "example.test:s2,example.org:gone"
    )
    capsys.readouterr()
    assert main(["dkim", "list", "--json", "--home", home]) == 0
    listed = capsys.readouterr()
    assert [(each["selector"], each["signs"]) for each in json.loads(listed.out)] == [
        ("s1", False),
        ("s2", True),
    ]
    assert "example.org:gone" in listed.err
    assert main(["dkim", "list", "--home", home]) == 0
    assert "Ed25519" in capsys.readouterr().out


def test_a_selector_is_used_once(home: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["dkim", "create", "example.test", "s1", "--algorithm", "ed25519", "--home", home]
    assert main(arguments) == 0
    assert main(arguments) == 1
    assert "already" in capsys.readouterr().err


@pytest.mark.parametrize("names", [["example.test", "unknown"], ["no domain", "s1"]])
def test_a_key_that_is_not_there_has_no_record(
    home: str, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dkim", "record", *names, "--home", home]) == 1
    assert capsys.readouterr().out == ""
