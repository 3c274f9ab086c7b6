"""Address lists of RFC 5322, and what is sent instead of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.mime.address import (
    TOKEN_LIMIT,
    Group,
    Mailbox,
    mailboxes,
    parse_addresses,
)


@given(st.binary(max_size=200) | st.text('a@b.<>,;:"\\()[] \r\n', max_size=60).map(str.encode))
def test_any_bytes_are_a_list_of_addresses(value: bytes) -> None:
    for address in mailboxes(parse_addresses(value)):
        assert len(address.address) <= len(value) + 1


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"a@b.c", Mailbox(b"", b"", b"a", b"b.c")),
        (b"<a@b.c>", Mailbox(b"", b"", b"a", b"b.c")),
        (b"A B <a@b.c>", Mailbox(b"A B", b"", b"a", b"b.c")),
        (b'"A, \\"B\\"" <a@b.c>', Mailbox(b'A, "B"', b"", b"a", b"b.c")),
        (b"John Q. Public <j@b.c>", Mailbox(b"John Q. Public", b"", b"j", b"b.c")),
        (b"a@b.c (Anna (x) B)", Mailbox(b"Anna (x) B", b"", b"a", b"b.c")),
        (b"a . b @ c . d", Mailbox(b"", b"", b"a.b", b"c.d")),
        (b'"a b"@c.d', Mailbox(b"", b"", b"a b", b"c.d")),
        (b"a@[192.0.2.1]", Mailbox(b"", b"", b"a", b"[192.0.2.1]")),
        (b"<@x.y,@z:a@b.c>", Mailbox(b"", b"@x.y,@z", b"a", b"b.c")),
        (b"nobody", Mailbox(b"", b"", b"nobody", None)),
        (b"<>", Mailbox(b"", b"", b"", None)),
        (b"J\xfcrgen <j@b.c>", Mailbox(b"J\xfcrgen", b"", b"j", b"b.c")),
        (b"A <a@b.c", Mailbox(b"A", b"", b"a", b"b.c")),
    ],
)
def test_one_mailbox(value: bytes, expected: Mailbox) -> None:
    assert parse_addresses(value) == [expected]


def test_a_list_keeps_its_order_and_drops_empty_places() -> None:
    found = parse_addresses(b"a@b, ,\r\n c@d,")
    assert [address.address for address in mailboxes(found)] == [b"a@b", b"c@d"]


def test_groups_hold_their_members() -> None:
    group, single = parse_addresses(b"Friends: a@b, C <c@d>; , e@f")
    assert isinstance(group, Group)
    assert group.name == b"Friends"
    assert [member.address for member in group.members] == [b"a@b", b"c@d"]
    assert isinstance(single, Mailbox)
    assert parse_addresses(b"undisclosed-recipients:;") == [Group(b"undisclosed-recipients", ())]


def test_a_comment_does_not_name_the_next_mailbox() -> None:
    assert [address.name for address in mailboxes(parse_addresses(b"a@b (A), c@d"))] == [b"A", b""]


def test_comments_may_stand_between_all_pieces() -> None:
    (pete,) = mailboxes(parse_addresses(b"Pete(A nice \\) chap) <pete(his account)@silly.test(x)>"))
    assert pete == Mailbox(b"Pete", b"", b"pete", b"silly.test")


def test_an_endless_list_is_cut_off() -> None:
    assert len(parse_addresses(b"a," * (10 * TOKEN_LIMIT))) == TOKEN_LIMIT // 2
