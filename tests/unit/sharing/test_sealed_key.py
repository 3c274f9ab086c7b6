"""A ticket key as it lies in the store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.interfaces.secret import Secret
from mailfront.sharing.sealed_key import KeySeal, SharedKey
from mailfront.sharing.site_secret import SiteSecret
from mailfront.tls.session_tickets import TicketKey

SEAL = KeySeal(SiteSecret(Secret("s" * 32)))
SHARED = SharedKey(1000.5, TicketKey(1000.5))


def test_what_was_sealed_opens_under_its_name() -> None:
    assert SEAL.open("name", SEAL.seal("name", SHARED)) == SHARED


def test_it_opens_under_no_other_name_and_for_no_other_site() -> None:
    sealed = SEAL.seal("name", SHARED)
    assert SEAL.open("another", sealed) is None
    assert KeySeal(SiteSecret(Secret("t" * 32))).open("name", sealed) is None


def test_nothing_of_the_key_is_seen_and_no_two_entries_are_alike() -> None:
    one, other = SEAL.seal("name", SHARED), SEAL.seal("name", SHARED)
    assert one != other
    for part in (SHARED.key.name, SHARED.key.authentication, SHARED.key.encryption):
        assert part not in one


@pytest.mark.parametrize("place", [0, 1, 20, 60, -1])
def test_a_changed_octet_is_told(place: int) -> None:
    sealed = bytearray(SEAL.seal("name", SHARED))
    sealed[place] ^= 1
    assert SEAL.open("name", bytes(sealed)) is None


@given(st.binary(max_size=200))
def test_any_octets_are_no_key(octets: bytes) -> None:
    assert SEAL.open("name", octets) is None


@given(st.integers(0, 116))
def test_a_part_of_an_entry_is_no_key(length: int) -> None:
    sealed = SEAL.seal("name", SHARED)
    assert SEAL.open("name", sealed[:length]) is None
    assert SEAL.open("name", sealed + b"x") is None
