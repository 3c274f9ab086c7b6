"""A CA's next revocation list: only a newer one takes the place of the present one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from mailfront.errors import KeystoreError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.revocation_installing import install_revocation_list, installed_lists
from tests.support.client_authority import NOW, ClientAuthority
from tests.support.keystores import new_token

STAFF = ClientAuthority()
HOUR = timedelta(hours=1)


@pytest.fixture
def token(tmp_path: Path) -> InternalToken:
    return new_token(tmp_path)


def install(token: InternalToken, octets: bytes, *, force: bool = False) -> None:
    install_revocation_list(token, STAFF.certificate, octets, NOW, force=force)


def present(token: InternalToken) -> list[tuple[int | None, int]]:
    """Number and entries of what is installed."""
    return [(found.number, found.entries) for _, found in installed_lists(token)]


def test_a_newer_list_takes_the_place_of_the_present_one(token: InternalToken) -> None:
    install(token, STAFF.revocation_list([5], number=1))
    install(token, STAFF.revocation_list([5, 7], number=2))
    assert present(token) == [(2, 2)]
    install(token, STAFF.revocation_list([5, 7], number=2))
    assert present(token) == [(2, 2)]


def test_an_older_list_is_refused_unless_it_is_forced(token: InternalToken) -> None:
    install(token, STAFF.revocation_list([5, 7], number=2))
    older = STAFF.revocation_list([5], number=1)
    with pytest.raises(KeystoreError, match=r"number 1, of .* is older than .*number 2"):
        install(token, older)
    assert present(token) == [(2, 2)]
    install(token, older, force=True)
    assert present(token) == [(1, 1)]


def test_without_numbers_the_dates_decide(token: InternalToken) -> None:
    install(token, STAFF.revocation_list([5], number=None, begins=NOW - HOUR))
    with pytest.raises(KeystoreError, match="is older"):
        install(token, STAFF.revocation_list(number=None, begins=NOW - 2 * HOUR))
    install(token, STAFF.revocation_list([5, 7], number=None, begins=NOW - HOUR / 2))
    assert present(token) == [(None, 2)]


def test_a_list_that_is_not_believed_changes_nothing(token: InternalToken) -> None:
    install(token, STAFF.revocation_list([5]))
    with pytest.raises(KeystoreError):
        install(token, ClientAuthority("Other CA").revocation_list(number=9), force=True)
    assert present(token) == [(1, 1)]


def test_a_list_that_was_altered_behind_our_back_may_be_replaced(token: InternalToken) -> None:
    install(token, STAFF.revocation_list([5]))
    with closing(sqlite3.connect(token.path)) as connection, connection:
        connection.execute("UPDATE revocation_list SET list = x'00'")
    with pytest.raises(KeystoreError):
        present(token)
    install(token, STAFF.revocation_list([5]))
    assert present(token) == [(1, 1)]
