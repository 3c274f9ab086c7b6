"""The POP3 TRANSACTION state without input or output (RFC 1939 section 5, RFC 2449).

Takes command lines, gives replies, or tells which message to send. Message numbers are those of the
moment the session began; deletions are only marked here and handed out by QUIT.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

# RFC 2449 section 4: a command has at most 255 octets with its line end.
LINE_LIMIT = 253
MOST_BAD_COMMANDS = 20
_LONGEST_NUMBER = 10
CAPABILITIES = (b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING")


@dataclass(frozen=True, slots=True)
class Reply:
    """Octets to send."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Retrieve:
    """Send a message: all of it, or its header and `lines` lines of the body."""

    uid: int
    size: int
    lines: int | None


@dataclass(frozen=True, slots=True)
class Quit:
    """Enter the UPDATE state: remove these messages, then say goodbye."""

    uids: tuple[int, ...]


Action = Reply | Retrieve | Quit


class _RefusedError(Exception):
    """A command that cannot be done; the text goes behind `-ERR`."""


class _BadCommandError(_RefusedError):
    """A command that is not POP3; too many end the session."""


class PopTransaction:
    """One session's view of a mailbox: `uids` and `sizes` in the same order."""

    def __init__(
        self,
        uid_validity: int,
        uids: Sequence[int],
        sizes: Sequence[int],
        *,
        bad_command_limit: int = MOST_BAD_COMMANDS,
    ) -> None:
        self._uid_validity = uid_validity
        self._uids = uids
        self._sizes = sizes
        self._bad_command_limit = bad_command_limit
        self._deleted: set[int] = set()
        self._bad_commands = 0
        self._commands: dict[bytes, Callable[[list[bytes]], Action]] = {
            b"STAT": self._stat,
            b"LIST": self._list,
            b"UIDL": self._uidl,
            b"RETR": self._retr,
            b"TOP": self._top,
            b"DELE": self._dele,
            b"RSET": self._rset,
            b"NOOP": self._noop,
            b"CAPA": self._capa,
            b"QUIT": self._quit,
        }

    @property
    def too_many_bad_commands(self) -> bool:
        """Whether the client has shown that it does not speak POP3."""
        return self._bad_commands >= self._bad_command_limit

    def summary(self) -> bytes:
        """The drop listing in words, for the answer to the login."""
        return b"%d messages (%d octets)" % (len(self._uids), sum(self._sizes))

    def command(self, line: bytes) -> Action:
        """Take one command line without its line end."""
        word, *arguments = line.split(b" ") if line else (b"",)
        handler = self._commands.get(word.upper(), self._unknown)
        try:
            return handler([argument for argument in arguments if argument])
        except _BadCommandError as problem:
            self._bad_commands += 1
            return Reply(b"-ERR %s\r\n" % str(problem).encode("ascii"))
        except _RefusedError as problem:
            return Reply(b"-ERR %s\r\n" % str(problem).encode("ascii"))

    def _unknown(self, arguments: list[bytes]) -> Action:
        raise _BadCommandError("unknown command")

    def _stat(self, arguments: list[bytes]) -> Action:
        _expect(arguments, 0)
        sizes = [self._sizes[place] for place in self._present()]
        return Reply(b"+OK %d %d\r\n" % (len(sizes), sum(sizes)))

    def _list(self, arguments: list[bytes]) -> Action:
        return self._listing(arguments, lambda place: b"%d" % self._sizes[place])

    def _uidl(self, arguments: list[bytes]) -> Action:
        return self._listing(
            arguments, lambda place: b"%d.%d" % (self._uid_validity, self._uids[place])
        )

    def _listing(self, arguments: list[bytes], value: Callable[[int], bytes]) -> Action:
        if arguments:
            _expect(arguments, 1)
            place = self._place(arguments[0])
            return Reply(b"+OK %d %s\r\n" % (place + 1, value(place)))
        lines = [b"%d %s" % (place + 1, value(place)) for place in self._present()]
        return Reply(b"\r\n".join([b"+OK %d messages" % len(lines), *lines, b".", b""]))

    def _retr(self, arguments: list[bytes]) -> Action:
        _expect(arguments, 1)
        place = self._place(arguments[0])
        return Retrieve(self._uids[place], self._sizes[place], None)

    def _top(self, arguments: list[bytes]) -> Action:
        _expect(arguments, 2)
        place = self._place(arguments[0])
        return Retrieve(self._uids[place], self._sizes[place], _number(arguments[1]))

    def _dele(self, arguments: list[bytes]) -> Action:
        _expect(arguments, 1)
        place = self._place(arguments[0])
        self._deleted.add(place)
        return Reply(b"+OK message %d deleted\r\n" % (place + 1))

    def _rset(self, arguments: list[bytes]) -> Action:
        _expect(arguments, 0)
        self._deleted.clear()
        return Reply(b"+OK %s\r\n" % self.summary())

    def _noop(self, arguments: list[bytes]) -> Action:
        _expect(arguments, 0)
        return Reply(b"+OK\r\n")

    def _capa(self, arguments: list[bytes]) -> Action:
        _expect(arguments, 0)
        return Reply(b"\r\n".join([b"+OK capabilities follow", *CAPABILITIES, b".", b""]))

    def _quit(self, arguments: list[bytes]) -> Action:
        _expect(arguments, 0)
        return Quit(tuple(self._uids[place] for place in sorted(self._deleted)))

    def _present(self) -> list[int]:
        return [place for place in range(len(self._uids)) if place not in self._deleted]

    def _place(self, argument: bytes) -> int:
        place = _number(argument) - 1
        if not 0 <= place < len(self._uids):
            raise _RefusedError(f"there are {len(self._uids)} messages in this mailbox")
        if place in self._deleted:
            raise _RefusedError(f"message {place + 1} is deleted")
        return place


def _expect(arguments: list[bytes], count: int) -> None:
    if len(arguments) != count:
        raise _BadCommandError(f"this command takes {count} arguments here")


def _number(argument: bytes) -> int:
    if not (argument.isdigit() and len(argument) <= _LONGEST_NUMBER):
        raise _BadCommandError("not a number")
    return int(argument)


def top_of(pieces: Iterable[bytes], lines: int) -> Iterator[bytes]:
    """The header, the empty line and the first `lines` lines of the body of a message that comes
    in pieces (RFC 1939 section 7, TOP)."""
    in_header = True
    beginning = b""
    for piece in pieces:
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            if in_header:
                in_header = beginning + piece[start : min(end, start + 2)] not in (b"", b"\r")
                finished = not in_header and lines == 0
            else:
                lines -= 1
                finished = lines == 0
            start = end + 1
            beginning = b""
            if finished:
                yield piece[:start]
                return
        # Enough of an unfinished line to know later that it was not empty.
        beginning = (beginning + piece[start : start + 2])[:2]
        yield piece


def multi_line(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A message as a multi-line answer: dots stuffed, ended by `.` on a line of its own.

    A dot after a bare LF is stuffed too: a client that takes LF for a line end must not mistake
    the inside of a message for its end, and what follows for answers of ours.
    """
    tail = b"\r\n"
    for piece in pieces:
        if not piece:
            continue
        stuffed = piece.replace(b"\n.", b"\n..")
        yield b"." + stuffed if tail.endswith(b"\n") and piece.startswith(b".") else stuffed
        tail = (tail + piece[-2:])[-2:]
    yield b".\r\n" if tail == b"\r\n" else b"\r\n.\r\n"
