"""Ticket keys that workers have from their supervisor."""

from __future__ import annotations

from mailfront.sharing.given_keys import GivenKeys, of_plain, plain
from mailfront.tls.session_tickets import TicketKey


def test_the_first_seals_and_all_open() -> None:
    given = GivenKeys()
    assert given.sealing_key() is None
    new, old = TicketKey(0), TicketKey(0)
    given.take([new, old])
    assert given.sealing_key() is new
    assert given.opening_key(old.name) is old
    assert given.opening_key(b"x" * 16) is None


def test_what_is_not_given_again_is_forgotten() -> None:
    given = GivenKeys()
    old = TicketKey(0)
    given.take([old])
    given.take([TicketKey(0)])
    assert given.opening_key(old.name) is None


def test_keys_come_over_as_they_were() -> None:
    keys = [TicketKey(0), TicketKey(0)]
    assert of_plain(plain(keys)) == keys
