"""The arguments of each command."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.errors import ImapSyntaxError
from mailfront.protocol.imap import command
from mailfront.protocol.imap.command import StatusItem, StoreAction
from mailfront.protocol.imap.lexer import Cursor
from mailfront.protocol.imap.search_key import search_program


def test_inbox_comes_in_capitals_and_names_are_decoded() -> None:
    assert command.only_mailbox(Cursor(b"inbox")) == "INBOX"
    assert command.two_mailboxes(Cursor(b'"a b" &AOk-')) == ("a b", "é")


def test_list_joins_the_reference_with_the_pattern() -> None:
    assert command.list_arguments(Cursor(b'"" *')).pattern == "*"
    assert command.list_arguments(Cursor(b"a/ %")).pattern == "a/%"
    assert command.list_arguments(Cursor(b"a/ /b")).pattern == "b"
    assert command.list_arguments(Cursor(b'"" ""')).only_delimiter


def test_status_asks_for_items() -> None:
    assert command.status_arguments(Cursor(b"x (messages UIDNEXT messages)")) == (
        "x",
        (StatusItem.MESSAGES, StatusItem.UIDNEXT),
    )


@pytest.mark.parametrize(
    ("text", "action", "silent", "flags"),
    [
        (b"1 FLAGS (\\Seen $Junk)", StoreAction.REPLACE, False, ("\\Seen", "$Junk")),
        (b"1 +flags.silent \\Seen Work", StoreAction.ADD, True, ("\\Seen", "Work")),
        (b"1 -FLAGS ()", StoreAction.REMOVE, False, ()),
    ],
)
def test_store_adds_removes_or_replaces(
    text: bytes, action: StoreAction, silent: bool, flags: tuple[str, ...]
) -> None:
    arguments = command.store_arguments(Cursor(text))
    assert (arguments.action, arguments.silent, arguments.flags) == (action, silent, flags)


def test_append_takes_flags_and_a_date() -> None:
    plain = command.append_arguments(Cursor(b"INBOX "))
    assert (plain.flags, plain.received) == ((), None)
    full = command.append_arguments(Cursor(b'x (\\Seen) "17-Jul-1996 02:44:25 -0700" '))
    assert full.flags == ("\\Seen",)
    assert full.received is not None


def test_id_is_a_list_or_nil() -> None:
    assert command.id_arguments(Cursor(b"NIL")) == {}
    assert command.id_arguments(Cursor(b'("Name" "x" "os" NIL)')) == {b"name": b"x", b"os": None}


def test_enable_takes_names() -> None:
    assert command.enable_arguments(Cursor(b"condstore x")) == (b"CONDSTORE", b"X")


PARSERS: list[Callable[[Cursor], object]] = [
    command.no_arguments,
    command.only_mailbox,
    command.two_mailboxes,
    command.list_arguments,
    command.status_arguments,
    command.fetch_arguments,
    command.store_arguments,
    command.copy_arguments,
    command.message_set,
    command.append_arguments,
    command.enable_arguments,
    command.id_arguments,
    search_program,
]


@pytest.mark.parametrize(
    ("parser", "text"),
    [
        (command.no_arguments, b" "),
        (command.only_mailbox, b""),
        (command.only_mailbox, b"a b"),
        (command.list_arguments, b'""'),
        (command.list_arguments, b'(SPECIAL-USE) "" *'),
        (command.status_arguments, b"x ()"),
        (command.status_arguments, b"x (FOO)"),
        (command.store_arguments, b"1 FLAGS"),
        (command.store_arguments, b"1 *FLAGS x"),
        (command.store_arguments, b"1 FLAGS (" + b"k" * 256 + b")"),
        (command.append_arguments, b"x y "),
        (command.id_arguments, b'("a")'),
        (command.id_arguments, b"(" + b" ".join([b'"a" NIL'] * 31) + b")"),
        (command.id_arguments, b'"x"'),
        (command.enable_arguments, b""),
    ],
)
def test_malformed_arguments_are_refused(parser: Callable[[Cursor], object], text: bytes) -> None:
    with pytest.raises(ImapSyntaxError):
        parser(Cursor(text))


@given(
    st.sampled_from(PARSERS), st.binary(max_size=80) | st.text(' ()"{}1:*\\aFLAGS').map(str.encode)
)
def test_any_bytes_are_arguments_or_an_error(
    parser: Callable[[Cursor], object], text: bytes
) -> None:
    with contextlib.suppress(ImapSyntaxError):
        parser(Cursor(text))
