"""Private keys that were made elsewhere, put on a PKCS#11 token, where they stay.

Takes an open read-write session and a key of `cryptography`; it becomes CKA_SENSITIVE and not
CKA_EXTRACTABLE. A token that takes no key in clear (as FIPS 140 demands of some) is given it
encrypted under a key that it made itself for this once. Raises `TokenError` or `KeystoreError`.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pkcs11
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass
from pkcs11.constants import DEFAULT

from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore import formats
from mailfront.keystore.nicknames import check_nickname
from mailfront.keystore.pkcs11.generation import PROTECTED
from mailfront.keystore.pkcs11.objects import find_private_key, plain_token_errors
from mailfront.keystore.pkcs11.public_keys import (
    ServablePublicKey,
    big_integer,
    curve_parameters,
    key_identifier,
    public_key_attributes,
    servable,
)
from mailfront.keystore.pkcs11.storing import undone_on_failure
from mailfront.keystore.pkcs11.token_records import TokenKey

ImportableKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Template = dict[Attribute, object]
SessionTemplate = dict[int, int | bytes | str]
# Tokens allow everything that is not forbidden.
_FOR_NOTHING_ELSE: Template = {Attribute.DECRYPT: False, Attribute.UNWRAP: False}
_WRAPPING_KEY_BITS = 256
_BLOCK = 16


def import_private_key(
    session: pkcs11.Session, nickname: str, private_key: PrivateKeyTypes
) -> TokenKey:
    """Put a private key on the token under a nickname, and return it as it is there.

    A key that is there already is returned as it is. Raises `KeystoreError` for a kind of key that
    no token serves with.
    """
    check_nickname(nickname)
    key, public_key = importable(private_key)
    public_der = formats.public_key_der(public_key)
    if (present := find_private_key(session, public_der)) is not None:
        return present
    identifier = key_identifier(public_key)
    named: Template = {Attribute.TOKEN: True, Attribute.LABEL: nickname, Attribute.ID: identifier}
    with undone_on_failure() as made:
        with plain_token_errors(session, "it takes no private key from outside"):
            made.append(_private_object(session, key, named))
        with plain_token_errors(session, "it does not take the public key"):
            public: Template = {
                Attribute.CLASS: ObjectClass.PUBLIC_KEY,
                Attribute.PRIVATE: False,
                Attribute.VERIFY: True,
                Attribute.ENCRYPT: False,
                Attribute.WRAP: False,
                **named,
                **public_key_attributes(public_key),
            }
            made.append(session.create_object(public))
        found = find_private_key(session, public_der)
        if found is None:
            raise TokenError("the token took the key, and it cannot be found on it")
    return found


def session_key(
    private_key: PrivateKeyTypes, identifier: bytes, label: str
) -> tuple[SessionTemplate, SessionTemplate]:
    """Return the templates of a private key and its public half that a token is to sign with for
    the time of a session, and never stores.

    Raises `KeystoreError` for a kind of key that no token serves with.
    """
    key, public_key = importable(private_key)
    named = {Attribute.TOKEN: False, Attribute.LABEL: label, Attribute.ID: identifier}
    private: Template = {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        **PROTECTED,
        **named,
        **_FOR_NOTHING_ELSE,
        **_private_attributes(key),
    }
    public: Template = {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.PRIVATE: False,
        **named,
        **public_key_attributes(public_key),
    }
    return _plain(private), _plain(public)


def _plain(template: Template) -> SessionTemplate:
    values = {int(kind): value for kind, value in template.items()}
    return {kind: each for kind, each in values.items() if isinstance(each, int | bytes | str)}


def importable(private_key: PrivateKeyTypes) -> tuple[ImportableKey, ServablePublicKey]:
    """Return a key that can be on a token, and its public half. Raises `KeystoreError`."""
    if isinstance(private_key, ImportableKey):
        public_key = servable(private_key.public_key())
        if public_key is not None:
            return private_key, public_key
    raise KeystoreError(
        "only RSA keys, and EC keys on P-256, P-384 and P-521, are put on tokens",
        remedy="keep this one in the internal token: leave out --token",
    )


def _private_object(
    session: pkcs11.Session, private_key: ImportableKey, named: Template
) -> pkcs11.Object:
    template = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, **PROTECTED, **named}
    try:
        return _created(
            session, {**template, **_FOR_NOTHING_ELSE, **_private_attributes(private_key)}
        )
    except pkcs11.PKCS11Error:
        for wrap in (_by_key_wrap, _by_encryption):
            with suppress(pkcs11.PKCS11Error):
                return wrap(session, private_key, template)
        raise


def _created(session: pkcs11.Session, template: Template) -> pkcs11.Object:
    return session.create_object(template)


def _private_attributes(
    private_key: ImportableKey,
) -> Template:
    if isinstance(private_key, ec.EllipticCurvePrivateKey):
        scalar = private_key.private_numbers().private_value
        return {
            Attribute.KEY_TYPE: KeyType.EC,
            Attribute.EC_PARAMS: curve_parameters(private_key.curve),
            Attribute.VALUE: scalar.to_bytes((private_key.key_size + 7) // 8),
        }
    numbers = private_key.private_numbers()
    return {
        Attribute.KEY_TYPE: KeyType.RSA,
        Attribute.MODULUS: big_integer(numbers.public_numbers.n),
        Attribute.PUBLIC_EXPONENT: big_integer(numbers.public_numbers.e),
        Attribute.PRIVATE_EXPONENT: big_integer(numbers.d),
        Attribute.PRIME_1: big_integer(numbers.p),
        Attribute.PRIME_2: big_integer(numbers.q),
        Attribute.EXPONENT_1: big_integer(numbers.dmp1),
        Attribute.EXPONENT_2: big_integer(numbers.dmq1),
        Attribute.COEFFICIENT: big_integer(numbers.iqmp),
    }


def _by_key_wrap(
    session: pkcs11.Session, private_key: ImportableKey, template: Template
) -> pkcs11.Object:
    """Wrap the key under a key of the token that may be read (RFC 5649)."""
    readable: Template = {Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True}
    wrapping_key = _wrapping_key(session, MechanismFlag.UNWRAP, readable)
    wrapped = aes_key_wrap_with_padding(wrapping_key[Attribute.VALUE], _pkcs8(private_key))
    return _unwrapped(
        wrapping_key, private_key, wrapped, template, Mechanism.AES_KEY_WRAP_PAD, None
    )


def _by_encryption(
    session: pkcs11.Session, private_key: ImportableKey, template: Template
) -> pkcs11.Object:
    """Let the token encrypt the key under a key that nobody reads, and unwrap it."""
    wrapping_key = _wrapping_key(session, MechanismFlag.ENCRYPT | MechanismFlag.UNWRAP, {})
    if not isinstance(wrapping_key, pkcs11.EncryptMixin):
        raise pkcs11.FunctionNotSupported
    vector = os.urandom(_BLOCK)
    wrapped = wrapping_key.encrypt(
        _pkcs8(private_key), mechanism=Mechanism.AES_CBC_PAD, mechanism_param=vector
    )
    assert isinstance(wrapped, bytes)
    return _unwrapped(wrapping_key, private_key, wrapped, template, Mechanism.AES_CBC_PAD, vector)


def _wrapping_key(
    session: pkcs11.Session, capabilities: MechanismFlag, template: Template
) -> pkcs11.SecretKey:
    """A key of this session: it is gone with it."""
    return session.generate_key(
        KeyType.AES, _WRAPPING_KEY_BITS, capabilities=capabilities, template=template
    )


def _unwrapped(
    wrapping_key: pkcs11.SecretKey,
    private_key: ImportableKey,
    wrapped: bytes,
    template: Template,
    mechanism: Mechanism,
    parameter: bytes | None,
) -> pkcs11.Object:
    if not isinstance(wrapping_key, pkcs11.UnwrapMixin):
        raise pkcs11.FunctionNotSupported
    # What no private key has; some tokens refuse a template that names it.
    for attribute in (Attribute.ENCRYPT, Attribute.WRAP, Attribute.VERIFY):
        template = {**template, attribute: DEFAULT}
    return wrapping_key.unwrap_key(
        ObjectClass.PRIVATE_KEY,
        KeyType.RSA if isinstance(private_key, rsa.RSAPrivateKey) else KeyType.EC,
        wrapped,
        mechanism=mechanism,
        mechanism_param=parameter,
        store=True,
        capabilities=MechanismFlag.SIGN,
        template=template,
    )


def _pkcs8(private_key: ImportableKey) -> bytes:
    return private_key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
