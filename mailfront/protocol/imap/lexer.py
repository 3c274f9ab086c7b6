"""The tokens of an IMAP command: atoms, quoted strings, literals, numbers, lists (RFC 3501 §9).

`Cursor` walks over the text of one complete command, in which each literal stands as it came:
its announcement, CRLF and its octets. Every method takes one token and moves on, or raises
`ImapSyntaxError`, whose text is ours and may be sent to the client. The work is linear in the
length of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from mailfront.errors import ImapSyntaxError

Value = TypeVar("Value")

# ATOM-CHAR, ASTRING-CHAR (adds "]"), and list-char (adds the wildcards), all without 8-bit octets.
_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_MAILBOX = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
# A tag is made of ASTRING-CHARs without "+".
_TAG = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\+]+')
_DIGITS = re.compile(rb"[0-9]+")
# Octets above 127 are let through in quoted strings: RFC 9051 allows UTF-8 there, and clients
# send it whatever was agreed on. Who takes the string decides what to do with it.
_QUOTED = re.compile(rb'"((?:[^"\\\r\n\x00]|\\["\\])*)"')
_ESCAPED = re.compile(rb'\\(["\\])')
_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}\r\n")

# Numbers are of 32 bits (RFC 3501 §9), modification sequences and RFC 9051 sizes of 63.
MAXIMUM_NUMBER = 2**32 - 1
_MAXIMUM_DIGITS = 19


def is_tag(text: bytes) -> bool:
    """Whether `text` is a tag as a whole."""
    return _TAG.fullmatch(text) is not None


def is_command_name(text: bytes) -> bool:
    """Whether `text` may be the name of a command (an atom)."""
    return _ATOM.fullmatch(text) is not None


class Cursor:
    """A position in the text of a command."""

    __slots__ = ("position", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.position = 0

    def at_end(self) -> bool:
        """Whether everything is consumed."""
        return self.position >= len(self.text)

    def end(self) -> None:
        """Demand that everything is consumed."""
        if not self.at_end():
            raise ImapSyntaxError("Unexpected arguments at the end of the command")

    def rest(self) -> bytes:
        """What is not consumed yet; consumes nothing."""
        return self.text[self.position :]

    def peek(self) -> bytes:
        """The next octet, empty at the end."""
        return self.text[self.position : self.position + 1]

    def skip(self, expected: bytes) -> bool:
        """Consume `expected` (letter case does not matter) if it stands here, and tell so."""
        stop = self.position + len(expected)
        if self.text[self.position : stop].upper() != expected.upper():
            return False
        self.position = stop
        return True

    def expect(self, expected: bytes) -> None:
        """Consume `expected` or fail."""
        if not self.skip(expected):
            raise ImapSyntaxError(f"Expected {expected.decode('ascii')!r}")

    def space(self) -> None:
        """Consume the one blank between two arguments."""
        if self.peek() != b" ":
            raise ImapSyntaxError("Missing argument" if self.at_end() else "Expected a blank")
        self.position += 1

    def pattern(self, expression: re.Pattern[bytes], what: str) -> bytes:
        """Consume what `expression` matches here; `what` names it in the error."""
        match = expression.match(self.text, self.position)
        if match is None:
            raise ImapSyntaxError(f"Missing {what}" if self.at_end() else f"Invalid {what}")
        self.position = match.end()
        return match.group()

    def atom(self, what: str = "atom") -> bytes:
        """An atom."""
        return self.pattern(_ATOM, what)

    def number(self, maximum: int = MAXIMUM_NUMBER) -> int:
        """A number from 0 to `maximum`."""
        digits = self.pattern(_DIGITS, "number")
        if len(digits) > _MAXIMUM_DIGITS or (value := int(digits)) > maximum:
            raise ImapSyntaxError("Number too large")
        return value

    def string(self) -> bytes:
        """A quoted string or a literal."""
        first = self.peek()
        if first == b'"':
            return self._quoted()
        if first == b"{":
            return self._literal()
        raise ImapSyntaxError("Missing string" if self.at_end() else "Expected a string")

    def astring(self) -> bytes:
        """An atom (which may hold "]"), a quoted string or a literal."""
        if self.peek() in (b'"', b"{"):
            return self.string()
        return self.pattern(_ASTRING, "argument")

    def nstring(self) -> bytes | None:
        """A string, or None for NIL."""
        if self.peek() in (b'"', b"{"):
            return self.string()
        if self.atom().upper() == b"NIL":
            return None
        raise ImapSyntaxError("Expected a string or NIL")

    def list_mailbox(self) -> bytes:
        """The pattern argument of LIST: an astring with wildcards."""
        if self.peek() in (b'"', b"{"):
            return self.string()
        return self.pattern(_LIST_MAILBOX, "mailbox pattern")

    def flag(self) -> bytes:
        r"""A flag as it may be given by a client: a keyword, or a system flag with backslash."""
        if self.skip(b"\\"):
            return b"\\" + self.atom("flag")
        return self.atom("flag")

    def parenthesised(self, item: Callable[[], Value], *, may_be_empty: bool) -> list[Value]:
        """`(item item …)`; `item` consumes one of them."""
        self.expect(b"(")
        values: list[Value] = []
        if may_be_empty and self.skip(b")"):
            return values
        while True:
            values.append(item())
            if self.skip(b")"):
                return values
            self.space()

    def _quoted(self) -> bytes:
        match = _QUOTED.match(self.text, self.position)
        if match is None:
            raise ImapSyntaxError("Invalid quoted string")
        self.position = match.end()
        content = match.group(1)
        return _ESCAPED.sub(rb"\1", content) if b"\\" in content else content

    def _literal(self) -> bytes:
        match = _LITERAL.match(self.text, self.position)
        if match is None or len(match.group(1)) > _MAXIMUM_DIGITS:
            raise ImapSyntaxError("Invalid literal")
        start = match.end()
        stop = start + int(match.group(1))
        if stop > len(self.text):
            raise ImapSyntaxError("Incomplete literal")
        self.position = stop
        return self.text[start:stop]
