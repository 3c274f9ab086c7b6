"""Public keys out of attributes, attributes out of public keys, and the identifier of both."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from pkcs11 import Attribute, KeyType

from mailfront.keystore.pkcs11.public_keys import (
    ServablePublicKey,
    curve_parameters,
    key_identifier,
    public_key_attributes,
    public_key_of,
    servable,
)

CURVES: list[ec.EllipticCurve] = [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()]
RSA_KEY = rsa.generate_private_key(65537, 2048).public_key()
EC_KEYS = [ec.generate_private_key(curve).public_key() for curve in CURVES]
KEYS: list[ServablePublicKey] = [RSA_KEY, *EC_KEYS]


def bare_point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


def attributes(key: ServablePublicKey) -> dict[int, object]:
    return {int(name): value for name, value in public_key_attributes(key).items()}


@pytest.mark.parametrize("key", KEYS)
def test_a_key_comes_back_out_of_its_attributes(key: ServablePublicKey) -> None:
    assert public_key_of(attributes(key)) == key


@pytest.mark.parametrize("key", EC_KEYS)
def test_a_point_need_not_be_wrapped(key: ec.EllipticCurvePublicKey) -> None:
    assert public_key_of({**attributes(key), Attribute.EC_POINT: bare_point(key)}) == key


def test_bare_points_that_look_wrapped_are_read_by_the_size_of_the_curve() -> None:
    # The first octet of x is what would be the length of an OCTET STRING.
    scalar = next(
        number
        for number in range(1, 5000)
        if bare_point(ec.derive_private_key(number, ec.SECP256R1()).public_key())[1] == 63
    )
    key = ec.derive_private_key(scalar, ec.SECP256R1()).public_key()
    assert public_key_of({**attributes(key), Attribute.EC_POINT: bare_point(key)}) == key


def test_a_private_rsa_key_may_leave_out_the_usual_exponent() -> None:
    known = attributes(RSA_KEY)
    del known[Attribute.PUBLIC_EXPONENT]
    assert public_key_of(known) == RSA_KEY


def test_a_private_ec_key_does_not_tell_its_public_half() -> None:
    known = attributes(EC_KEYS[0])
    del known[Attribute.EC_POINT]
    assert public_key_of(known) is None


@given(
    st.dictionaries(
        st.sampled_from(
            [Attribute.MODULUS, Attribute.PUBLIC_EXPONENT, Attribute.EC_PARAMS, Attribute.EC_POINT]
        ).map(int),
        st.binary(max_size=140) | st.none() | st.sampled_from([curve_parameters(CURVES[0])]),
    ),
    st.sampled_from([KeyType.RSA, KeyType.EC, KeyType.AES, 0x80000001, None]),
)
def test_any_attributes_give_a_key_or_none(known: dict[int, object], kind: int | None) -> None:
    public_key_of({**known, Attribute.KEY_TYPE: kind})


@given(st.binary(max_size=140))
def test_any_point_gives_a_key_of_its_curve_or_none(point: bytes) -> None:
    found = public_key_of({**attributes(EC_KEYS[0]), Attribute.EC_POINT: point})
    assert found is None or found.key_size == 256


def test_the_identifier_is_the_digest_that_nss_makes_of_the_public_value() -> None:
    modulus = RSA_KEY.public_numbers().n.to_bytes(256)
    assert key_identifier(RSA_KEY) == hashlib.sha1(modulus).digest()
    assert key_identifier(EC_KEYS[0]) == hashlib.sha1(bare_point(EC_KEYS[0])).digest()


def test_only_rsa_and_the_curves_of_tls_are_servable() -> None:
    assert all(servable(key) is key for key in KEYS)
    assert servable(ed25519.Ed25519PrivateKey.generate().public_key()) is None
    other = ec.generate_private_key(ec.SECP256K1()).public_key()
    assert servable(other) is None
    with pytest.raises(ValueError, match="secp256k1"):
        curve_parameters(ec.SECP256K1())
