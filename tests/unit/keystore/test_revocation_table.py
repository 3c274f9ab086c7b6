"""Revocation lists in the database: what is written is read, and nothing that others wrote."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.revocation_lists import authority_key
from tests.support.client_authority import ClientAuthority
from tests.support.keystores import new_token

STAFF, OTHERS = ClientAuthority(), ClientAuthority("Other CA")
FIRST, SECOND = STAFF.revocation_list([5]), STAFF.revocation_list([5, 7], number=2)
KEY = authority_key(STAFF.certificate)


@pytest.fixture
def token(tmp_path: Path) -> InternalToken:
    return new_token(tmp_path)


def put(token: InternalToken, authority: ClientAuthority, content: bytes) -> None:
    with token.change() as step:
        step.revocation_lists.put(authority.certificate, content)


def read(token: InternalToken) -> list[bytes]:
    """The lists, proved, as the server reads them."""
    with token.revocation_lists() as table:
        rows = [table.read(stored.issuer) for stored in table.stored()]
    return [row[1] for row in rows if row is not None]


def test_a_list_is_stored_and_replaced_and_removed(token: InternalToken) -> None:
    assert read(token) == []
    put(token, STAFF, FIRST)
    put(token, OTHERS, OTHERS.revocation_list())
    put(token, STAFF, SECOND)
    assert SECOND in read(token)
    assert len(read(token)) == 2
    with token.change() as step:
        assert step.revocation_lists.remove(KEY)
        assert not step.revocation_lists.remove(KEY)
    assert SECOND not in read(token)
    with token.revocation_lists() as table:
        assert table.read(KEY) is None
        assert table.issuers() == [authority_key(OTHERS.certificate)]


def test_lists_are_no_entries_and_miss_none(token: InternalToken) -> None:
    put(token, STAFF, FIRST)
    inventory = token.inventory()
    assert (inventory.records, inventory.missing, token.nicknames()) == ((), (), ())


def test_what_differs_tells_whether_the_list_changed(token: InternalToken) -> None:
    tags = []
    for content in (FIRST, FIRST, SECOND):
        put(token, STAFF, content)
        with token.revocation_lists() as table:
            tags += [stored.tag for stored in table.stored()]
    assert tags[0] == tags[1] != tags[2]


def _old_row(connection: sqlite3.Connection, old: tuple[bytes, ...]) -> None:
    connection.execute("REPLACE INTO revocation_list VALUES (?, ?, ?, ?)", old)


TAMPERINGS: dict[str, Callable[[sqlite3.Connection, tuple[bytes, ...]], object]] = {
    "removed": lambda connection, old: connection.execute("DELETE FROM revocation_list"),
    "an older one put back": _old_row,
    "another content": lambda connection, old: connection.execute(
        "UPDATE revocation_list SET list = ?", (old[2],)
    ),
    "another authority": lambda connection, old: connection.execute(
        "UPDATE revocation_list SET authority = x'00'"
    ),
    "another tag": lambda connection, old: connection.execute(
        "UPDATE revocation_list SET tag = zeroblob(32)"
    ),
    "another issuer": lambda connection, old: connection.execute(
        "UPDATE revocation_list SET issuer = zeroblob(32)"
    ),
}


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_a_list_that_was_altered_removed_or_put_back_is_an_error(
    token: InternalToken, tampering: str
) -> None:
    put(token, STAFF, FIRST)
    with closing(sqlite3.connect(token.path)) as connection, connection:
        old = connection.execute("SELECT * FROM revocation_list").fetchone()
    put(token, STAFF, SECOND)
    with closing(sqlite3.connect(token.path)) as connection, connection:
        TAMPERINGS[tampering](connection, old)
    with pytest.raises(KeystoreError, match=r"revocation list was (altered|removed)"):
        read(token)
    with token.change() as step:
        for issuer in (KEY, bytes(32)):
            step.revocation_lists.remove(issuer)
    put(token, STAFF, SECOND)
    assert read(token) == [SECOND]
