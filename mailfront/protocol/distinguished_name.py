"""Distinguished names (RFC 4514): read from text or a certificate, written, compared.

Takes the text of a name or an `x509.Name`, returns a `DistinguishedName`, its parts in the order
of the text: the most specific first. Beyond RFC 4514 the reader takes what RFC 1485, 1779 and
2253 allow: `;` between parts, values in quotes, blanks round `,` `+` `=`, `OID.` before an object
identifier. Two names are equal if their parts are, one by one, after the string preparation of
RFC 4518; as text they may differ. The reader is bounded and total: a name or
`DistinguishedNameError`, in time linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import NamedTuple

from cryptography import x509

from mailfront.errors import DistinguishedNameError
from mailfront.protocol.attribute_types import (
    attribute_key,
    is_case_exact,
    short_name,
)
from mailfront.protocol.string_preparation import prepare

MAXIMUM_CHARACTERS = 65536
MAXIMUM_PARTS = 128
"""The most attribute values in one name."""

_TYPE = re.compile(r"(?:[oO][iI][dD]\.)?[0-9]+(?:\.[0-9]+)+|[A-Za-z][A-Za-z0-9-]*")
_OBJECT_IDENTIFIER = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_BLANK = " \t\r\n"
_BLANKS = re.compile(r"[ \t\r\n]*")
_SEPARATORS = (",", ";", "+")
# RFC 4514 section 3, stringchar; `"`, `<` and `>` stay forbidden.
_PLAIN = re.compile(r"[^\"+,;<>\\\0]+")
_IN_QUOTES = re.compile(r"[^\"\\\0]+")
_HEXADECIMAL = re.compile(r"#((?:[0-9A-Fa-f]{2})*)")
_ESCAPED_OCTETS = re.compile(r"(?:\\[0-9A-Fa-f]{2})+")
_ESCAPED_CHARACTER = re.compile(r"\\([ \"#+,;<=>\\])")
_TO_ESCAPE = frozenset('"+,;<>\\')

_UTF8_STRING = 0x0C
# The string types of X.680; TeletexString is in practice Latin-1 where it is not UTF-8.
_STRING_ENCODINGS = {
    _UTF8_STRING: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}


class AttributeValue(NamedTuple):
    """`type` is a short name, an unknown name as written, or an object identifier.

    `value` is text, or the BER encoding of a value that is no text.
    """

    type: str
    value: str | bytes

    @property
    def comparable(self) -> tuple[str, str | bytes]:
        """The form in which two spellings of one attribute value are equal."""
        value = self.value
        if isinstance(value, str):
            value = prepare(value, fold_case=not is_case_exact(self.type))
        return attribute_key(self.type), value

    def __str__(self) -> str:
        if isinstance(self.value, bytes):
            return f"{self.type}=#{self.value.hex()}"
        if _OBJECT_IDENTIFIER.fullmatch(self.type):
            # RFC 4514 section 2.4: the value of a type without a name is written as its encoding.
            return f"{self.type}=#{_encoded_text(self.value).hex()}"
        return f"{self.type}={_escaped(self.value)}"


RelativeName = tuple[AttributeValue, ...]


class DistinguishedName:
    """A name: `rdns`, the most specific first, each of one attribute value or several."""

    def __init__(self, rdns: Iterable[Iterable[AttributeValue]] = ()) -> None:
        self.rdns: tuple[RelativeName, ...] = tuple(map(tuple, rdns))
        if sum(map(len, self.rdns)) > MAXIMUM_PARTS:
            raise DistinguishedNameError(f"a name of more than {MAXIMUM_PARTS} parts")

    @classmethod
    def parse(cls, text: str) -> DistinguishedName:
        """Return the name that `text` is; an empty text is the empty name.

        Raises `DistinguishedNameError`.
        """
        if len(text) > MAXIMUM_CHARACTERS:
            raise DistinguishedNameError(f"a name of more than {MAXIMUM_CHARACTERS} characters")
        if not _is_unicode(text):
            raise DistinguishedNameError("a name that is not Unicode")
        return cls(_Reader(text).relative_names())

    @classmethod
    def from_x509(cls, name: x509.Name) -> DistinguishedName:
        """Return the subject or issuer of a certificate. Raises `DistinguishedNameError`."""
        return cls(
            [_from_x509(attribute) for attribute in rdn] for rdn in reversed(list(name.rdns))
        )

    def attribute_values(self) -> Iterator[AttributeValue]:
        """Yield all attribute values, the most specific first."""
        for rdn in self.rdns:
            yield from rdn

    @cached_property
    def comparable(self) -> tuple[frozenset[tuple[str, str | bytes]], ...]:
        """What is equal for equal names: per part the set of its prepared attribute values."""
        return tuple(frozenset(value.comparable for value in rdn) for rdn in self.rdns)

    def is_within(self, base: DistinguishedName) -> bool:
        """Whether the entry of this name is `base` itself or below it in the tree."""
        depth = len(base.comparable)
        return not depth or self.comparable[-depth:] == base.comparable

    def __bool__(self) -> bool:
        return bool(self.rdns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DistinguishedName):
            return NotImplemented
        return self.comparable == other.comparable

    def __hash__(self) -> int:
        return hash(self.comparable)

    def __str__(self) -> str:
        return ",".join("+".join(map(str, rdn)) for rdn in self.rdns)

    def __repr__(self) -> str:
        return f"DistinguishedName.parse({str(self)!r})"


def attribute_value(name: str, tag: int, octets: bytes) -> AttributeValue:
    """Return the attribute value whose encoding has the identifier octet `tag` and this content.

    `name` is the type, by any of its names or its object identifier.
    """
    text = _decoded_text(tag, octets)
    return AttributeValue(short_name(name), _encoded(tag, octets) if text is None else text)


def _is_unicode(text: str) -> bool:
    """Whether `text` can be written as UTF-8: it holds no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _from_x509(attribute: x509.NameAttribute[str | bytes]) -> AttributeValue:
    value = attribute.value
    if isinstance(value, bytes):
        # The only kind that the library hands out as octets: a BIT STRING without unused bits.
        value = _encoded(0x03, b"\0" + value)
    return AttributeValue(short_name(attribute.oid.dotted_string), value)


class _Reader:
    """One pass over the text; `position` only grows."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def relative_names(self) -> list[RelativeName]:
        self._skip_blanks()
        if self._position == len(self._text):
            return []
        names: list[RelativeName] = []
        values: list[AttributeValue] = []
        for _ in range(MAXIMUM_PARTS):
            values.append(self._attribute_value())
            separator = self._text[self._position : self._position + 1]
            self._position += 1
            if separator != "+":
                names.append(tuple(values))
                values = []
            if not separator:
                return names
        raise DistinguishedNameError(f"a name of more than {MAXIMUM_PARTS} parts")

    def _attribute_value(self) -> AttributeValue:
        self._skip_blanks()
        found = _TYPE.match(self._text, self._position)
        if found is None:
            raise self._fault("the name of an attribute is wanted")
        self._position = found.end()
        self._skip_blanks()
        if self._text[self._position : self._position + 1] != "=":
            raise self._fault("= is wanted after the name of an attribute")
        self._position += 1
        self._skip_blanks()
        value = self._value()
        self._skip_blanks()
        if self._text[self._position : self._position + 1] not in ("", *_SEPARATORS):
            raise self._fault("a comma, or \\ before a special character, is wanted")
        return AttributeValue(short_name(found.group()), value)

    def _value(self) -> str | bytes:
        match self._text[self._position : self._position + 1]:
            case "#":
                return self._hexadecimal()
            case '"':
                return self._quoted()
            case _:
                return self._string()

    def _hexadecimal(self) -> str | bytes:
        found = _HEXADECIMAL.match(self._text, self._position)
        assert found is not None
        self._position = found.end()
        octets = bytes.fromhex(found.group(1))
        tag, content = _undone(octets)
        text = None if content is None else _decoded_text(tag, content)
        if content is None:
            raise self._fault("the hexadecimal digits after # are no BER encoding")
        return octets if text is None else text

    def _quoted(self) -> str:
        self._position += 1
        pieces: list[str] = []
        while self._text[self._position : self._position + 1] != '"':
            pieces.append(self._piece(_IN_QUOTES))
        self._position += 1
        return "".join(pieces)

    def _string(self) -> str:
        pieces: list[str] = []
        while (start := self._text[self._position : self._position + 1]) not in ("", *_SEPARATORS):
            pieces.append(self._piece(_PLAIN))
            if start != "\\" and self._text[self._position : self._position + 1] != "\\":
                # Blanks at the end count only if they are escaped.
                pieces[-1] = pieces[-1].rstrip(_BLANK)
        return "".join(pieces)

    def _piece(self, plain: re.Pattern[str]) -> str:
        """Return what comes next: plain characters, an escaped one, or escaped octets."""
        if found := plain.match(self._text, self._position):
            self._position = found.end()
            return found.group()
        if found := _ESCAPED_CHARACTER.match(self._text, self._position):
            self._position = found.end()
            return found.group(1)
        if found := _ESCAPED_OCTETS.match(self._text, self._position):
            octets = bytes.fromhex(found.group().replace("\\", ""))
            try:
                text = octets.decode("utf-8")
            except UnicodeDecodeError:
                raise self._fault("octets that are not UTF-8") from None
            self._position = found.end()
            return text
        if self._position == len(self._text):
            raise self._fault("the name ends in the middle of a value")
        raise self._fault("a special character needs \\ before it")

    def _skip_blanks(self) -> None:
        found = _BLANKS.match(self._text, self._position)
        assert found is not None
        self._position = found.end()

    def _fault(self, what: str) -> DistinguishedNameError:
        return DistinguishedNameError(f"{what} (at character {self._position + 1})")


def _escaped(value: str) -> str:
    """Escape a value (RFC 4514 section 2.4); what cannot be printed stands as its octets."""
    written = "".join(
        f"\\{character}" if character in _TO_ESCAPE
        else character if character.isprintable()
        else "".join(f"\\{octet:02X}" for octet in character.encode())
        for character in value
    )  # fmt: skip
    if written.endswith(" ") and len(written) > 1:
        written = f"{written[:-1]}\\ "
    return f"\\{written}" if written.startswith(("#", " ")) else written


def _decoded_text(tag: int, octets: bytes) -> str | None:
    """Return the text of a string type, or None for another type and for malformed strings."""
    encoding = _STRING_ENCODINGS.get(tag)
    if encoding is None:
        return None
    try:
        return octets.decode("utf-8" if encoding == "latin-1" else encoding)
    except UnicodeDecodeError:
        return octets.decode("latin-1") if encoding == "latin-1" else None


def _encoded_text(text: str) -> bytes:
    return _encoded(_UTF8_STRING, text.encode())


def _encoded(tag: int, content: bytes) -> bytes:
    """Return one DER element (X.690 section 8.1)."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content


def _undone(element: bytes) -> tuple[int, bytes | None]:
    """Return identifier octet and content of the one BER element, or None for the content."""
    if len(element) < 2:
        return 0, None
    start, length = 2, element[1]
    if length & 0x80:
        count = length & 0x7F
        start, length = 2 + count, int.from_bytes(element[2 : 2 + count])
    if len(element) != start + length or element[1] == 0x80:
        return 0, None
    return element[0], element[start:]
