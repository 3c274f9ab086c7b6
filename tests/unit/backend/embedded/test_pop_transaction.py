from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailfront.backend.embedded.pop_transaction import (
    MOST_BAD_COMMANDS,
    Action,
    PopTransaction,
    Quit,
    Reply,
    Retrieve,
    multi_line,
    top_of,
)


@pytest.fixture
def transaction() -> PopTransaction:
    return PopTransaction(77, [3, 5, 9], [100, 200, 300])


def reply(action: Action) -> bytes:
    assert isinstance(action, Reply)
    return action.octets


def test_stat_counts_what_is_not_deleted(transaction: PopTransaction) -> None:
    assert reply(transaction.command(b"STAT")) == b"+OK 3 600\r\n"
    transaction.command(b"DELE 2")
    assert reply(transaction.command(b"stat")) == b"+OK 2 400\r\n"


def test_list_and_uidl_of_one_and_of_all(transaction: PopTransaction) -> None:
    assert reply(transaction.command(b"LIST 2")) == b"+OK 2 200\r\n"
    assert reply(transaction.command(b"UIDL 3")) == b"+OK 3 77.9\r\n"
    transaction.command(b"DELE 1")
    assert reply(transaction.command(b"LIST")).split(b"\r\n", 1)[1] == b"2 200\r\n3 300\r\n.\r\n"
    assert reply(transaction.command(b"UIDL")).split(b"\r\n", 1)[1] == b"2 77.5\r\n3 77.9\r\n.\r\n"


def test_retr_and_top_name_the_message(transaction: PopTransaction) -> None:
    assert transaction.command(b"RETR 2") == Retrieve(5, 200, None)
    assert transaction.command(b"TOP 3 0") == Retrieve(9, 300, 0)


def test_deletions_are_handed_out_by_quit_only(transaction: PopTransaction) -> None:
    transaction.command(b"DELE 3")
    transaction.command(b"DELE 1")
    assert transaction.command(b"QUIT") == Quit((3, 9))


def test_rset_forgets_deletions(transaction: PopTransaction) -> None:
    transaction.command(b"DELE 1")
    assert reply(transaction.command(b"RSET")).startswith(b"+OK")
    assert transaction.command(b"QUIT") == Quit(())


@pytest.mark.parametrize(
    "command", [b"RETR 0", b"RETR 4", b"RETR 9999999999", b"DELE 2", b"LIST 2", b"TOP 2 1"]
)
def test_a_message_that_is_not_there_is_refused_without_counting(
    transaction: PopTransaction, command: bytes
) -> None:
    transaction.command(b"DELE 2")
    for _ in range(MOST_BAD_COMMANDS + 1):
        assert reply(transaction.command(command)).startswith(b"-ERR ")
    assert not transaction.too_many_bad_commands


@pytest.mark.parametrize(
    "command",
    [
        b"",
        b" ",
        b"XYZZY",
        b"RETR",
        b"RETR x",
        b"RETR -1",
        b"RETR 1 2",
        b"TOP 1",
        b"STAT 1",
        b"\xff",
        b"QUIT now",
        b"RETR 99999999999",
        b"\0",
        b"USER alice",
        b"STLS",
    ],
)
def test_what_is_no_command_is_refused_and_counted(
    transaction: PopTransaction, command: bytes
) -> None:
    for _ in range(MOST_BAD_COMMANDS):
        assert not transaction.too_many_bad_commands
        assert reply(transaction.command(command)).startswith(b"-ERR ")
    assert transaction.too_many_bad_commands


def test_capabilities_are_those_that_work(transaction: PopTransaction) -> None:
    lines = reply(transaction.command(b"CAPA")).split(b"\r\n")
    assert lines[-2:] == [b".", b""]
    assert {b"TOP", b"UIDL", b"RESP-CODES", b"PIPELINING"} <= set(lines)


@given(st.binary(max_size=60))
def test_every_line_has_an_answer(line: bytes) -> None:
    action = PopTransaction(1, [1], [1]).command(line)
    if isinstance(action, Reply):
        assert action.octets.endswith(b"\r\n")
        assert action.octets.startswith((b"+OK", b"-ERR"))


PIECES = st.lists(
    st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"a"]), max_size=5).map(b"".join),
    max_size=8,
)


def received(data: bytes) -> bytes:
    """What a client makes of a multi-line answer: it reads to the first line that is a dot."""
    assert data.endswith(b"\r\n.\r\n") or data == b".\r\n"
    assert b"\r\n.\r\n" not in data[:-5]
    assert b"\n.\n" not in data
    assert b"\n.\r\n" not in data[:-4]
    lines = data[: -len(b".\r\n")].split(b"\r\n")
    return b"\r\n".join(line[1:] if line.startswith(b".") else line for line in lines)


@given(PIECES)
def test_a_client_gets_the_message_back_and_finds_its_end(pieces: list[bytes]) -> None:
    message = b"".join(pieces)
    expected = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    got = received(b"".join(multi_line(pieces)))
    # After a bare LF a dot is doubled for the sake of clients that take it for a line end.
    assert got == re.sub(rb"(?<!\r)\n\.", b"\n..", expected)


def top_expected(message: bytes, count: int) -> bytes:
    lines = message.splitlines(keepends=True)
    for place, line in enumerate(lines):
        if line in (b"\r\n", b"\n"):
            return b"".join(lines[: place + 1 + count])
    return message


NO_BARE_CR = st.lists(
    st.lists(st.sampled_from([b"\r\n", b"\n", b".", b"a", b"bcd"]), max_size=5).map(b"".join),
    max_size=8,
)


@given(NO_BARE_CR, st.integers(0, 4))
def test_top_is_the_header_and_so_many_lines(pieces: list[bytes], count: int) -> None:
    assert b"".join(top_of(pieces, count)) == top_expected(b"".join(pieces), count)


@given(NO_BARE_CR.map(b"".join), st.integers(0, 4))
def test_top_does_not_depend_on_how_the_message_is_cut(message: bytes, count: int) -> None:
    octets = [message[place : place + 1] for place in range(len(message))]
    assert b"".join(top_of(octets, count)) == top_expected(message, count)


def test_the_limit_of_bad_commands_is_the_administrators() -> None:
    transaction = PopTransaction(1, [1], [1], bad_command_limit=2)
    transaction.command(b"XYZZY")
    assert not transaction.too_many_bad_commands
    transaction.command(b"XYZZY")
    assert transaction.too_many_bad_commands
