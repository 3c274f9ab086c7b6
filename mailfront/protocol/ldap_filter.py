"""Search filters of LDAP: built as values, written as text (RFC 4515), applied to attributes.

A filter is never read from text and never put together from pieces of text: whatever a value
holds, the structure stays. `matches` is the same filter for entries in memory: values are equal
after the string preparation of RFC 4518, octets when they are the same, names part by part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mailfront.errors import DistinguishedNameError
from mailfront.protocol.attribute_types import is_case_exact, spellings
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.string_preparation import prepare

# RFC 4512 section 2.5: a short name or object identifier, and options such as `;binary`.
_ATTRIBUTE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]*|[0-9]+(?:\.[0-9]+)*)(?:;[A-Za-z0-9-]+)*")
# RFC 4515 section 3: these must be escaped; what cannot be printed is, for who reads it.
_TO_ESCAPE = frozenset("*()\\\0")


def is_attribute_description(name: str) -> bool:
    """Whether `name` can stand for an attribute in a filter."""
    return _ATTRIBUTE.fullmatch(name) is not None


def _require_attribute(name: str) -> None:
    if not is_attribute_description(name):
        raise ValueError("not the name of an attribute")


@dataclass(frozen=True, slots=True)
class Equal:
    """The attribute has this value: a text, octets, or a name (for attributes that hold one)."""

    attribute: str
    value: str | bytes | DistinguishedName

    def __post_init__(self) -> None:
        _require_attribute(self.attribute)


@dataclass(frozen=True, slots=True)
class Present:
    """The attribute has a value."""

    attribute: str

    def __post_init__(self) -> None:
        _require_attribute(self.attribute)


@dataclass(frozen=True, slots=True)
class And:
    """All of `parts`; without any, everything (RFC 4526)."""

    parts: tuple[Filter, ...]


Filter = Equal | Present | And

EVERYTHING = Present("objectClass")


def to_text(condition: Filter) -> str:
    """Return the filter as RFC 4515 writes it; one condition alone in an And stands bare."""
    match condition:
        case Equal(attribute, bytes(value)):
            return f"({attribute}={_escaped_octets(value)})"
        case Equal(attribute, value):
            return f"({attribute}={_escaped(str(value))})"
        case Present(attribute):
            return f"({attribute}=*)"
        case And((part,)):
            return to_text(part)
        case And(parts):
            return f"(&{''.join(map(to_text, parts))})"


def matches(condition: Filter, attributes: Mapping[str, Sequence[bytes]]) -> bool:
    """Whether an entry with these attributes, their names in lower case, fulfils the filter."""
    match condition:
        case Equal(attribute, value):
            return any(_equals(attribute, value, held) for held in _held(attribute, attributes))
        case Present(attribute):
            # Every entry has an object class (RFC 4512 section 2.4), written down or not.
            return attribute.lower() == "objectclass" or any(_held(attribute, attributes))
        case And(parts):
            return all(matches(part, attributes) for part in parts)


def comparable_value(attribute: str, value: str | bytes) -> str | None:
    """Return the form in which equal texts in `attribute` are equal, as the key of an index.

    None for octets that are not UTF-8.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            return None
    return prepare(value, fold_case=not is_case_exact(attribute))


def _held(attribute: str, attributes: Mapping[str, Sequence[bytes]]) -> Iterator[bytes]:
    name, semicolon, options = attribute.lower().partition(";")
    for spelling in spellings(name):
        yield from attributes.get(f"{spelling}{semicolon}{options}", ())


def _equals(attribute: str, wanted: str | bytes | DistinguishedName, held: bytes) -> bool:
    if isinstance(wanted, bytes):
        return held == wanted
    if isinstance(wanted, DistinguishedName):
        try:
            return DistinguishedName.parse(held.decode("utf-8")) == wanted
        except (UnicodeDecodeError, DistinguishedNameError):
            return False
    return comparable_value(attribute, held) == comparable_value(attribute, wanted)


def _escaped(text: str) -> str:
    return "".join(
        character if character.isprintable() and character not in _TO_ESCAPE
        else _escaped_octets(character.encode("utf-8", "surrogatepass"))
        for character in text
    )  # fmt: skip


def _escaped_octets(octets: bytes) -> str:
    return "".join(f"\\{octet:02x}" for octet in octets)
