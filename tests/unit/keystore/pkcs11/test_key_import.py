"""Keys that were made elsewhere are put on a token, and stay there."""

from __future__ import annotations

import pkcs11
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pkcs11 import Attribute, ObjectClass

from mailfront.errors import KeystoreError
from mailfront.keystore.pkcs11 import key_import
from mailfront.keystore.pkcs11.external_token import ExternalToken
from mailfront.keystore.pkcs11.key_import import ImportableKey, Template, import_private_key
from mailfront.keystore.pkcs11.objects import read_contents

KEYS: list[ImportableKey] = [
    rsa.generate_private_key(65537, 2048),
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP384R1()),
    # The scalar is shorter than the curve: zeros in front.
    ec.derive_private_key(5, ec.SECP256R1()),
]


@pytest.mark.parametrize("private_key", KEYS)
def test_an_imported_key_signs_and_cannot_leave(
    session: pkcs11.Session, private_key: ImportableKey
) -> None:
    key = import_private_key(session, "imap", private_key)
    assert key.public_key == private_key.public_key()
    assert key.protection.sensitive is True
    assert key.protection.extractable is False
    assert key.protection.local is False
    ExternalToken(session).prove(key)
    assert key.found[Attribute.DECRYPT] is False


def test_a_key_that_is_there_already_is_not_put_there_twice(session: pkcs11.Session) -> None:
    first = import_private_key(session, "imap", KEYS[1])
    assert import_private_key(session, "other", KEYS[1]) == first
    assert len(read_contents(session).keys) == 1


def test_other_kinds_are_refused(session: pkcs11.Session) -> None:
    for key in (
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP256K1()),
    ):
        with pytest.raises(KeystoreError, match="only RSA keys"):
            import_private_key(session, "imap", key)


@pytest.mark.parametrize("private_key", KEYS)
def test_a_token_that_takes_no_key_in_clear_unwraps_it(
    session: pkcs11.Session, private_key: ImportableKey
) -> None:
    def refuse(*_: object) -> pkcs11.Object:
        raise pkcs11.TemplateInconsistent

    with pytest.MonkeyPatch.context() as patch:
        # SoftHSM takes keys in clear; this is what another token would answer.
        patch.setattr(key_import, "_created", refuse)
        key = import_private_key(session, "imap", private_key)
    assert key.public_key == private_key.public_key()
    assert str(key.protection) == "sensitive"
    ExternalToken(session).prove(key)
    # The key that it was wrapped under is no object of the token.
    secrets = session.get_objects({Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.TOKEN: True})
    assert list(secrets) == []


def test_what_fails_half_way_leaves_nothing(
    session: pkcs11.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(key: object) -> Template:
        raise pkcs11.DeviceMemory

    monkeypatch.setattr(key_import, "public_key_attributes", refuse)
    with pytest.raises(KeystoreError, match="DeviceMemory"):
        import_private_key(session, "imap", KEYS[1])
    assert list(session.get_objects({Attribute.CLASS: ObjectClass.PRIVATE_KEY})) == []
