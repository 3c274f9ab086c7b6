"""Rows: every column is covered, and belongs to one database."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.records import NewEntry
from mailfront.keystore.rows import Row, sealed_row, verified_record
from mailfront.keystore.sealing import SealError, new_data_key
from mailfront.keystore.trust import TrustFlags
from tests.support.keystores import CHEAP, PASSWORD, authority, issued_by, self_signed

_, KEYS = new_data_key(PASSWORD, CHEAP)
_, OTHER_KEYS = new_data_key(PASSWORD, CHEAP)
CA_KEY, CA = authority()
LEAF_KEY, LEAF = issued_by(CA_KEY, CA, "mail.example.test")
ROW = sealed_row(NewEntry("imap-cert", (LEAF, CA), LEAF_KEY, TrustFlags.USER), KEYS)


def flipped(octets: bytes) -> bytes:
    middle = len(octets) // 2
    return octets[:middle] + bytes([octets[middle] ^ 1]) + octets[middle + 1 :]


def test_a_row_becomes_the_record_that_was_stored() -> None:
    record = verified_record(ROW, KEYS)
    assert (record.nickname, record.certificate, record.chain) == ("imap-cert", LEAF, (CA,))
    assert record.has_key
    assert record.trust == TrustFlags.USER


@pytest.mark.parametrize(
    "changes",
    [
        {"nickname": "pop-cert"},
        {"trust": "CTu"},
        {"trust": ""},
        {"public_key": flipped(ROW.public_key)},
        {"certificate": flipped(ROW.certificate or b"")},
        {"chain": flipped(ROW.chain)},
        {"chain": b""},
        {"sealed_key": flipped(ROW.sealed_key or b"")},
        {"sealed_key": None},
        {"tag": flipped(ROW.tag)},
        {"tag": b""},
        {"nickname": b"imap-cert"},
        {"certificate": 5},
    ],
)
def test_any_altered_column_is_detected(changes: dict[str, Any]) -> None:
    with pytest.raises(SealError):
        verified_record(replace(ROW, **changes), KEYS)


def test_a_key_does_not_open_under_another_statement() -> None:
    other_key, other = self_signed("pop.example.test")
    other_row = sealed_row(NewEntry("pop-cert", (other,), other_key, TrustFlags.USER), KEYS)
    with pytest.raises(SealError):
        KEYS.unseal(ROW.sealed_key or b"", other_row.statement(KEYS.identity))


def test_a_row_of_another_database_is_refused() -> None:
    with pytest.raises(SealError):
        verified_record(ROW, OTHER_KEYS)


def test_a_key_that_is_not_the_certificates_is_refused() -> None:
    stranger, _ = self_signed()
    with pytest.raises(KeystoreError, match="not the one of the certificate"):
        sealed_row(NewEntry("imap-cert", (LEAF,), stranger, TrustFlags.USER), KEYS)


def test_an_entry_without_certificate_is_refused() -> None:
    with pytest.raises(KeystoreError, match="no certificate"):
        sealed_row(NewEntry("imap-cert", (), LEAF_KEY, TrustFlags.USER), KEYS)


def test_the_private_key_is_not_in_the_row_in_clear() -> None:
    secret_number = LEAF_KEY.private_numbers().private_value.to_bytes(32)
    assert all(secret_number not in bytes(repr(value), "latin-1") for value in vars_of(ROW))
    assert secret_number not in (ROW.sealed_key or b"")


def vars_of(row: Row) -> list[object]:
    return [row.nickname, row.trust, row.public_key, row.certificate, row.chain, row.tag]
