"""Making a key pair on a PKCS#11 token.

Takes an open read-write session; the private key is made there and never leaves it:
CKA_SENSITIVE, not CKA_EXTRACTABLE, for signing alone. Both halves have the CKA_ID that NSS would
give them. Raises `TokenError`, or `KeystoreError` for what cannot be made.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pkcs11
from pkcs11 import Attribute, KeyType, MechanismFlag
from pkcs11.constants import DEFAULT

from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore import formats
from mailfront.keystore.nicknames import check_nickname
from mailfront.keystore.pkcs11.attributes import read_attributes
from mailfront.keystore.pkcs11.objects import (
    PUBLIC_ATTRIBUTES,
    find_private_key,
    plain_token_errors,
    read_contents,
)
from mailfront.keystore.pkcs11.public_keys import curve_parameters, key_identifier, public_key_of
from mailfront.keystore.pkcs11.storing import require_free, undone_on_failure
from mailfront.keystore.pkcs11.token_records import TokenKey
from mailfront.keystore.requests import CURVES, RSA_SIZES, KeyKind

_IDENTIFIER_OCTETS = 20
Template = dict[Attribute, object]
# CKA_TOKEN, CKA_ID and CKA_LABEL come from the arguments of the library's call.
PROTECTED: Template = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.SIGN: True,
}
_PUBLIC: Template = {Attribute.PRIVATE: False}
_SIGNING = MechanismFlag.SIGN | MechanismFlag.VERIFY
# What a key is not for is forbidden to it, for tokens allow everything by default. There are tokens
# (tpm2-pkcs11) that do not take a word about these two, so they are forbidden afterwards.
_UNSAID_PUBLIC: Template = {**_PUBLIC, Attribute.ENCRYPT: DEFAULT}
_UNSAID_PRIVATE: Template = {**PROTECTED, Attribute.DECRYPT: DEFAULT}
_TEMPLATE_REFUSED = (
    pkcs11.AttributeReadOnly,
    pkcs11.AttributeTypeInvalid,
    pkcs11.AttributeValueInvalid,
    pkcs11.FunctionFailed,
    pkcs11.GeneralError,
    pkcs11.TemplateIncomplete,
    pkcs11.TemplateInconsistent,
)


def generate_key_pair(session: pkcs11.Session, nickname: str, kind: KeyKind) -> TokenKey:
    """Make a key pair on the token, whose private half never leaves it, and return it.

    Raises `KeystoreError` if the nickname is taken, or such keys are not made on tokens.
    """
    kind.check()
    check_nickname(nickname)
    if kind.family not in ("rsa", "ec"):
        raise KeystoreError(
            f"keys of the type {kind.family} are not made on tokens", remedy="use ec or rsa"
        )
    require_free(read_contents(session), nickname)
    with plain_token_errors(session, f"it does not make a key of {_kind_text(kind)}"):
        pair = _generated(session, nickname, kind)
    with undone_on_failure() as made:
        made += pair
        return _identified(session, *pair)


def _generated(
    session: pkcs11.Session, nickname: str, kind: KeyKind
) -> tuple[pkcs11.PublicKey, pkcs11.PrivateKey]:
    try:
        public, private = _pair(session, nickname, kind, _UNSAID_PUBLIC, _UNSAID_PRIVATE)
    except _TEMPLATE_REFUSED:
        # Others want to be told everything at once.
        return _pair(session, nickname, kind, _PUBLIC, PROTECTED)
    with suppress(pkcs11.PKCS11Error):
        private[Attribute.DECRYPT] = False
        public[Attribute.ENCRYPT] = False
    return public, private


def _pair(
    session: pkcs11.Session, nickname: str, kind: KeyKind, public: Template, private: Template
) -> tuple[pkcs11.PublicKey, pkcs11.PrivateKey]:
    # The identifier that follows from the public half can only be known afterwards.
    identifier = os.urandom(_IDENTIFIER_OCTETS)
    if kind.family == "rsa":
        return session.generate_keypair(
            KeyType.RSA,
            kind.size or RSA_SIZES[0],
            id=identifier,
            label=nickname,
            store=True,
            capabilities=_SIGNING,
            public_template=public,
            private_template=private,
        )
    curve = CURVES[(kind.curve or "P-256").upper()]
    parameters = session.create_domain_parameters(
        KeyType.EC, {Attribute.EC_PARAMS: curve_parameters(curve())}, local=True
    )
    return parameters.generate_keypair(
        id=identifier,
        label=nickname,
        store=True,
        capabilities=_SIGNING,
        public_template=public,
        private_template=private,
    )


def _identified(
    session: pkcs11.Session, public: pkcs11.PublicKey, private: pkcs11.PrivateKey
) -> TokenKey:
    public_key = public_key_of(read_attributes(public, PUBLIC_ATTRIBUTES))
    if public_key is None:
        raise TokenError("the token made a key and does not tell its public half")
    # Some tokens do not change identifiers; then the random one pairs as well.
    with suppress(pkcs11.PKCS11Error):
        public[Attribute.ID] = key_identifier(public_key)
        private[Attribute.ID] = key_identifier(public_key)
    key = find_private_key(session, formats.public_key_der(public_key))
    if key is None:
        raise TokenError("the token made a key that cannot be found on it")
    return key


def _kind_text(kind: KeyKind) -> str:
    if kind.family == "rsa":
        return f"RSA {kind.size or RSA_SIZES[0]}"
    return f"EC {kind.curve or 'P-256'}"
