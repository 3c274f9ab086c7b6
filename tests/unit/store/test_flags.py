from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.store import flags
from mailfront.store.flags import FlagSet, bits_of_letters, letters_of_bits


@given(st.integers(0, 63))
def test_bits_come_back_from_letters(bits: int) -> None:
    assert bits_of_letters(letters_of_bits(bits)) == bits


def test_letters_stand_in_ascii_order_and_foreign_ones_are_kept() -> None:
    assert letters_of_bits(flags.SEEN | flags.DRAFT, "bFa") == "DSab"


def test_names_of_system_flags_are_read_in_any_case() -> None:
    assert FlagSet.of(["\\seen", "\\DRAFT", "Label"]) == (
        flags.SEEN | flags.DRAFT,
        frozenset({"Label"}),
    )


@pytest.mark.parametrize("name", ["\\Recent", "\\*", "\\Unknown"])
def test_a_system_flag_that_cannot_be_set_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not a flag"):
        FlagSet.of([name])


def test_names_for_an_answer_have_system_flags_first() -> None:
    flag_set = FlagSet.of(["zeta", "\\Seen", "alpha", "\\Answered"])
    assert flag_set.names() == ["\\Answered", "\\Seen", "alpha", "zeta"]
