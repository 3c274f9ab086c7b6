"""The registry as a whole."""

import re

import pytest

from mailfront.configuration.option import Option
from mailfront.configuration.registry import GROUPS, REGISTRY
from mailfront.errors import ConfigurationError


@pytest.mark.parametrize("option", REGISTRY, ids=lambda option: option.name)
def test_every_option_has_a_valid_default_and_a_help_that_teaches(option: Option) -> None:
    assert option.canonical(option.default) == option.default
    # The original's names of SASL options have underscores.
    assert re.fullmatch(r"[a-z0-9]+(\.[a-z0-9_]+)+", option.name)
    assert len(option.help) > 25
    assert option.help.endswith(".")
    assert option.help.isprintable()
    assert re.fullmatch(r"\d+\.\d+", option.since)


def test_every_option_is_in_one_group() -> None:
    grouped = [option.name for _, options in GROUPS for option in options]
    assert sorted(grouped) == list(REGISTRY.names())
    assert len(grouped) == len(REGISTRY)


def test_an_unknown_name_of_an_operator_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        REGISTRY.find("service.imap.sslprot")
    assert caught.value.remedy == "did you mean service.imap.sslport?"


def test_an_unknown_name_unlike_any_other_is_answered_with_how_to_list_them() -> None:
    with pytest.raises(ConfigurationError, match="lists all options"):
        REGISTRY.find("xyzzy")


def test_an_unknown_name_of_the_program_is_a_programming_error() -> None:
    with pytest.raises(KeyError):
        REGISTRY["service.imap.nothing"]


def test_options_are_found_by_the_beginning_of_their_names() -> None:
    names = [option.name for option in REGISTRY.beginning_with("local.imap.")]
    assert names == [
        "local.imap.fallbacknicknames",
        "local.imap.nsssl3ciphers",
        "local.imap.sessiontickets",
        "local.imap.sslnicknames",
        "local.imap.tlsmaxversion",
        "local.imap.tlsminversion",
        "local.imap.tlsprofile",
    ]


def test_what_is_in_a_registry_can_be_asked() -> None:
    assert "service.imap.port" in REGISTRY
    assert "service.imap" not in REGISTRY
