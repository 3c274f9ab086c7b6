"""What every subcommand shares: its parser, its help, the options that all of them have."""

from __future__ import annotations

import argparse

import pytest

from mailfront.cli.msgcert.subcommand import Subcommand, add_shared_arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("when")


EXAMPLE = Subcommand(
    name="do-something",
    summary="do something",
    description="Does something.",
    examples="  msgcert do-something now",
    add_arguments=add_arguments,
    run=lambda arguments: 0,
)


def test_an_option_behind_the_name_overrides_the_one_before_it() -> None:
    before = argparse.Namespace(home="/a", cert_pwd_file="/pw")
    parsed = EXAMPLE.parser().parse_args(["now", "--home", "/b"], before)
    assert (parsed.home, parsed.cert_pwd_file, parsed.when) == ("/b", "/pw", "now")


@pytest.mark.parametrize("option", ["-?", "--help", "-h"])
def test_help_shows_description_and_examples(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        EXAMPLE.parser().parse_args([option])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert "Does something." in text
    assert "examples:\n  msgcert do-something now" in text


def test_options_are_not_abbreviated() -> None:
    with pytest.raises(SystemExit):
        EXAMPLE.parser().parse_args(["now", "--hom", "/b"])


def test_the_shared_options_may_be_absent() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    add_shared_arguments(parser, default=None)
    parsed = parser.parse_args([])
    assert (parsed.home, parsed.cert_pwd_file) == (None, None)
