"""certmap.conf: which directory entry a client certificate stands for, in the original's grammar.

Takes the octets of the file, returns a `Certmap`: mappings by issuer and the one named `default`.

    certmap NAME issuerDN       begins a mapping; `certmap default default` must be there
    NAME:property value         belongs to it (a blank may stand for the colon)
    NAME:encoded property …     the same with the value in base64
    # …                         a comment, at the beginning of a line only

A backslash at the end joins a line with the next. Names of mappings have case, those of
properties and components have none; the first value of a property counts. The reader is bounded
and total: a `Certmap`, or `ConfigurationError` with file and line. What the original ignored in
silence is a warning.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from mailfront.authentication.certmap_properties import (
    PROPERTIES,
    REFUSED_PROPERTIES,
    Mapping,
    PropertyFault,
)
from mailfront.configuration.suggest import did_you_mean
from mailfront.errors import ConfigurationError, DistinguishedNameError
from mailfront.protocol.distinguished_name import DistinguishedName

MAXIMUM_LINE_OCTETS = 1024
"""The original's bound; a line that continues may be as long in each of its lines."""

MAXIMUM_JOINED_CHARACTERS = 16 * MAXIMUM_LINE_OCTETS
MAXIMUM_FILE_OCTETS = 1024 * 1024
MAXIMUM_MAPPINGS = 1000

_DIRECTIVE = "certmap"
_DEFAULT = "default"
_BLANK = " \t"
_ENCODED = "encoded"
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NAME = re.compile(r"[^\s:]+")


@dataclass(frozen=True, slots=True)
class Certmap:
    """All mappings of one version of the file.

    `warnings` tell what in it has no effect; `pins_keys`: whether any mapping takes enrolled keys.
    """

    by_issuer: dict[DistinguishedName, Mapping]
    default: Mapping
    warnings: tuple[str, ...] = ()
    pins_keys: bool = False

    def mapping_for(self, issuer: DistinguishedName) -> Mapping:
        """Return the first mapping in the file for this issuer, else the default."""
        return self.by_issuer.get(issuer, self.default)

    def mappings(self) -> list[Mapping]:
        """All mappings that can be chosen, the default last."""
        return [*self.by_issuer.values(), self.default]


class _Line(NamedTuple):
    number: int
    text: str


def parse_certmap(content: bytes, file: Path) -> Certmap:
    """Return the mappings in `content`. Raises `ConfigurationError`, which names `file`."""
    return _Reader(file).read(content)


class _Reader:
    """The mapping that the next property belongs to, and what was read before it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._mappings: dict[str, Mapping] = {}
        self._current: Mapping | None = None
        self._written: set[str] = set()
        self._warnings: list[str] = []

    def read(self, content: bytes) -> Certmap:
        if len(content) > MAXIMUM_FILE_OCTETS:
            raise ConfigurationError("the file is too large", file=self._file)
        for line in self._lines(content):
            first, rest = _split(line.text)
            if first == _DIRECTIVE:
                self._begin(line, rest)
            else:
                self._property(line)
        default = next((m for m in self._mappings.values() if m.issuer is None), None)
        if default is None:
            raise ConfigurationError(
                "there is no mapping named default",
                remedy="add the line: certmap default default",
                file=self._file,
            )
        by_issuer = self._by_issuer()
        pins_keys = default.pinned or any(mapping.pinned for mapping in by_issuer.values())
        return Certmap(by_issuer, default, tuple(self._warnings), pins_keys)

    def _lines(self, content: bytes) -> Iterator[_Line]:
        """Yield the lines that say something, continuations joined, blanks at the ends cut."""
        joined, first = "", 0
        for number, octets in enumerate(content.split(b"\n"), start=1):
            if len(octets) > MAXIMUM_LINE_OCTETS:
                remedy = "divide it: a backslash at the end continues a line"
                raise self._fault(
                    number, f"a line of more than {MAXIMUM_LINE_OCTETS} octets", remedy
                )
            text = self._decoded(octets, number)
            if not joined and text.lstrip(_BLANK).startswith("#"):
                continue
            first = first if joined else number
            before_backslash = text.rstrip("\\")
            if (len(text) - len(before_backslash)) % 2:
                joined += text[:-1] or " "
                if len(joined) > MAXIMUM_JOINED_CHARACTERS:
                    raise self._fault(first, "a line with too many continuations", "")
                continue
            joined += text
            if stripped := joined.strip(_BLANK):
                yield _Line(first, stripped)
            joined = ""
        if joined.strip(_BLANK):
            raise self._fault(first, "the file ends where a line is to be continued", "")

    def _decoded(self, octets: bytes, number: int) -> str:
        try:
            text = octets.removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError:
            raise self._fault(number, "a line that is not UTF-8", "") from None
        if _UNPRINTABLE.search(text):
            raise self._fault(number, "a control character", "take it out")
        return text

    def _begin(self, line: _Line, rest: str) -> None:
        name, issuer = _split(rest)
        if not name:
            raise self._fault(line.number, "a mapping without a name", "write certmap NAME issuer")
        if not _NAME.fullmatch(name) or name == _DIRECTIVE:
            raise self._fault(
                line.number, f"{name!r} cannot be the name of a mapping",
                "choose a word without a colon, and not certmap",
            )  # fmt: skip
        if len(self._mappings) == MAXIMUM_MAPPINGS:
            raise self._fault(line.number, f"more than {MAXIMUM_MAPPINGS} mappings", "")
        is_default = name.lower() == _DEFAULT
        for other in self._mappings.values():
            if other.name == name or (is_default and other.issuer is None):
                raise self._fault(
                    line.number,
                    f"a second mapping named {name}",
                    f"the first one is in line {other.line}; put the properties of both there",
                )
        if not issuer and not is_default:
            raise self._fault(
                line.number, f"the mapping {name} has no issuer",
                f"write certmap {name} and the issuer's name, as msgcert show-cert prints it",
            )  # fmt: skip
        self._current = Mapping(
            name=name,
            issuer=None if is_default else self._issuer(issuer, line.number),
            file=self._file,
            line=line.number,
        )
        self._mappings[name] = self._current
        self._written = set()

    def _issuer(self, text: str, number: int) -> DistinguishedName:
        try:
            issuer = DistinguishedName.parse(text)
        except DistinguishedNameError as error:
            remedy = "write it as msgcert show-cert prints it"
            if text.startswith("/"):
                remedy = "write CN=…,O=…,C=…: commas between, the most specific part first"
            raise self._fault(number, f"the issuer is no name: {error}", remedy) from None
        if not issuer:
            raise self._fault(number, "the name of the issuer is empty", "")
        return issuer

    def _property(self, line: _Line) -> None:
        name = re.split(r"[:\s]", line.text, maxsplit=1)[0]
        current = self._current
        if current is None or name != current.name:
            raise self._misplaced(line, name)
        rest = line.text[len(name) + 1 :].strip(_BLANK)
        word, value = _split(rest)
        if word.lower() == _ENCODED:
            word, encoded = _split(value)
            value = self._unwrapped(encoded, line.number)
        key = word.removesuffix(":").lower()
        if key in REFUSED_PROPERTIES:
            raise self._fault(line.number, f"{word} is not supported", REFUSED_PROPERTIES[key])
        known = PROPERTIES.get(key)
        if known is None:
            names = [candidate.name for candidate in PROPERTIES.values()]
            remedy = did_you_mean(word, names, otherwise=f"known are {', '.join(names)}")
            what = f"{word!r} is not a property" if word else "a property is wanted"
            raise self._fault(line.number, what, remedy)
        if key in self._written:
            self._warn(line.number, f"{known.name} is given already, only the first value counts")
            return
        self._written.add(key)
        try:
            values, ignored = known.read(value)
        except PropertyFault as fault:
            raise self._fault(line.number, f"{known.name}: {fault}", fault.remedy) from None
        for component in ignored:
            self._warn(line.number, f"{known.name}: {component} is not known, it is left out")
        self._current = replace(current, **values)
        self._mappings[name] = self._current

    def _misplaced(self, line: _Line, name: str) -> ConfigurationError:
        earlier = self._mappings.get(name)
        if earlier is not None:
            return self._fault(
                line.number, f"a property of the mapping {name}, which has ended",
                f"move it below line {earlier.line}: nothing may stand between",
            )  # fmt: skip
        if self._current is None:
            remedy = did_you_mean(
                name, [_DIRECTIVE], otherwise="begin with a line: certmap NAME issuer"
            )
            return self._fault(line.number, "a property before any mapping", remedy)
        known = [_DIRECTIVE, *self._mappings]
        remedy = did_you_mean(
            name, known, otherwise=f"write {self._current.name}:property, or certmap {name} issuer"
        )
        return self._fault(line.number, f"there is no mapping named {name!r}", remedy)

    def _unwrapped(self, encoded: str, number: int) -> str:
        try:
            value = base64.b64decode(encoded, validate=True).decode("utf-8").strip(_BLANK)
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise self._fault(number, "an encoded value that is not base64 of UTF-8", "") from None
        if _UNPRINTABLE.search(value):
            raise self._fault(number, "a control character in an encoded value", "")
        return value

    def _by_issuer(self) -> dict[DistinguishedName, Mapping]:
        """Index the mappings; the first one in the file for an issuer wins."""
        found: dict[DistinguishedName, Mapping] = {}
        for mapping in self._mappings.values():
            if mapping.issuer is None:
                continue
            first = found.setdefault(mapping.issuer, mapping)
            if first is not mapping:
                what = f"{mapping.name} has the issuer of {first.name}, which is used instead"
                self._warn(mapping.line, what)
        return found

    def _fault(self, number: int, what: str, remedy: str) -> ConfigurationError:
        return ConfigurationError(what, remedy=remedy, file=self._file, line=number)

    def _warn(self, number: int, what: str) -> None:
        self._warnings.append(str(self._fault(number, what, "")))


def _split(text: str) -> tuple[str, str]:
    """Return the first word and what follows it."""
    word, *rest = text.split(None, 1) or [""]
    return word, rest[0].strip(_BLANK) if rest else ""
