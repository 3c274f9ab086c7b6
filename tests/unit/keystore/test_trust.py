"""Trust flags: letters in, flags out, and back in one order."""

from __future__ import annotations

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.trust import TrustFlags, parse_trust


@pytest.mark.parametrize("letters", ["", "C", "T", "u", "CT", "Cu", "Tu", "CTu"])
def test_letters_survive_the_round_trip(letters: str) -> None:
    assert parse_trust(letters).letters == letters


def test_the_order_of_the_letters_does_not_matter() -> None:
    assert parse_trust("uTC") == parse_trust("CTu")


@pytest.mark.parametrize("letters", ["c", "P", "CT,,", "C T"])
def test_an_unknown_letter_is_refused_with_those_that_exist(letters: str) -> None:
    with pytest.raises(KeystoreError, match=r"C \(CA for servers\)"):
        parse_trust(letters)


def test_a_certificate_is_an_authority_only_by_C_or_T() -> None:  # noqa: N802 (the flags' names)
    assert parse_trust("C").is_authority
    assert parse_trust("Tu").is_authority
    assert not parse_trust("u").is_authority
    assert not TrustFlags.NONE.is_authority
