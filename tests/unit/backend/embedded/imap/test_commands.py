"""The table of commands agrees with RFC 3501."""

from __future__ import annotations

from mailfront.backend.embedded.imap.commands import BEFORE_LOGIN, COMMANDS, UID_COMMANDS


def test_every_command_of_rfc_3501_after_login_is_there() -> None:
    standard = b"""CAPABILITY NOOP LOGOUT SELECT EXAMINE CREATE DELETE RENAME SUBSCRIBE UNSUBSCRIBE
        LIST LSUB STATUS CHECK CLOSE EXPUNGE SEARCH FETCH STORE COPY"""
    # APPEND comes as a message literal, or as a command without one, which is an error.
    assert set(standard.split()) <= set(COMMANDS)
    assert {b"COPY", b"FETCH", b"STORE", b"SEARCH"} <= set(UID_COMMANDS)
    assert BEFORE_LOGIN.isdisjoint(COMMANDS)


def test_numbers_stay_while_fetch_store_and_search_are_answered() -> None:
    keeping = {name for name, rule in COMMANDS.items() if not rule.expunges}
    assert keeping == {b"FETCH", b"STORE", b"SEARCH"}
    assert all(rule.expunges for rule in UID_COMMANDS.values())


def test_commands_of_the_selected_state() -> None:
    needing = {name for name, rule in COMMANDS.items() if rule.needs_mailbox}
    assert needing == set(b"CHECK CLOSE COPY EXPUNGE FETCH MOVE SEARCH STORE UNSELECT".split())
    assert all(rule.needs_mailbox for rule in UID_COMMANDS.values())
