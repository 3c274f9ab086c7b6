"""Search filters as text (RFC 4515) into the encoding of a search request (RFC 4511 4.5.1.7).

Takes a filter that an operator wrote, or that was written from a `Filter`, returns its octets.
Bounded in depth and length, and total: octets or `ConfigurationError`.
"""

from __future__ import annotations

import re

from mailfront.errors import ConfigurationError
from mailfront.protocol.ldap_filter import is_attribute_description
from mailfront.protocol.ldap_messages import element

MAXIMUM_CHARACTERS = 65536
MAXIMUM_DEPTH = 32

_OCTET_STRING, _SEQUENCE = 0x04, 0x30
_SETS = {"&": 0xA0, "|": 0xA1}
_NOT, _EQUALITY, _SUBSTRINGS, _PRESENT, _EXTENSIBLE = 0xA2, 0xA3, 0xA4, 0x87, 0xA9
_COMPARISONS = {">": 0xA5, "<": 0xA6, "~": 0xA8}
_INITIAL, _ANY, _FINAL = 0x80, 0x81, 0x82
_RULE, _TYPE, _VALUE, _DN_ATTRIBUTES = 0x81, 0x82, 0x83, 0x84
_ITEM = re.compile(r"([^=()*\\\0]*?)([~<>]?=)((?:[^()\\\0]|\\[0-9A-Fa-f]{2})*)\)", re.DOTALL)
_ESCAPED = re.compile(rb"\\([0-9A-Fa-f]{2})")
_EXTENSIBLE_NAME = re.compile(r"([^:]*)(:dn)?(?::([^:]+))?:")


def encode_filter(text: str) -> bytes:
    """Return the octets of the filter `text`. Raises `ConfigurationError`."""
    if len(text) > MAXIMUM_CHARACTERS:
        raise _fault("too long")
    encoded, end = _filter(text, 0, 0)
    if end != len(text):
        raise _fault("something follows it")
    return encoded


def _filter(text: str, start: int, depth: int) -> tuple[bytes, int]:
    """Return the filter that begins at `start`, and where it ends."""
    if depth > MAXIMUM_DEPTH:
        raise _fault("too deep")
    if text[start : start + 1] != "(":
        raise _fault("a filter begins with (")
    operator, position = text[start + 1 : start + 2], start + 2
    if operator in _SETS:
        parts = []
        while text[position : position + 1] == "(":
            part, position = _filter(text, position, depth + 1)
            parts.append(part)
        encoded = element(_SETS[operator], b"".join(parts))
    elif operator == "!":
        part, position = _filter(text, position, depth + 1)
        encoded = element(_NOT, part)
    else:
        item = _ITEM.match(text, start + 1)
        if item is None:
            raise _fault("not of the form (attribute=value)")
        return _item(item[1], item[2], item[3]), item.end()
    if text[position : position + 1] != ")":
        raise _fault("a ) is missing")
    return encoded, position + 1


def _item(name: str, operator: str, value: str) -> bytes:
    if operator == "=" and name.endswith(":"):
        return _extensible(name, value)
    if not is_attribute_description(name):
        raise _fault("not the name of an attribute")
    attribute = element(_OCTET_STRING, name.encode("ascii"))
    if operator != "=":
        return element(
            _COMPARISONS[operator[0]], attribute + element(_OCTET_STRING, _octets(value))
        )
    if value == "*":
        return element(_PRESENT, name.encode("ascii"))
    if "*" not in value:
        return element(_EQUALITY, attribute + element(_OCTET_STRING, _octets(value)))
    initial, *middle, final = value.split("*")
    kinds = [(_INITIAL, initial), *((_ANY, each) for each in middle), (_FINAL, final)]
    pieces = b"".join(element(kind, _octets(piece)) for kind, piece in kinds if piece)
    if not pieces:
        raise _fault("a substring is empty")
    return element(_SUBSTRINGS, attribute + element(_SEQUENCE, pieces))


def _extensible(name: str, value: str) -> bytes:
    parts = _EXTENSIBLE_NAME.fullmatch(name)
    if parts is None or "*" in value:
        raise _fault("not an extensible match")
    attribute, whole_name, rule = parts.groups()
    if any(given and not is_attribute_description(given) for given in (attribute, rule)):
        raise _fault("not the name of an attribute or a rule")
    if not (attribute or rule):
        raise _fault("an extensible match without attribute and rule")
    encoded = element(_RULE, rule.encode("ascii")) if rule else b""
    encoded += element(_TYPE, attribute.encode("ascii")) if attribute else b""
    encoded += element(_VALUE, _octets(value))
    encoded += element(_DN_ATTRIBUTES, b"\xff") if whole_name else b""
    return element(_EXTENSIBLE, encoded)


def _octets(value: str) -> bytes:
    octets = value.encode("utf-8", "surrogatepass")
    return _ESCAPED.sub(lambda escaped: bytes((int(escaped[1], 16),)), octets)


def _fault(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"not an LDAP search filter: {what}", remedy="RFC 4515 says how one is written"
    )
