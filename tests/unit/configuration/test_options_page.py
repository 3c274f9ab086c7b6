"""The texts made from the registry are the ones in the repository."""

from itertools import pairwise
from pathlib import Path

import pytest

from mailfront.configuration.msg_conf import Configuration
from mailfront.configuration.option_lines import parse_option_lines
from mailfront.configuration.options_page import (
    DEFAULT_FILE,
    PAGE,
    default_msg_conf,
    main,
    options_page,
)
from mailfront.configuration.registry import REGISTRY

CHECKOUT = Path(__file__).parents[3]
REMEDY = "run: python -m mailfront.configuration.options_page ."


def test_the_options_page_is_current() -> None:
    assert (CHECKOUT / PAGE).read_text() == options_page(), REMEDY


def test_the_default_msg_conf_is_current() -> None:
    assert (CHECKOUT / DEFAULT_FILE).read_text() == default_msg_conf(), REMEDY


def test_the_page_has_a_row_and_the_help_of_every_option() -> None:
    page = options_page()
    for option in REGISTRY:
        assert page.count(f"| `{option.name}` |") == 1
        assert option.help in page


def test_the_default_msg_conf_sets_nothing_but_shows_every_option() -> None:
    parsed = parse_option_lines(default_msg_conf().encode())
    assert parsed.settings == ()
    assert parsed.faults == ()


def test_every_option_set_in_the_default_msg_conf_stands_behind_its_comment() -> None:
    parsed = parse_option_lines(default_msg_conf().encode())
    defaults = {option.name: option.default for option in REGISTRY}
    lines = parsed.changed(dict(defaults)).decode().splitlines()
    for line, following in pairwise(lines):
        if line.startswith("#") and " = " in line and line[1:2].isalpha():
            assert following == line[1:]
    settings = parse_option_lines("\n".join(lines).encode()).settings
    assert {setting.name: setting.text for setting in settings} == defaults
    Configuration.of(defaults)


def test_the_generator_writes_both_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "config").mkdir()
    monkeypatch.setattr("sys.argv", ["options_page", str(tmp_path)])
    main()
    assert (tmp_path / PAGE).read_text() == options_page()
    assert (tmp_path / DEFAULT_FILE).read_text() == default_msg_conf()
