"""Reading BER (X.690): just enough to look into a file before a library spends time on it.

Takes bytes, returns a tree of elements; indefinite lengths and strings in pieces, which NSS and
Java write, are understood. Depth, number of elements and thereby time are bounded. Raises
`KeystoreError` for bytes that are no BER.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.errors import KeystoreError

MAXIMUM_DEPTH = 32
MAXIMUM_ELEMENTS = 20_000
INTEGER, OCTET_STRING, NULL, OBJECT_IDENTIFIER, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
CONTEXT_0 = 0xA0
_CONSTRUCTED = 0x20
_LONG_TAG = 0x1F
_INDEFINITE = 0x80
# The longest in use are those made from UUIDs (X.667): 128 bits.
_MAXIMUM_ARC_BITS = 140
_END_OF_CONTENTS = b"\x00\x00"


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its identifier octet, and its octets or, if constructed, its elements."""

    tag: int
    octets: bytes
    children: tuple[Element, ...]

    def has(self, *tags: int) -> bool:
        """Whether the element's first children have these identifier octets."""
        return tuple(child.tag for child in self.children[: len(tags)]) == tags

    def string(self) -> bytes:
        """Return the content of a string, its pieces joined (X.690 section 8.7)."""
        if not self.tag & _CONSTRUCTED:
            return self.octets
        return b"".join(child.string() for child in self.children)

    def number(self) -> int:
        """Return the value of an INTEGER."""
        return int.from_bytes(self.octets, signed=True)

    def encoded(self) -> bytes:
        """Return the element with definite lengths and undivided strings, as DER has them."""
        if self.tag == OCTET_STRING | _CONSTRUCTED:
            return Element(OCTET_STRING, self.string(), ()).encoded()
        content = b"".join(child.encoded() for child in self.children) or self.octets
        length = len(content)
        if length < 0x80:
            return bytes((self.tag, length)) + content
        octets = length.to_bytes((length.bit_length() + 7) // 8)
        return bytes((self.tag, 0x80 | len(octets))) + octets + content


def object_identifier(dotted: str) -> bytes:
    """Return the content octets of an OBJECT IDENTIFIER written as `1.2.840` (section 8.19)."""
    first, second, *rest = map(int, dotted.split("."))
    octets = bytearray()
    for arc in (first * 40 + second, *rest):
        shifts = range(0, max(arc.bit_length(), 1), 7)
        groups = [arc >> shift & 0x7F | (0x80 if shift else 0) for shift in shifts]
        octets += bytes(reversed(groups))
    return bytes(octets)


def dotted_identifier(octets: bytes) -> str:
    """Return the content octets of an OBJECT IDENTIFIER as `1.2.840`. Raises `KeystoreError`."""
    if not octets or octets[-1] & 0x80:
        raise _malformed()
    arcs = [0]
    for octet in octets:
        arcs[-1] = arcs[-1] << 7 | octet & 0x7F
        if arcs[-1].bit_length() > _MAXIMUM_ARC_BITS:
            raise _malformed()
        if not octet & 0x80:
            arcs.append(0)
    # Section 8.19.4: the first two arcs are one number.
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:-1])))


def parse(octets: bytes) -> Element:
    """Return the one element that `octets` are; nothing may follow it. Raises `KeystoreError`."""
    reader = _Reader(octets)
    element = reader.element(len(octets), 0)
    if reader.position != len(octets):
        raise _malformed()
    return element


class _Reader:
    def __init__(self, octets: bytes) -> None:
        self.position = 0
        self._octets = octets
        self._elements = 0

    def element(self, limit: int, depth: int) -> Element:
        """Read the element at the position, which may not go beyond `limit`."""
        self._elements += 1
        if depth > MAXIMUM_DEPTH or self._elements > MAXIMUM_ELEMENTS:
            raise KeystoreError("these bytes are nested too deep, or are too many elements")
        tag, first = self._octet(limit), self._octet(limit)
        if tag & _LONG_TAG == _LONG_TAG:
            raise _malformed()
        if first == _INDEFINITE:
            if not tag & _CONSTRUCTED:
                raise _malformed()
            return Element(tag, b"", self._until_end_of_contents(limit, depth))
        end = self._end(first, limit)
        if tag & _CONSTRUCTED:
            children = []
            while self.position < end:
                children.append(self.element(end, depth + 1))
            return Element(tag, b"", tuple(children))
        content = self._octets[self.position : end]
        self.position = end
        return Element(tag, content, ())

    def _until_end_of_contents(self, limit: int, depth: int) -> tuple[Element, ...]:
        children = []
        while self._octets[self.position : self.position + 2] != _END_OF_CONTENTS:
            children.append(self.element(limit, depth + 1))
        self.position += 2
        if self.position > limit:
            raise _malformed()
        return tuple(children)

    def _end(self, first: int, limit: int) -> int:
        """Return where the content ends whose length begins with the octet `first`."""
        length = first
        if first & 0x80:
            count = first & 0x7F
            if count > 4:
                raise _malformed()
            length = 0
            for _ in range(count):
                length = length << 8 | self._octet(limit)
        end = self.position + length
        if end > limit:
            raise _malformed()
        return end

    def _octet(self, limit: int) -> int:
        if self.position >= limit:
            raise _malformed()
        octet = self._octets[self.position]
        self.position += 1
        return octet


def _malformed() -> KeystoreError:
    return KeystoreError("these bytes are not well-formed BER")
