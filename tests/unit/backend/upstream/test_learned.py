from __future__ import annotations

from mailfront.backend.upstream.learned import MOST_KNOWN, Learned
from mailfront.configuration.upstream_list import parse_upstream, parse_upstreams
from mailfront.protocol.upstream_login.capabilities import imap_offer

ONE, TWO = parse_upstreams("imap://127.0.0.1:1,imap://127.0.0.1:2", ("imap",))
OURS = b"IMAP4rev1 LITERAL+ SASL-IR ID"


def learned() -> Learned:
    made = Learned(imap_offer, OURS)
    made.follow([ONE, TWO], keeps_some_here=False)
    return made


def test_where_all_mailboxes_are_here_nothing_else_is_offered() -> None:
    made = Learned(imap_offer, OURS)
    made.follow([], keeps_some_here=True)
    assert made.offered() == ()


def test_until_anything_is_known_only_what_holds_anywhere_is_offered() -> None:
    assert b"LITERAL+" not in learned().offered()


def test_what_all_that_are_known_have_is_offered() -> None:
    made = learned()
    made.note(ONE, b"IMAP4rev1 LITERAL+ IDLE MOVE")
    assert {b"LITERAL+", b"IDLE", b"MOVE"} <= {*made.offered()}
    made.note(TWO, b"IMAP4rev1 LITERAL+ IDLE")
    assert b"MOVE" not in made.offered()
    made.note(TWO, b"")
    assert b"IDLE" in made.offered()


def test_mailboxes_here_have_a_say() -> None:
    made = learned()
    made.follow([ONE], keeps_some_here=True)
    made.note(ONE, b"IMAP4rev1 LITERAL+ IDLE")
    assert made.offered() == (b"IMAP4rev1", b"LITERAL+", b"SASL-IR", b"ID")


def test_an_upstream_that_is_configured_no_more_has_none() -> None:
    made = learned()
    made.note(ONE, b"IMAP4rev1 IDLE")
    made.note(TWO, b"IMAP4rev1")
    assert b"IDLE" not in made.offered()
    made.follow([ONE], keeps_some_here=False)
    assert b"IDLE" in made.offered()


def test_an_upstream_is_asked_when_it_is_new_and_then_seldom() -> None:
    made = learned()
    assert made.is_due(ONE, 100.0, 900.0)
    made.asked(ONE, 100.0)
    assert not made.is_due(ONE, 900.0, 900.0)
    assert made.is_due(ONE, 1001.0, 900.0)


def test_what_is_known_is_bounded() -> None:
    made = learned()
    made.note(ONE, b"IMAP4rev1")
    for number in range(MOST_KNOWN):
        made.note(parse_upstream(f"imap://127.0.0.1:{number + 10}", ("imap",)), b"IMAP4rev1 IDLE")
    assert b"IDLE" in made.offered()
