"""Attributes: whatever a token returns is read, and nothing of it stops the rest."""

from __future__ import annotations

import pkcs11
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, KeyType, ObjectClass

from mailfront.keystore.pkcs11.attributes import (
    TolerantAttributes,
    flag,
    octets,
    read_attributes,
    text,
)

MAPPER = TolerantAttributes()


@given(st.binary(max_size=60))
def test_a_label_keeps_any_octets(label: bytes) -> None:
    read = MAPPER.unpack_attributes(Attribute.LABEL, label)
    assert MAPPER.pack_attribute(Attribute.LABEL, read) == label


@given(st.integers(0, 2**64 - 1))
def test_an_unknown_number_stays_a_number(number: int) -> None:
    packed = number.to_bytes(8, "little")
    for attribute in (Attribute.CLASS, Attribute.KEY_TYPE, Attribute.CERTIFICATE_TYPE):
        assert MAPPER.unpack_attributes(attribute, packed) == number


def test_a_known_number_is_the_librarys_constant() -> None:
    packed = MAPPER.pack_attribute(Attribute.CLASS, ObjectClass.PRIVATE_KEY)
    assert MAPPER.unpack_attributes(Attribute.CLASS, packed) is ObjectClass.PRIVATE_KEY
    assert isinstance(MAPPER.unpack_attributes(Attribute.KEY_TYPE, bytes(8)), KeyType)


def test_values_of_the_wrong_type_count_as_absent() -> None:
    values: dict[int, object] = {Attribute.ID: "text", Attribute.LABEL: b"octets"}
    assert octets(values, Attribute.ID) == b""
    assert text(values, Attribute.LABEL) == ""
    assert flag(values, Attribute.SENSITIVE) is None
    assert flag({Attribute.SENSITIVE: False}, Attribute.SENSITIVE) is False
    assert text({Attribute.LABEL: "padded\0\0"}, Attribute.LABEL) == "padded"


def test_what_an_object_lacks_or_hides_is_left_out(session: pkcs11.Session) -> None:
    secret = session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: "\udcff, odd",
            Attribute.SENSITIVE: True,
            Attribute.EXTRACTABLE: False,
            Attribute.VALUE: bytes(32),
        }
    )
    wanted = (Attribute.LABEL, Attribute.VALUE, Attribute.MODULUS, Attribute.SENSITIVE)
    values = read_attributes(secret, wanted)
    assert values == {Attribute.LABEL: "\udcff, odd", Attribute.SENSITIVE: True}


def test_one_unreadable_attribute_hides_no_other(
    session: pkcs11.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = session.create_object(
        {Attribute.CLASS: ObjectClass.DATA, Attribute.LABEL: "data", Attribute.VALUE: b"x"}
    )
    assert read_attributes(data, (Attribute.LABEL, Attribute.ID)) == {Attribute.LABEL: "data"}
    # No handler of the library knows this one.
    assert read_attributes(data, (Attribute.LABEL, Attribute.AC_ISSUER)) == {
        Attribute.LABEL: "data"
    }
