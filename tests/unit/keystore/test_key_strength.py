"""Keys of today are strong enough, those of twenty years ago are not."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailfront.errors import KeystoreError
from mailfront.keystore import requests
from mailfront.keystore.key_strength import require_strength, weakness


@pytest.mark.parametrize("family", requests.KEY_TYPES)
def test_the_keys_that_we_make_are_strong(family: str) -> None:
    key = requests.KeyKind(family).generate().public_key()
    assert weakness(key) == ""
    require_strength(key)


def test_rsa_below_2048_bits_is_weak_and_the_way_out_is_named() -> None:
    key = rsa.generate_private_key(65537, 1024).public_key()
    assert "RSA 1024 is too weak" in weakness(key)
    with pytest.raises(KeystoreError, match="--allow-weak"):
        require_strength(key)


def test_small_curves_are_weak() -> None:
    assert "too weak" in weakness(ec.generate_private_key(ec.SECP192R1()).public_key())
