from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.upstream_login.capabilities import imap_offer, passed_on, pop_offer

DOVECOT = b"IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS AUTH=PLAIN"
CYRUS = b"IMAP4rev1 LITERAL- ID ENABLE COMPRESS=DEFLATE STARTTLS LOGINDISABLED"


def test_what_is_ours_to_say_is_not_passed_on() -> None:
    assert passed_on(DOVECOT) == b"IMAP4rev1 SASL-IR ID ENABLE IDLE LITERAL+"
    assert passed_on(CYRUS) == b"IMAP4rev1 LITERAL- ID ENABLE COMPRESS=DEFLATE"


def test_what_all_of_them_have_is_offered() -> None:
    assert imap_offer([DOVECOT]) == (
        b"IMAP4rev1", b"LITERAL+", b"SASL-IR", b"ID", b"ENABLE", b"IDLE",
    )  # fmt: skip
    assert imap_offer([DOVECOT, CYRUS]) == (
        b"IMAP4rev1", b"LITERAL-", b"SASL-IR", b"ID", b"ENABLE",
    )  # fmt: skip


def test_with_nothing_known_only_what_is_ours_is_offered() -> None:
    assert imap_offer([]) == (b"IMAP4rev1", b"SASL-IR", b"ID")
    assert pop_offer([]) == (b"AUTH-RESP-CODE",)


def test_pop_values_count_where_all_say_the_same() -> None:
    one = b"TOP\r\nUIDL\r\nRESP-CODES\r\nPIPELINING\r\nEXPIRE 30\r\nLOGIN-DELAY 60\r\nSASL PLAIN"
    two = b"TOP\r\nUIDL\r\nEXPIRE NEVER\r\nLOGIN-DELAY 60"
    assert pop_offer([one]) == (
        b"TOP", b"UIDL", b"RESP-CODES", b"PIPELINING", b"AUTH-RESP-CODE", b"EXPIRE 30",
        b"LOGIN-DELAY 60",
    )  # fmt: skip
    assert pop_offer([one, two]) == (b"TOP", b"UIDL", b"AUTH-RESP-CODE", b"LOGIN-DELAY 60")


@given(st.lists(st.binary(max_size=200), max_size=3))
def test_whatever_upstreams_announce_no_reply_of_ours_is_broken_by_it(known: list[bytes]) -> None:
    for offer in (imap_offer(known), pop_offer(known)):
        for word in offer:
            assert word.isascii()
            assert not set(word) & set(b"\r\n[]")
