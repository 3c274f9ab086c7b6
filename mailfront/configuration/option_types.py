"""The types of option values: text as an operator writes it, value as the server uses it.

Each type takes text and returns a value (`parse`), and prints a value in its one canonical form
(`text`). A text that does not fit raises `BadValueError` with a sentence for the operator;
no type looks at anything but the text.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Protocol

from mailfront.configuration.suggest import did_you_mean

Value = str | int | bool | tuple[str, ...]

LONGEST_VALUE = 2048
_INTEGER = re.compile(r"-?[0-9]{1,18}", re.ASCII)
_SIZE = re.compile(r"([0-9]{1,15})([kKmMgG]?)", re.ASCII)
_DOMAIN_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII | re.IGNORECASE)
_LONGEST_DOMAIN = 253
_OCTETS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


class BadValueError(ValueError):
    """A text that is not a value of the option's type; the message says what would be."""


class OptionType(Protocol):
    """What an option's values look like."""

    @property
    def description(self) -> str:
        """What may be written, in a few words for help texts."""

    def parse(self, text: str) -> Value:
        """Return the value that `text` stands for. Raises `BadValueError`."""

    def text(self, value: Value) -> str:
        """Return the canonical text of a value that `parse` returned."""


def _plain_text(text: str) -> str:
    if len(text) > LONGEST_VALUE:
        raise BadValueError(f"longer than {LONGEST_VALUE} characters")
    if not text.isprintable():
        raise BadValueError("control characters are not allowed")
    return text


@dataclass(frozen=True, slots=True)
class Text:
    """Any printable text, the empty one included."""

    description: str = "string"

    def parse(self, text: str) -> str:
        """Return the text itself."""
        return _plain_text(text)

    def text(self, value: Value) -> str:
        """Return the text itself."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within a range; `unit` is shown to people only."""

    minimum: int
    maximum: int
    unit: str = ""

    @property
    def description(self) -> str:
        """The range and the unit."""
        kind = f"integer, {self.unit}" if self.unit else "integer"
        return f"{kind}, {self.minimum} to {self.maximum}"

    def parse(self, text: str) -> int:
        """Return the number."""
        if _INTEGER.fullmatch(text) is None:
            raise BadValueError(f"expected a whole number from {self.minimum} to {self.maximum}")
        return self._in_range(int(text))

    def _in_range(self, number: int) -> int:
        if not self.minimum <= number <= self.maximum:
            raise BadValueError(f"must be from {self.minimum} to {self.maximum}")
        return number

    def text(self, value: Value) -> str:
        """Return the number in decimal."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Size:
    """A number of octets; `k`, `M` and `G` multiply by powers of 1024."""

    minimum: int
    maximum: int

    @property
    def description(self) -> str:
        """The range in octets."""
        return f"size in octets (K, M, G = powers of 1024), {self.minimum} to {self.maximum}"

    def parse(self, text: str) -> int:
        """Return the number of octets."""
        match = _SIZE.fullmatch(text)
        if match is None:
            raise BadValueError("expected a number of octets, such as 36700160 or 35M")
        octets = int(match[1]) * _OCTETS[match[2].lower()]
        if not self.minimum <= octets <= self.maximum:
            raise BadValueError(f"must be from {self.minimum} to {self.maximum} octets")
        return octets

    def text(self, value: Value) -> str:
        """Return the number of octets in decimal."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Boolean:
    """Yes or no."""

    description: str = "boolean, yes or no"

    def parse(self, text: str) -> bool:
        """Return whether the text says yes."""
        lowered = text.lower()
        if lowered in {"yes", "1", "on", "true"}:
            return True
        if lowered in {"no", "0", "off", "false"}:
            return False
        raise BadValueError("expected yes or no (1, 0, on, off, true and false are taken too)")

    def text(self, value: Value) -> str:
        """Return `yes` or `no`."""
        return "yes" if value else "no"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words, without regard to case."""

    words: tuple[str, ...]
    may_be_empty: bool = False

    @property
    def description(self) -> str:
        """The words."""
        listed = "one of " + ", ".join(self.words)
        return f"{listed}, or empty" if self.may_be_empty else listed

    def parse(self, text: str) -> str:
        """Return the word in its registered spelling."""
        if not text and self.may_be_empty:
            return ""
        for word in self.words:
            if word.lower() == text.lower():
                return word
        guess = did_you_mean(text, self.words)
        expected = f"expected one of {', '.join(self.words)}"
        raise BadValueError(f"{expected}; {guess}" if guess else expected)

    def text(self, value: Value) -> str:
        """Return the word."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Names:
    """A list of names without repetition, divided by commas or, if told so, also by blanks."""

    blanks_divide: bool = False

    @property
    def description(self) -> str:
        """How the names are divided."""
        return f"list of names divided by commas{' or blanks' if self.blanks_divide else ''}"

    def parse(self, text: str) -> tuple[str, ...]:
        """Return the names in their order."""
        _plain_text(text)
        if not text.strip():
            return ()
        items = [item.strip() for item in text.split(",")]
        if self.blanks_divide:
            items = [word for item in items for word in (item.split() or [""])]
        if "" in items:
            raise BadValueError("an item of the list is empty; look for a comma too many")
        if len(set(items)) != len(items):
            raise BadValueError("a name stands in the list twice")
        return tuple(items)

    def text(self, value: Value) -> str:
        """Return the names divided by commas."""
        assert isinstance(value, tuple)
        return ",".join(value)


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain or host name (RFC 1123 section 2.1), or nothing."""

    description: str = "domain name, or empty"

    def parse(self, text: str) -> str:
        """Return the name in lower case."""
        name = text.lower()
        labels_fit = all(_DOMAIN_LABEL.fullmatch(label) for label in name.split("."))
        if name and not (len(name) <= _LONGEST_DOMAIN and labels_fit):
            raise BadValueError(
                "expected a domain name such as example.com (letters, digits, hyphens and dots)"
            )
        return name

    def text(self, value: Value) -> str:
        """Return the name."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Addresses:
    """IP addresses divided by commas, or nothing."""

    description: str = "list of IP addresses divided by commas, or empty"

    def parse(self, text: str) -> str:
        """Return the addresses in their normal form, divided by commas."""
        names = Names().parse(text)
        try:
            normal = [str(ipaddress.ip_address(name)) for name in names]
        except ValueError:
            raise BadValueError(
                "expected IP addresses such as 127.0.0.1 or ::1, divided by commas"
            ) from None
        if len(set(normal)) != len(normal):
            raise BadValueError("an address stands in the list twice")
        return ",".join(normal)

    def text(self, value: Value) -> str:
        """Return the addresses."""
        return str(value)


@dataclass(frozen=True, slots=True)
class Networks:
    """Networks of IP addresses divided by commas, or nothing; never all addresses there are."""

    description: str = "list of IP addresses and networks (10.0.0.0/24) divided by commas, or empty"

    def parse(self, text: str) -> str:
        """Return the networks in their normal form, divided by commas; an address is one of one."""
        names = Names().parse(text)
        try:
            networks = [ipaddress.ip_network(name) for name in names]
        except ValueError:
            raise BadValueError(
                "expected IP addresses or networks such as 192.0.2.7 or 10.0.0.0/24 or "
                "2001:db8::/64, divided by commas, with no bits beyond a network's own"
            ) from None
        if any(network.prefixlen == 0 for network in networks):
            raise BadValueError("a network of every address is everybody")
        if len(set(networks)) != len(networks):
            raise BadValueError("a network stands in the list twice")
        return ",".join(map(str, networks))

    def text(self, value: Value) -> str:
        """Return the networks."""
        return str(value)


@dataclass(frozen=True, slots=True)
class RelativePath:
    """A path inside the server root, or one of a few words that stand for something else."""

    words: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """The words and what else may be written."""
        return " or ".join((*self.words, "a path inside the server root"))

    def parse(self, text: str) -> str:
        """Return the word or the path."""
        _plain_text(text)
        path = PurePosixPath(text)
        if not text or path.is_absolute() or ".." in path.parts or path == PurePosixPath():
            raise BadValueError(f"expected {self.description}, without .. and not absolute")
        return str(path)

    def text(self, value: Value) -> str:
        """Return the word or the path."""
        return str(value)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """`file:` and the path, inside the server root, of a file that holds a secret.

    What is written instead may be the secret itself: it must not be repeated to anybody.
    """

    description: str = "file: and a path inside the server root"

    def parse(self, text: str) -> str:
        """Return the path."""
        refusal = BadValueError(
            "secrets are kept in files of their own: write file: and a path inside the server "
            "root, such as file:config/ldappassword"
        )
        scheme, colon, path = text.partition(":")
        if scheme != "file" or not colon:
            raise refusal
        try:
            return RelativePath().parse(path)
        except BadValueError:
            raise refusal from None

    def text(self, value: Value) -> str:
        """Return `file:` and the path."""
        return f"file:{value}"
