"""Paths of MAIL and RCPT against the grammar of RFC 5321 section 4.1.2 and RFC 6531."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import SmtpRefusalError
from mailfront.protocol.smtp.address import (
    Mailbox,
    address_literal,
    is_hello_name,
    parse_address,
    parse_forward_path,
    parse_reverse_path,
)


@pytest.mark.parametrize(
    ("path", "mailbox"),
    [
        ("<alice@example.test>", Mailbox("alice", "example.test")),
        ("<Alice@EXAMPLE.Test>", Mailbox("Alice", "example.test")),
        ("  <alice@example.test>", Mailbox("alice", "example.test")),
        ("<a.b-c+d=e/f@x-y.example>", Mailbox("a.b-c+d=e/f", "x-y.example")),
        ('<"alice"@example.test>', Mailbox("alice", "example.test")),
        ('<"a b@c"@example.test>', Mailbox("a b@c", "example.test")),
        (r'<"a\"b\\c"@example.test>', Mailbox('a"b\\c', "example.test")),
        ("<@relay.example,@other.example:bob@example.test>", Mailbox("bob", "example.test")),
        ("<alice@[192.0.2.1]>", Mailbox("alice", "[192.0.2.1]")),
        ("<jürgen@müller.example>", Mailbox("jürgen", "müller.example")),
        ("<用户@例子.测试>", Mailbox("用户", "例子.测试")),
        ("<alice@localhost>", Mailbox("alice", "localhost")),
    ],
)
def test_paths_of_the_grammar_are_understood(path: str, mailbox: Mailbox) -> None:
    assert parse_reverse_path(path) == (mailbox, "")


@pytest.mark.parametrize(
    "path",
    [
        "", "<", ">", "alice@example.test", "<alice>", "<@example.test>", "<alice@>",
        "<.alice@example.test>", "<alice.@example.test>", "<al..ice@example.test>",
        "<alice@example..test>", "<alice@-example.test>", "<alice@example.test.>",
        "<alice@example.test", "<alice@@example.test>", "<alice example@test>",
        "<alice@exam ple.test>", '<"alice@example.test>', '<"al"ice"@example.test>',
        "<alice@[300.1.1.1]>", "<alice@[IPv6:::g]>", "<alice@[]>", "<alice@[tag:x]>",
        "<alice@example.test>SIZE=1", "<al\tice@example.test>", "<alice@example.test\x7f>",
        "<alice@exam_ple.test>", "<a<b>@example.test>", "<a,b@example.test>", "<a\u202eb@x.test>",
        "<a\u00a0b@x.test>", "<a\u0085b@x.test>", "< alice@example.test>", "<alice@example.test >",
        "<" + "a" * 65 + "@example.test>", "<a@" + "b." * 130 + "test>", "<a@" + "b" * 64 + ">",
        "<" + "ü" * 33 + "@example.test>",
    ],
)  # fmt: skip
def test_anything_else_is_refused(path: str) -> None:
    with pytest.raises(SmtpRefusalError) as sender:
        parse_reverse_path(path)
    assert (sender.value.code, sender.value.enhanced) == (501, "5.1.7")
    with pytest.raises(SmtpRefusalError) as recipient:
        parse_forward_path(path, "example.test")
    assert (recipient.value.code, recipient.value.enhanced) == (501, "5.1.3")


def test_the_null_reverse_path_is_nobody() -> None:
    assert parse_reverse_path("<> SIZE=100") == (None, "SIZE=100")


def test_there_is_no_null_forward_path() -> None:
    with pytest.raises(SmtpRefusalError):
        parse_forward_path("<>", "example.test")


@pytest.mark.parametrize("path", ["<Postmaster>", "<postmaster>", "<POSTMASTER>"])
def test_the_bare_postmaster_is_the_one_of_our_domain(path: str) -> None:
    assert parse_forward_path(path, "Example.Test")[0] == Mailbox("postmaster", "example.test")


def test_address_literals_have_one_spelling() -> None:
    assert str(parse_address("a@[IPV6:2001:DB8:0::1]")) == "a@[ipv6:2001:db8::1]"


def test_what_follows_the_path_is_returned() -> None:
    assert parse_reverse_path("<a@b.test> SIZE=1 BODY=7BIT")[1] == "SIZE=1 BODY=7BIT"


@pytest.mark.parametrize(
    ("local_part", "text"),
    [
        ("alice", "alice@x.test"),
        ("a b", '"a b"@x.test'),
        ('a"\\', r'"a\"\\"@x.test'),
        ("", '""@x.test'),
    ],
)
def test_an_address_is_quoted_only_where_it_must_be(local_part: str, text: str) -> None:
    assert str(Mailbox(local_part, "x.test")) == text


LOCAL_PARTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(LOCAL_PARTS)
def test_an_address_written_and_read_is_the_same(local_part: str) -> None:
    mailbox = Mailbox(local_part, "example.test")
    assert parse_address(str(mailbox)) == mailbox


@given(st.text(max_size=300))
def test_every_text_gives_a_mailbox_or_a_refusal(text: str) -> None:
    with suppress(SmtpRefusalError):
        parse_reverse_path(text)
    with suppress(SmtpRefusalError):
        parse_forward_path(text, "example.test")


@pytest.mark.parametrize("path", ["<" + "a." * 20000, "<@" + "a.b," * 9999, '<"' + "\\a" * 20000])
def test_hostile_lengths_cost_linear_time(path: str) -> None:
    with pytest.raises(SmtpRefusalError):
        parse_reverse_path(path)


@pytest.mark.parametrize(
    "name", ["client.example", "localhost", "MY_PC", "[192.0.2.1]", "[IPv6:::1]"]
)
def test_names_that_clients_say_hello_with(name: str) -> None:
    assert is_hello_name(name)


@pytest.mark.parametrize("name", ["", "a b", "x\r", "(comment)", "[", "a" * 256, "<a>", "é"])
def test_names_that_could_break_a_header(name: str) -> None:
    assert not is_hello_name(name)


def test_addresses_of_both_families_as_literals() -> None:
    assert address_literal("192.0.2.1") == "[192.0.2.1]"
    assert address_literal("2001:db8::1") == "[IPv6:2001:db8::1]"
