"""Sealing: only the same key and the same statement open what was sealed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.interfaces.secret import Secret
from mailfront.keystore.sealing import (
    TODAYS_COST,
    DerivationCost,
    SealedDataKey,
    SealError,
    binding,
    new_data_key,
    open_data_key,
)

CHEAP = DerivationCost(n=2, r=1, p=1)
PASSWORD = Secret("a password")
STORED, KEYS = new_data_key(PASSWORD, CHEAP)


def test_the_right_password_opens_the_same_keys() -> None:
    assert open_data_key(STORED, PASSWORD) == KEYS


def test_a_wrong_password_opens_nothing() -> None:
    with pytest.raises(SealError):
        open_data_key(STORED, Secret("another"))


@pytest.mark.parametrize("field", ["identity", "salt", "sealed"])
def test_a_changed_byte_in_the_stored_data_key_opens_nothing(field: str) -> None:
    fields = {"identity": STORED.identity, "salt": STORED.salt, "sealed": STORED.sealed}
    fields[field] = bytes([fields[field][0] ^ 1]) + fields[field][1:]
    altered = SealedDataKey(fields["identity"], fields["salt"], CHEAP, fields["sealed"])
    with pytest.raises(SealError):
        open_data_key(altered, PASSWORD)


def test_parameters_that_would_exhaust_the_memory_are_refused_unused() -> None:
    hostile = DerivationCost(n=1 << 40, r=8, p=1)
    with pytest.raises(SealError, match="out of bounds"):
        open_data_key(SealedDataKey(STORED.identity, STORED.salt, hostile, b""), PASSWORD)


def test_todays_cost_is_acceptable_and_takes_128_mebibytes() -> None:
    assert TODAYS_COST.is_acceptable()
    assert TODAYS_COST.memory() // 2**20 == 128


def test_two_databases_with_the_same_password_share_no_key() -> None:
    _, other = new_data_key(PASSWORD, CHEAP)
    assert other.sealing != KEYS.sealing
    assert other.authentication != KEYS.authentication


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_what_is_sealed_opens_with_its_statement(plaintext: bytes, statement: bytes) -> None:
    assert KEYS.unseal(KEYS.seal(plaintext, statement), statement) == plaintext


@given(st.data())
def test_any_changed_byte_of_what_is_sealed_is_detected(data: st.DataObject) -> None:
    sealed = bytearray(KEYS.seal(b"a private key", b"statement"))
    position = data.draw(st.integers(0, len(sealed) - 1))
    sealed[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(SealError):
        KEYS.unseal(bytes(sealed), b"statement")


@given(st.binary(max_size=40))
def test_what_was_never_sealed_does_not_open(octets: bytes) -> None:
    with pytest.raises(SealError):
        KEYS.unseal(octets, b"statement")


def test_a_tag_belongs_to_one_statement_and_one_sealed_key() -> None:
    tag = KEYS.tag(b"statement", b"sealed")
    KEYS.check_tag(tag, b"statement", b"sealed")
    for statement, sealed in ((b"statement2", b"sealed"), (b"statement", b"sealed2")):
        with pytest.raises(SealError):
            KEYS.check_tag(tag, statement, sealed)


@given(st.lists(st.binary(max_size=5)), st.lists(st.binary(max_size=5)))
def test_different_fields_are_never_bound_to_the_same_bytes(
    some: list[bytes], others: list[bytes]
) -> None:
    assert (binding(*some) == binding(*others)) == (some == others)


def test_keys_do_not_appear_when_printed() -> None:
    assert repr(KEYS.sealing)[2:-1] not in repr(KEYS)
