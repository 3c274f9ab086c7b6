"""Commands out of received bytes: lines and their literals, each judged before it is read.

`CommandReader.next` takes the receive buffer and returns the next event, or None when more bytes
are needed. Both kinds of literal are understood, the synchronising `{n}` and the non-synchronising
`{n+}` (RFC 7888). A literal that may not be read is never stored: if the client waits for leave,
it gets the refusal instead; if its octets are under way they are skipped as they arrive, or, when
there are too many, the connection is to be closed (RFC 7888 §4).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from mailfront.errors import LineTooLongError
from mailfront.protocol.imap.lexer import is_command_name, is_tag
from mailfront.protocol.receive_buffer import ReceiveBuffer

# RFC 9051 §4 and RFC 7162 §4 advise 64 KiB for servers.
LINE_LIMIT = 64 * 1024
_MAXIMUM_DIGITS = 19
# The parts of a command's text after one literal: its line, CRLF and its octets.
_ONE_LITERAL = 3


@dataclass(frozen=True, slots=True)
class LiteralPolicy:
    """How large literals may be, in octets.

    `in_memory` bounds all literals of one command together that are kept until the command is
    complete. `message` bounds the message of APPEND, which is never kept: the caller takes it
    from the buffer; 0 treats it like any other literal. `skipped` is up to where the octets of a
    refused non-synchronising literal are skipped rather than the connection closed.
    """

    in_memory: int
    message: int = 0
    skipped: int = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """A complete command. `name` is in capitals; `arguments` is the text after the name without
    the blank, for a `Cursor`. After a `MessageLiteral`, `arguments` is only what followed it."""

    tag: bytes
    name: bytes
    arguments: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Continuation:
    """The client waits for leave to send a literal: send `+` and go on."""

    tag: bytes


@dataclass(frozen=True, slots=True)
class MessageLiteral:
    """APPEND has come to its message, of `size` octets. `arguments` is the text before it.

    The caller either takes exactly `size` octets from the buffer itself (after a `+` if
    `synchronising`), or calls `CommandReader.refuse`; then it goes on with `next`.
    """

    tag: bytes
    name: bytes
    arguments: bytes = field(repr=False)
    size: int = 0
    synchronising: bool = True


@dataclass(frozen=True, slots=True)
class BadCommand:
    """A command that is answered by `tag condition text` without being looked at further.

    `tag` is `*` where no tag could be read. With `close`, the connection cannot go on.
    """

    tag: bytes
    text: bytes
    condition: bytes = b"BAD"
    close: bool = False


Event = Command | Continuation | MessageLiteral | BadCommand


class CommandReader:
    """Reads one command after the other; holds at most one incomplete command."""

    __slots__ = (
        "_awaited", "_deliver", "_line_limit", "_message", "_octets", "_parts", "_policy",
        "_refusal", "_size", "_skip", "_tag",
    )  # fmt: skip

    def __init__(self, line_limit: int = LINE_LIMIT, *, policy: LiteralPolicy) -> None:
        self._line_limit = line_limit
        self._policy = policy
        self._reset()

    def _reset(self) -> None:
        self._tag = b"*"
        self._parts: list[bytes] = []  # the text of the command so far
        self._size = 0  # octets of its lines, without literals
        self._octets = 0  # octets of its literals
        self._awaited = 0  # octets of the literal that is being read
        self._skip = 0  # octets still to be thrown away
        self._message: MessageLiteral | None = None
        self._refusal: BadCommand | None = None  # the answer, whatever else the command holds
        self._deliver = False  # whether the answer is due before the command's end

    @property
    def inside_command(self) -> bool:
        """Whether a command has begun and is not complete."""
        return self._size > 0

    def next(self, buffer: ReceiveBuffer) -> Event | None:
        """The next event, or None if `buffer` must receive more first."""
        while not self._deliver:
            if not self._pass_octets(buffer):
                return None
            try:
                line = buffer.next_line(self._line_limit - self._size)
            except LineTooLongError:
                self._give_up(BadCommand(self._tag, b"Command line too long", close=True))
                break
            if line is None:
                return None
            event = self._line(line)
            if event is not None:
                return event
        refusal = self._refusal
        self._reset()
        return refusal

    def refuse(self, refusal: BadCommand) -> None:
        """Answer the `MessageLiteral` just returned by `refusal`, which `next` gives back as soon
        as the octets that are under way have passed. None of them may have been taken."""
        message = self._message
        assert message is not None
        self._refusal = refusal
        self._refuse_literal(message.size, synchronising=message.synchronising)

    def _pass_octets(self, buffer: ReceiveBuffer) -> bool:
        if self._skip:
            self._skip -= len(buffer.take_at_most(self._skip))
            return not self._skip
        if self._awaited:
            literal = buffer.take(self._awaited)
            if literal is None:
                return False
            self._awaited = 0
            self._parts.append(literal)
            if b"\0" in literal:
                self._refusal = BadCommand(self._tag, b"NUL is not allowed in a literal")
        return True

    def _line(self, line: bytes) -> Event | None:
        if not self._size:
            self._tag = _tag_of(line)
        self._size += len(line)
        if b"\0" in line and self._refusal is None:
            self._refusal = BadCommand(self._tag, b"NUL is not allowed in a command")
        announced = _announced_literal(line)
        if announced is not None:
            size, synchronising = announced
            return self._literal(line, size, synchronising=synchronising)
        event = self._complete(line)
        self._reset()
        return event

    def _complete(self, line: bytes) -> Event:
        if self._refusal is not None:
            return self._refusal
        if self._message is not None:
            return Command(self._message.tag, self._message.name, line)
        return _command(b"".join([*self._parts, line]))

    def _literal(self, line: bytes, size: int, *, synchronising: bool) -> Event | None:
        self._octets += size
        if self._message is not None and self._refusal is None:
            self._refusal = BadCommand(self._tag, b"Only one message at a time")
        # The message of APPEND is the first or, after the mailbox name, the second literal.
        if self._refusal is None and self._policy.message and len(self._parts) <= _ONE_LITERAL:
            message = self._message_literal(line, size, synchronising=synchronising)
            if message is not None:
                return message
        if self._refusal is None and self._octets > self._policy.in_memory:
            self._refusal = BadCommand(self._tag, b"[TOOBIG] Literal too large")
        if self._refusal is not None:
            self._refuse_literal(size, synchronising=synchronising)
            return None
        self._parts += [line, b"\r\n"]
        self._awaited = size
        return Continuation(self._tag) if synchronising else None

    def _message_literal(
        self, line: bytes, size: int, *, synchronising: bool
    ) -> MessageLiteral | None:
        """The event for the message of APPEND; None if this literal is something else, be it
        the mailbox name or a message that is too large."""
        command = _command(b"".join([*self._parts, line]))
        if not isinstance(command, Command) or command.name != b"APPEND":
            return None
        before = command.arguments[: command.arguments.rfind(b"{")]
        if not before:
            return None
        self._parts.clear()
        if size > self._policy.message:
            text = b"[TOOBIG] Message larger than %d octets" % self._policy.message
            self._refusal = BadCommand(self._tag, text, b"NO")
            return None
        self._message = MessageLiteral(self._tag, command.name, before, size, synchronising)
        return self._message

    def _refuse_literal(self, size: int, *, synchronising: bool) -> None:
        self._parts.clear()
        if synchronising:
            # The client sends nothing of the literal: the refusal ends the command.
            self._deliver = True
        elif self._octets > max(self._policy.skipped, self._policy.message):
            assert self._refusal is not None
            self._give_up(replace(self._refusal, close=True))
        else:
            self._skip = size

    def _give_up(self, refusal: BadCommand) -> None:
        self._refusal = refusal
        self._deliver = True


def _tag_of(line: bytes) -> bytes:
    tag = line.partition(b" ")[0]
    return tag if is_tag(tag) else b"*"


def _announced_literal(line: bytes) -> tuple[int, bool] | None:
    """Size of the literal that `line` ends with, and whether the client waits for leave."""
    if not line.endswith(b"}"):
        return None
    digits = line[line.rfind(b"{") + 1 : -1] if b"{" in line else b""
    synchronising = not digits.endswith(b"+")
    if not synchronising:
        digits = digits[:-1]
    if not digits.isdigit() or len(digits) > _MAXIMUM_DIGITS:
        return None
    return int(digits), synchronising


def _command(text: bytes) -> Event:
    tag, _, rest = text.partition(b" ")
    if not is_tag(tag):
        return BadCommand(b"*", b"Invalid tag")
    name, _, arguments = rest.partition(b" ")
    name = name.upper()
    if not is_command_name(name):
        return BadCommand(tag, b"Invalid command")
    return Command(tag, name, arguments)
