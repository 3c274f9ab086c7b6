"""Attributes of PKCS#11 objects, read so that no foreign object can stand in the way of the others.

`TolerantAttributes` is given to `pkcs11.Token.open`: numbers that the library does not know stay
numbers, and labels that are no UTF-8 keep their octets. `read_attributes` returns those that an
object has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from enum import IntEnum

import pkcs11
from pkcs11 import Attribute, CertificateType, KeyType, Mechanism, ObjectClass
from pkcs11.attributes import AttributeMapper, handle_ulong

_ENUMERATIONS: tuple[tuple[Attribute, type[IntEnum]], ...] = (
    (Attribute.CLASS, ObjectClass),
    (Attribute.KEY_TYPE, KeyType),
    (Attribute.CERTIFICATE_TYPE, CertificateType),
    (Attribute.KEY_GEN_MECHANISM, Mechanism),
)


class TolerantAttributes(AttributeMapper):
    """Translates attributes as the library does, but raises for no value that a token returns."""

    def __init__(self) -> None:
        super().__init__()
        for attribute, known in _ENUMERATIONS:
            self.register_handler(attribute, handle_ulong[0], _member_or_number(known))
        self.register_handler(
            Attribute.LABEL,
            lambda text: text.encode(errors="surrogateescape"),
            lambda octets: octets.decode(errors="surrogateescape"),
        )


def _member_or_number(known: type[IntEnum]) -> Callable[[bytes], int]:
    members = {member.value: member for member in known}

    def unpack(octets: bytes) -> int:
        number: int = handle_ulong[1](octets)
        return members.get(number, number)

    return unpack


def read_attributes(found: pkcs11.Object, wanted: Sequence[Attribute]) -> dict[int, object]:
    """Return those of the attributes `wanted` that the object has and the token tells."""
    with suppress(pkcs11.PKCS11Error, ValueError, NotImplementedError):
        known = found.get_attributes(list(wanted))
        return {int(attribute): value for attribute, value in known.items()}
    # One that cannot be read, or makes no sense, must not hide the others.
    values: dict[int, object] = {}
    for attribute in wanted:
        with suppress(pkcs11.PKCS11Error, ValueError, NotImplementedError):
            values[attribute] = found[attribute]
    return values


def octets(values: Mapping[int, object], attribute: Attribute) -> bytes:
    """Return an attribute that is octets, empty if the object has none."""
    value = values.get(attribute)
    return value if isinstance(value, bytes) else b""


def text(values: Mapping[int, object], attribute: Attribute) -> str:
    """Return an attribute that is text, empty if the object has none."""
    value = values.get(attribute)
    return value.rstrip("\0") if isinstance(value, str) else ""


def flag(values: Mapping[int, object], attribute: Attribute) -> bool | None:
    """Return an attribute that is yes or no, None if the token does not tell."""
    value = values.get(attribute)
    return value if isinstance(value, bool) else None
