"""The MAC of a PKCS#12 file: the library checks it, with the right password only."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

from mailfront.interfaces.secret import Secret
from mailfront.keystore import ber
from mailfront.keystore.pkcs12_mac import with_strong_mac
from tests.support.keystores import self_signed

KEY, CERTIFICATE = self_signed()


def file(password: Secret) -> bytes:
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1)
    secret = password.reveal().encode()
    return pkcs12.serialize_key_and_certificates(
        b"x", KEY, CERTIFICATE, None, builder.build(secret)
    )


@pytest.mark.parametrize("text", ["x", "pässword: öne", "a" * 32, "𝄞 clef", "long " * 100])
def test_the_library_takes_it_for_the_right_password_only(text: str) -> None:
    strong = with_strong_mac(file(Secret(text)), Secret(text), 4000)
    assert pkcs12.load_pkcs12(strong, text.encode()).key
    with pytest.raises(ValueError, match="password"):
        pkcs12.load_pkcs12(with_strong_mac(file(Secret(text)), Secret("other"), 10), text.encode())


def test_the_iterations_are_those_asked_for_and_the_salt_is_new() -> None:
    plain = file(Secret("x"))
    macs = [ber.parse(with_strong_mac(plain, Secret("x"), 4000)).children[2] for _ in range(2)]
    assert [mac.children[2].number() for mac in macs] == [4000, 4000]
    assert macs[0].children[1] != macs[1].children[1]
    assert len(macs[0].children[1].string()) == 16
