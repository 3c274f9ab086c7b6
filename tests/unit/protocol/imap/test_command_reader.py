"""Commands out of bytes: lines, literals of both kinds, and what is refused before it is read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailfront.protocol.imap.command_reader import (
    BadCommand,
    Command,
    CommandReader,
    Continuation,
    Event,
    LiteralPolicy,
    MessageLiteral,
)
from mailfront.protocol.receive_buffer import ReceiveBuffer

BEFORE_LOGIN = LiteralPolicy(in_memory=4096)
AFTER_LOGIN = LiteralPolicy(in_memory=1000, message=10_000, skipped=2_000)


def events_of(data: bytes, policy: LiteralPolicy = BEFORE_LOGIN, step: int = 0) -> list[Event]:
    """All events of `data`, fed in pieces of `step` octets; messages are taken and dropped."""
    reader, buffer, events = CommandReader(policy=policy), ReceiveBuffer(), []
    pieces = [data] if not step else [data[i : i + step] for i in range(0, len(data), step)]
    pending = 0
    for piece in pieces:
        buffer.feed(piece)
        while True:
            if pending:
                pending -= len(buffer.take_at_most(pending))
                if pending:
                    break
            event = reader.next(buffer)
            if event is None:
                break
            events.append(event)
            if isinstance(event, MessageLiteral):
                pending = event.size
    return events


def test_a_command_is_a_tag_a_name_in_any_case_and_arguments() -> None:
    assert events_of(b"a1 Login alice secret\r\n") == [Command(b"a1", b"LOGIN", b"alice secret")]
    assert events_of(b"a1 noop\n") == [Command(b"a1", b"NOOP", b"")]


def test_arguments_are_not_shown_because_they_may_be_passwords() -> None:
    assert "secret" not in repr(Command(b"a1", b"LOGIN", b"alice secret"))


def test_a_synchronising_literal_asks_for_leave_first() -> None:
    reader, buffer = CommandReader(policy=BEFORE_LOGIN), ReceiveBuffer(b"a LOGIN {5}\r\n")
    assert reader.next(buffer) == Continuation(b"a")
    assert reader.next(buffer) is None
    buffer.feed(b"alice {6}\r\n")
    assert reader.next(buffer) == Continuation(b"a")
    buffer.feed(b"secret\r\nb NOOP\r\n")
    assert reader.next(buffer) == Command(b"a", b"LOGIN", b"{5}\r\nalice {6}\r\nsecret")
    assert reader.next(buffer) == Command(b"b", b"NOOP", b"")


def test_it_is_known_whether_a_command_is_incomplete() -> None:
    reader, buffer, inside = CommandReader(policy=BEFORE_LOGIN), ReceiveBuffer(), []
    for piece in (b"a LOGIN {5}\r\n", b"al", b"ice x\r\n"):
        buffer.feed(piece)
        while reader.next(buffer) is not None:
            pass
        inside.append(reader.inside_command)
    assert inside == [True, True, False]


def test_a_non_synchronising_literal_is_simply_read() -> None:
    assert events_of(b"a LOGIN {5+}\r\nalice {0+}\r\n\r\n") == [
        Command(b"a", b"LOGIN", b"{5+}\r\nalice {0+}\r\n")
    ]


def test_a_literal_larger_than_allowed_is_refused_before_it_is_sent() -> None:
    assert events_of(b"a LOGIN {4097}\r\nb NOOP\r\n") == [
        BadCommand(b"a", b"[TOOBIG] Literal too large"),
        Command(b"b", b"NOOP", b""),
    ]


def test_the_bound_holds_for_all_literals_of_a_command_together() -> None:
    data = b"a LOGIN {4000+}\r\n" + b"x" * 4000 + b" {97+}\r\n" + b"x" * 97 + b"\r\nb NOOP\r\n"
    assert events_of(data) == [
        BadCommand(b"a", b"[TOOBIG] Literal too large"),
        Command(b"b", b"NOOP", b""),
    ]


def test_octets_of_a_refused_non_synchronising_literal_are_never_a_command() -> None:
    inside = b"x DELETE INBOX\r\n" * 100
    data = b"a SEARCH {%d+}\r\n%s\r\nb NOOP\r\n" % (len(inside), inside)
    for step in (0, 1, 7):
        assert events_of(data, AFTER_LOGIN, step) == [
            BadCommand(b"a", b"[TOOBIG] Literal too large"),
            Command(b"b", b"NOOP", b""),
        ]


def test_a_non_synchronising_literal_too_large_to_skip_closes_the_connection() -> None:
    reader = CommandReader(policy=BEFORE_LOGIN)
    assert reader.next(ReceiveBuffer(b"a LIST {300000000+}\r\n")) == BadCommand(
        b"a", b"[TOOBIG] Literal too large", close=True
    )


def test_many_refused_literals_in_one_command_close_the_connection_too() -> None:
    data = b"a SEARCH {9000+}\r\n" + b"x" * 9000 + b" {9000+}\r\n"
    assert events_of(data, AFTER_LOGIN)[0] == BadCommand(
        b"a", b"[TOOBIG] Literal too large", close=True
    )


def test_the_message_of_append_is_handed_over_unread() -> None:
    reader, buffer = CommandReader(policy=AFTER_LOGIN), ReceiveBuffer()
    buffer.feed(b"a APPEND {5+}\r\nINBOX (\\Seen) {9000}\r\n")
    event = reader.next(buffer)
    assert event == MessageLiteral(b"a", b"APPEND", b"{5+}\r\nINBOX (\\Seen) ", 9000, True)
    buffer.feed(b"m" * 9000 + b"\r\n")
    assert buffer.take(9000) is not None
    assert reader.next(buffer) == Command(b"a", b"APPEND", b"")


def test_a_message_over_the_limit_is_refused_with_no() -> None:
    assert events_of(b"a APPEND INBOX {10001}\r\nb NOOP\r\n", AFTER_LOGIN) == [
        BadCommand(b"a", b"[TOOBIG] Message larger than 10000 octets", b"NO"),
        Command(b"b", b"NOOP", b""),
    ]
    assert events_of(b"a APPEND INBOX {10001+}\r\n", AFTER_LOGIN) == [
        BadCommand(b"a", b"[TOOBIG] Message larger than 10000 octets", b"NO", close=True)
    ]


def test_a_caller_may_refuse_a_message_and_its_octets_pass_by() -> None:
    reader, buffer = CommandReader(policy=AFTER_LOGIN), ReceiveBuffer()
    buffer.feed(b"a APPEND nowhere {5+}\r\n")
    assert isinstance(reader.next(buffer), MessageLiteral)
    refusal = BadCommand(b"a", b"[TRYCREATE] No such mailbox", b"NO")
    reader.refuse(refusal)
    assert reader.next(buffer) is None
    buffer.feed(b"hello\r\nb NOOP\r\n")
    assert reader.next(buffer) == refusal
    assert reader.next(buffer) == Command(b"b", b"NOOP", b"")


def test_a_refused_synchronising_message_is_answered_at_once() -> None:
    reader, buffer = CommandReader(policy=AFTER_LOGIN), ReceiveBuffer(b"a APPEND x {5}\r\n")
    assert isinstance(reader.next(buffer), MessageLiteral)
    reader.refuse(BadCommand(b"a", b"no", b"NO"))
    assert reader.next(buffer) == BadCommand(b"a", b"no", b"NO")


def test_a_second_message_in_one_append_is_refused() -> None:
    data = b"a APPEND x {5+}\r\nhello {3+}\r\nabc\r\nb NOOP\r\n"
    assert events_of(data, AFTER_LOGIN)[1:] == [
        BadCommand(b"a", b"Only one message at a time"),
        Command(b"b", b"NOOP", b""),
    ]


def test_before_login_append_is_a_command_like_any_other() -> None:
    assert events_of(b"a APPEND x {5+}\r\nhello\r\n") == [
        Command(b"a", b"APPEND", b"x {5+}\r\nhello")
    ]


def test_nul_is_refused_in_lines_and_in_literals() -> None:
    assert events_of(b"a NO\0OP\r\n") == [BadCommand(b"a", b"NUL is not allowed in a command")]
    assert events_of(b"a LOGIN {1+}\r\n\0 x\r\nb NOOP\r\n") == [
        BadCommand(b"a", b"NUL is not allowed in a literal"),
        Command(b"b", b"NOOP", b""),
    ]


def test_a_line_over_the_limit_ends_the_session() -> None:
    reader, buffer = CommandReader(100, policy=BEFORE_LOGIN), ReceiveBuffer(b"a " + b"x" * 200)
    event = reader.next(buffer)
    assert isinstance(event, BadCommand)
    assert event.close
    assert len(buffer) == 0


def test_the_lines_around_literals_count_together() -> None:
    reader, buffer = CommandReader(100, policy=BEFORE_LOGIN), ReceiveBuffer()
    buffer.feed((b"a LOGIN " + b"x" * 40 + b" {1+}\r\n") + b"y" + b" " + b"x" * 60 + b"\r\n")
    event = reader.next(buffer)
    assert isinstance(event, BadCommand)
    assert event.close


def test_a_line_without_a_tag_is_answered_without_one() -> None:
    for line in (b"\r\n", b"(\r\n", b"a+b NOOP\r\n", b" NOOP\r\n"):
        assert events_of(line) == [BadCommand(b"*", b"Invalid tag")]
    assert events_of(b"a\r\n") == [BadCommand(b"a", b"Invalid command")]
    assert events_of(b"a  NOOP\r\n") == [BadCommand(b"a", b"Invalid command")]


def test_braces_that_announce_nothing_are_left_to_the_grammar() -> None:
    for end in (b"{}", b"{x}", b"{+}", b"5}", b"{12345678901234567890}"):
        assert events_of(b"a LOGIN " + end + b"\r\n") == [Command(b"a", b"LOGIN", end)]


PIECES = st.lists(
    st.sampled_from(
        [b"a ", b"LOGIN", b" ", b"\r\n", b"\n", b"{3}", b"{3+}\r\nabc", b"{0+}\r\n", b"\0", b"}",
         b"{5000+}\r\n", b"APPEND x ", b"{20+}\r\n", b'"', b"{99999999999+}\r\n", b"+", b"\xff"]
    )
).map(b"".join)  # fmt: skip


@given(PIECES | st.binary(max_size=200), st.sampled_from([BEFORE_LOGIN, AFTER_LOGIN]))
def test_the_same_bytes_make_the_same_events_whole_or_one_by_one(
    data: bytes, policy: LiteralPolicy
) -> None:
    def up_to_close(events: list[Event]) -> list[Event]:
        for index, event in enumerate(events):
            if isinstance(event, BadCommand) and event.close:
                return events[: index + 1]
        return events

    whole = up_to_close(events_of(data, policy))
    assert whole == up_to_close(events_of(data, policy, 1))
