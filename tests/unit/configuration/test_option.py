"""One option's record."""

import pytest

from mailfront.configuration.option import Effect, Option
from mailfront.configuration.option_types import BadValueError, Boolean

OPTION = Option("service.imap.enable", Boolean(), "yes", "Whether IMAP is served.")


def test_the_default_is_given_as_a_value() -> None:
    assert OPTION.default_value is True


def test_the_canonical_text_is_what_the_type_prints() -> None:
    assert OPTION.canonical("OFF") == "no"
    with pytest.raises(BadValueError):
        OPTION.canonical("perhaps")


def test_an_option_counts_from_the_next_start_unless_it_says_otherwise() -> None:
    assert OPTION.effect is Effect.RESTART
    assert "started again" in Effect.RESTART.sentence
    assert "running server" in Effect.LIVE.sentence
