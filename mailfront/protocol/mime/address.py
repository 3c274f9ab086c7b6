"""Address lists of header fields: From, To, Cc and their kin (RFC 5322 §3.4 and §4.4).

Takes a raw field value, gives mailboxes and groups, in octets as written: nothing is decoded, 8-bit
octets stay. Comments are skipped (the last one names a mailbox that has no name of its own),
obsolete routes are kept apart. Total and linear: what is no address becomes a mailbox with what
there is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Some five thousand addresses; the rest of a longer list is left out.
TOKEN_LIMIT = 50_000

_ATOM = re.compile(rb'[^\x00-\x20()<>@,;:\\".\[\]\x7f]+')
_QUOTED_RUN = re.compile(rb'[^"\\\r\n]+')
_COMMENT_RUN = re.compile(rb"[^()\\\r\n]+")
_LITERAL_RUN = re.compile(rb"[^\]\\\r\n]+")


class Mailbox(NamedTuple):
    """One address. `name` is the display name or comment (empty if none), `route` the obsolete
    source route (`@a,@b`), `local` the part before the @, `domain` the part behind it (None where
    there is no @)."""

    name: bytes
    route: bytes
    local: bytes
    domain: bytes | None

    @property
    def address(self) -> bytes:
        """`local@domain`, or the local part alone."""
        return self.local if self.domain is None else self.local + b"@" + self.domain


class Group(NamedTuple):
    """A named list of mailboxes (RFC 5322 §3.4), possibly empty."""

    name: bytes
    members: tuple[Mailbox, ...]


class _Token(NamedTuple):
    """`kind` is the special character itself, or a (atom), q (quoted), l (domain literal)."""

    kind: str
    text: bytes
    spaced: bool


def parse_addresses(value: bytes) -> list[Mailbox | Group]:
    """The addresses of a field value, in order."""
    return _Parser(_tokens(value)).address_list()


def mailboxes(addresses: list[Mailbox | Group]) -> list[Mailbox]:
    """All mailboxes, those inside groups too, in order."""
    found: list[Mailbox] = []
    for address in addresses:
        found.extend(address.members if isinstance(address, Group) else (address,))
    return found


def _tokens(value: bytes) -> list[_Token]:
    tokens: list[_Token] = []
    place, spaced = 0, False
    while place < len(value) and len(tokens) < TOKEN_LIMIT:
        octet = value[place]
        if octet in b" \t\r\n\x00":
            place, spaced = place + 1, True
            continue
        if atom := _ATOM.match(value, place):
            token, place = _Token("a", atom[0], spaced), atom.end()
        elif octet == 0x22:
            text, place = _delimited(value, place + 1, _QUOTED_RUN, 0x22)
            token = _Token("q", text, spaced)
        elif octet == 0x28:
            text, place = _comment(value, place + 1)
            token = _Token("(", text, spaced)
        elif octet == 0x5B:
            text, place = _delimited(value, place + 1, _LITERAL_RUN, 0x5D)
            token = _Token("l", b"[" + text + b"]", spaced)
        else:
            token, place = _Token(chr(octet), value[place : place + 1], spaced), place + 1
        tokens.append(token)
        spaced = False
    return tokens


def _delimited(value: bytes, place: int, run: re.Pattern[bytes], closing: int) -> tuple[bytes, int]:
    text = bytearray()
    while place < len(value) and value[place] != closing:
        if match := run.match(value, place):
            text += match[0]
            place = match.end()
            continue
        if value[place] == 0x5C:
            place += 1
        if place < len(value) and value[place] not in b"\r\n":
            text.append(value[place])
        place += 1
    return bytes(text), min(place + 1, len(value))


def _comment(value: bytes, place: int) -> tuple[bytes, int]:
    """The text of a comment, comments inside it with their parentheses, and where it ends."""
    text, depth = bytearray(), 1
    while place < len(value):
        if match := _COMMENT_RUN.match(value, place):
            text += match[0]
            place = match.end()
            continue
        octet = value[place]
        if octet == 0x5C:
            place += 1
            text += value[place : place + 1]
        elif octet not in b"\r\n":
            depth += 1 if octet == 0x28 else -1
            if depth == 0:
                break
            text.append(octet)
        place += 1
    return bytes(text), min(place + 1, len(value))


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.comment = b""

    def address_list(self) -> list[Mailbox | Group]:
        found: list[Mailbox | Group] = []
        while self._peek():
            if self._accept(",") or self._accept(";"):
                continue
            self.comment = b""
            phrase = self._words()
            if self._accept(":"):
                found.append(Group(_phrase(phrase), self._members()))
            elif (mailbox := self._mailbox(phrase)) is not None:
                found.append(mailbox)
        return found

    def _members(self) -> tuple[Mailbox, ...]:
        members = []
        while self._peek() and not self._accept(";"):
            if self._accept(","):
                continue
            self.comment = b""
            if (mailbox := self._mailbox(self._words())) is not None:
                members.append(mailbox)
        return tuple(members)

    def _mailbox(self, words: list[_Token]) -> Mailbox | None:
        """The mailbox that begins with `words`: a display name, or the local part itself."""
        if self._accept("<"):
            route, local, domain = self._angle()
            self._rest()
            return Mailbox(_phrase(words) or self.comment, route, local, domain)
        domain = self._domain() if self._accept("@") else None
        stray = self._rest()
        if not words and domain is None and not stray:
            return None
        return Mailbox(self.comment, b"", _joined(words), domain)

    def _angle(self) -> tuple[bytes, bytes, bytes | None]:
        route = bytearray()
        while self._peek() in ("@", ","):
            # RFC 5322 §4.4: obs-route, "@a,@b:" before the address.
            if self._accept("@"):
                route += (b",@" if route else b"@") + (self._domain() or b"")
            else:
                self._accept(",")
        if route:
            self._accept(":")
        words = self._words()
        while self._accept(":"):
            words += self._words()
        local = _joined(words)
        domain = self._domain() if self._accept("@") else None
        while self._peek() not in ("", ">", ",", ";"):
            self.place += 1
        self._accept(">")
        return bytes(route), local, domain

    def _domain(self) -> bytes | None:
        return b"".join(token.text for token in self._words() if token.kind != "q") or None

    def _words(self) -> list[_Token]:
        """Atoms, quoted strings, literals and dots, in order; comments are remembered."""
        words = []
        while self._peek() in ("a", "q", "l", "."):
            words.append(self.tokens[self.place])
            self.place += 1
        return words

    def _rest(self) -> bool:
        """Skip what stands before the next address; return whether there was anything."""
        skipped = False
        while self._peek() not in ("", ",", ";"):
            self.place += 1
            skipped = True
        return skipped

    def _peek(self) -> str:
        """The kind of the next token that is no comment, or an empty string at the end."""
        while self.place < len(self.tokens) and self.tokens[self.place].kind == "(":
            self.comment = self.tokens[self.place].text.strip()
            self.place += 1
        return self.tokens[self.place].kind if self.place < len(self.tokens) else ""

    def _accept(self, kind: str) -> bool:
        if self._peek() != kind:
            return False
        self.place += 1
        return True


def _phrase(words: list[_Token]) -> bytes:
    """A display name: words with single spaces where white space stood."""
    pieces = bytearray()
    for word in words:
        if pieces and word.spaced:
            pieces += b" "
        pieces += word.text
    return bytes(pieces)


def _joined(words: list[_Token]) -> bytes:
    """A local part: white space around its dots is no part of it (RFC 5322 §4.4)."""
    pieces = bytearray()
    after_word = False
    for word in words:
        if after_word and word.spaced and word.kind != ".":
            pieces += b" "
        pieces += word.text
        after_word = word.kind != "."
    return bytes(pieces)
