"""Certificates put on a PKCS#11 token, and certificates and keys taken away from it.

Takes an open read-write session. A certificate gets the CKA_ID of its key, by which NSS and
pkcs11-tool pair them. What fails half-way is taken away again. Raises `TokenError`, or
`KeystoreError` for a nickname that is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pkcs11
from cryptography import x509
from pkcs11 import Attribute, ObjectClass
from pkcs11.util.x509 import decode_x509_certificate

from mailfront.errors import KeystoreError
from mailfront.keystore import formats
from mailfront.keystore.nicknames import nickname_from
from mailfront.keystore.pkcs11.attributes import read_attributes
from mailfront.keystore.pkcs11.objects import (
    PUBLIC_ATTRIBUTES,
    ambiguous,
    objects_of,
    plain_token_errors,
    read_contents,
    require_certificate,
)
from mailfront.keystore.pkcs11.public_keys import key_identifier, public_key_of, servable
from mailfront.keystore.pkcs11.token_records import TokenCertificate, TokenContents, TokenKey
from mailfront.keystore.requests import common_name


def require_free(contents: TokenContents, nickname: str) -> None:
    """Raise `KeystoreError` if a certificate or a key on the token has the nickname."""
    if any(one.nickname == nickname for one in contents.certificates):
        raise KeystoreError(
            f"there is a certificate {contents.token}:{nickname} already",
            remedy="choose another nickname; `msgcert list-certs --token "
            f'"{contents.token}"` shows those in use',
        )
    if any(key.nickname == nickname for key in contents.keys):
        raise KeystoreError(
            f"there is a key {contents.token}:{nickname} already, without certificate",
            remedy=f"install its certificate with `msgcert add-cert {contents.token}:{nickname} "
            "FILE`, or choose another nickname",
        )


def store_certificate(
    session: pkcs11.Session,
    nickname: str,
    chain: Sequence[x509.Certificate],
    key: TokenKey | None,
) -> None:
    """Put a certificate (the first of `chain`) on the token, and those issuers that it lacks.

    The certificate gets the identifier of its key. All of them are stored, or none.
    """
    leaf, *issuers = chain
    identifier = key.identifier if key is not None and key.identifier else _identifier_of(leaf)
    with (
        plain_token_errors(session, "it does not take the certificate"),
        undone_on_failure() as made,
    ):
        made += _stored_issuers(session, issuers)
        made.append(_certificate_object(session, nickname, identifier, leaf))


def replace_certificate(
    session: pkcs11.Session,
    present: TokenCertificate,
    chain: Sequence[x509.Certificate],
    key: TokenKey,
) -> None:
    """Put a renewed certificate in place of the present one, under the same nickname.

    The new one is there before the old one goes: tokens know no transactions, and after a crash in
    between both are there, which is told as ambiguous.
    """
    if chain[0] != present.certificate:
        store_certificate(session, present.nickname, chain, key)
        with plain_token_errors(session, "the old certificate cannot be removed"):
            present.found.destroy()
        return
    with plain_token_errors(session, "it does not take the issuers' certificates"):
        _stored_issuers(session, chain[1:])


def _stored_issuers(
    session: pkcs11.Session, issuers: Sequence[x509.Certificate]
) -> list[pkcs11.Object]:
    """Put those issuers on the token that it lacks, under their common names."""
    present = set(read_contents(session).issuers) if issuers else set()
    return [
        _certificate_object(
            session,
            nickname_from(common_name(issuer.subject)) or "issuer",
            _identifier_of(issuer),
            issuer,
        )
        for issuer in issuers
        if issuer not in present
    ]


def _certificate_object(
    session: pkcs11.Session, nickname: str, identifier: bytes, certificate: x509.Certificate
) -> pkcs11.Object:
    try:
        attributes = decode_x509_certificate(formats.certificate_der(certificate))
    except ValueError as error:
        raise KeystoreError("the certificate is malformed") from error
    return session.create_object(
        {
            **attributes,
            Attribute.TOKEN: True,
            Attribute.PRIVATE: False,
            Attribute.LABEL: nickname,
            Attribute.ID: identifier,
        }
    )


def _identifier_of(certificate: x509.Certificate) -> bytes:
    key = servable(certificate.public_key())
    return b"" if key is None else key_identifier(key)


def remove_entry(session: pkcs11.Session, nickname: str) -> tuple[bool, bool]:
    """Remove the certificate with that nickname, and its key unless another certificate has it;
    or the key without certificate that has it.

    Returns whether a certificate went, and whether a key. Raises `KeystoreError` if nothing has
    the nickname, or several things have.
    """
    contents = read_contents(session)
    certified = {one.public_der for one in contents.certificates}
    waiting = [
        key for key in contents.keys if key.nickname == nickname and key.public_der not in certified
    ]
    if not any(one.nickname == nickname for one in contents.certificates) and waiting:
        if len(waiting) > 1:
            raise ambiguous(contents.token, nickname, waiting)
        remove_key(session, waiting[0])
        return False, True
    present = require_certificate(contents, nickname)
    same = [one for one in contents.certificates if one.certificate == present.certificate]
    key = present.key
    shared = any(
        one.certificate != present.certificate and one.public_der == present.public_der
        for one in contents.certificates
    )
    with plain_token_errors(session, "the certificate cannot be removed"):
        for one in same:
            if one.nickname == nickname:
                one.found.destroy()
    if key is None or shared:
        return True, False
    remove_key(session, key)
    return True, True


def rename_key(session: pkcs11.Session, key: TokenKey, nickname: str) -> TokenKey:
    """Give a private key and its public half another label; a token that refuses keeps the old."""
    try:
        key.found[Attribute.LABEL] = nickname
        for found in _public_objects(session, key):
            found[Attribute.LABEL] = nickname
    except pkcs11.PKCS11Error:
        return key
    return replace(key, nickname=nickname)


def remove_key(session: pkcs11.Session, key: TokenKey) -> None:
    """Remove a private key and its public half."""
    with plain_token_errors(session, "the key cannot be removed"):
        key.found.destroy()
        # What is public of it is of no use any more.
        for found in _public_objects(session, key):
            found.destroy()


def _public_objects(session: pkcs11.Session, key: TokenKey) -> list[pkcs11.Object]:
    if key.public_key is None:
        return []
    return [
        found
        for found in objects_of(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY})
        if public_key_of(read_attributes(found, PUBLIC_ATTRIBUTES)) == key.public_key
    ]


@contextmanager
def undone_on_failure() -> Iterator[list[pkcs11.Object]]:
    """Collect the objects that the block makes; if it fails, they are taken away again."""
    made: list[pkcs11.Object] = []
    try:
        yield made
    except BaseException:
        for one in reversed(made):
            with suppress(pkcs11.PKCS11Error):
                one.destroy()
        raise
