"""Replies of an SMTP server, out of received octets (RFC 5321 section 4.2).

A server behind us is trusted with mail, but neither with our memory nor with what our clients
read: lines and their number are bounded, and text is printable ASCII.
"""

from __future__ import annotations

import re

from mailfront.errors import LineTooLongError, UpstreamMailError
from mailfront.interfaces.mail_relay import RelayAnswer
from mailfront.protocol.receive_buffer import ReceiveBuffer

# RFC 5321 section 4.5.3.1.5 asks for 512 octets; servers tell more.
LONGEST_LINE = 2048
MOST_LINES = 100
# What is passed on to a client.
LONGEST_TEXT = 480
MOST_PASSED_LINES = 20
_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_UNPRINTABLE = re.compile(r"[^ -~]")


class ReplyReader:
    """Takes octets, gives replies."""

    __slots__ = ("_buffer", "_code", "_lines")

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()
        self._code = 0
        self._lines: list[str] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is here, not even the beginning of a reply."""
        return not self._lines and not len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append received octets."""
        self._buffer.feed(data)

    def next(self) -> RelayAnswer | None:
        """Take one reply, or None while it is not complete. Raises `UpstreamMailError`."""
        while (line := self._line()) is not None:
            found = _LINE.fullmatch(line)
            if found is None:
                raise UpstreamMailError("what it sends is no SMTP reply")
            code = int(found[1])
            if self._lines and code != self._code:
                raise UpstreamMailError("the lines of a reply have different codes")
            if len(self._lines) >= MOST_LINES:
                raise UpstreamMailError(f"a reply of more than {MOST_LINES} lines")
            self._code = code
            self._lines.append(printable((found[3] or b"").decode("utf-8", "replace")))
            if found[2] != b"-":
                answer = RelayAnswer(code, tuple(self._lines))
                self._lines.clear()
                return answer
        return None

    def _line(self) -> bytes | None:
        try:
            return self._buffer.next_line(LONGEST_LINE)
        except LineTooLongError:
            raise UpstreamMailError(f"a line of more than {LONGEST_LINE} octets") from None


def printable(text: str) -> str:
    """The text of a line, as a `RelayAnswer` has it."""
    return _UNPRINTABLE.sub("?", text)


def passed_on(answer: RelayAnswer) -> RelayAnswer:
    """What a client is told: of bounded length, each line with an enhanced code (RFC 2034 section
    4, which we announce), and never a 421, for our connection with the client goes on."""
    code = 451 if answer.code == 421 else answer.code
    lines = [line[:LONGEST_TEXT] for line in answer.lines[:MOST_PASSED_LINES]]
    enhanced = rf"{code // 100}\.[0-9]{{1,3}}\.[0-9]{{1,3}}(?: |$)"
    if not all(re.match(enhanced, line) for line in lines):
        lines = [f"{code // 100}.0.0 {line}".rstrip() for line in lines]
    return RelayAnswer(code, tuple(lines))


def told(answer: RelayAnswer) -> str:
    """A reply for the log."""
    return f"{answer.code} {answer.lines[0][:200]}"
