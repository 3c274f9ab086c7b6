"""The certificates and private keys on a PKCS#11 token: listed, found, paired.

Takes an open session of python-pkcs11, logged in; returns the values of `token_records`. Whatever
else is on the token stands in nobody's way: kinds that are unknown, certificates that do not
parse, labels in any encoding. Searches are bounded. Raises `TokenError`, or `KeystoreError` for a
nickname that names nothing or more than one thing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice

import pkcs11
from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Attribute, CertificateType, KeyType, ObjectClass

from mailfront.errors import KeystoreError, TokenError
from mailfront.keystore import formats
from mailfront.keystore.nicknames import unknown_nickname
from mailfront.keystore.pkcs11.attributes import flag, octets, read_attributes, text
from mailfront.keystore.pkcs11.public_keys import (
    ServablePublicKey,
    curve_parameters,
    key_identifier,
    public_key_of,
    servable,
)
from mailfront.keystore.pkcs11.sessions import token_error
from mailfront.keystore.pkcs11.token_records import (
    KeyProtection,
    TokenCertificate,
    TokenContents,
    TokenKey,
    nickname_of,
    with_keys,
)

# Far more than any token of a server holds; what has more is told, not read for minutes.
MAXIMUM_OBJECTS = 10_000
_FAMILIES: dict[object, str] = {KeyType.RSA: "rsa", KeyType.EC: "ec"}
_NAMED = (Attribute.LABEL, Attribute.ID)
PUBLIC_ATTRIBUTES = (
    *_NAMED,
    Attribute.KEY_TYPE,
    Attribute.MODULUS,
    Attribute.PUBLIC_EXPONENT,
    Attribute.EC_PARAMS,
    Attribute.EC_POINT,
)
_PROTECTION = (
    Attribute.SENSITIVE,
    Attribute.ALWAYS_SENSITIVE,
    Attribute.EXTRACTABLE,
    Attribute.NEVER_EXTRACTABLE,
    Attribute.LOCAL,
    Attribute.ALWAYS_AUTHENTICATE,
)
_CERTIFICATE = (*_NAMED, Attribute.CERTIFICATE_TYPE, Attribute.VALUE)


@contextmanager
def plain_token_errors(session: pkcs11.Session, doing: str) -> Iterator[None]:
    """Tell what a module answers during the block as a `TokenError` that names the token."""
    try:
        yield
    except pkcs11.PKCS11Error as error:
        raise token_error(error, f"the token {session.token.label!r}: {doing}") from error


def read_contents(session: pkcs11.Session) -> TokenContents:
    """Return all certificates and private keys of the token, each certificate with its key."""
    token = session.token.label
    unusable: list[str] = []
    with plain_token_errors(session, "its objects cannot be read"):
        certificates = list(_certificates(session, unusable))
        keys = _keys_with_halves(session, {}, certificates)
    for key in keys:
        if key.family not in _FAMILIES.values():
            unusable.append(f"the key {key.nickname!r} is of no kind for TLS ({key.family})")
        elif key.public_key is None:
            unusable.append(f"nothing on the token tells the public half of {key.nickname!r}")
    paired = with_keys(certificates, keys)
    return TokenContents(token, tuple(paired), tuple(keys), tuple(unusable))


def find_certificate(session: pkcs11.Session, nickname: str) -> TokenCertificate:
    """Return the certificate with that nickname, and its key if that is on the token.

    Raises `KeystoreError` if there is none, or several that differ.
    """
    contents = read_contents(session)
    return require_certificate(contents, nickname)


def require_certificate(contents: TokenContents, nickname: str) -> TokenCertificate:
    """Return the certificate with that nickname out of what a token holds; see above."""
    named = [one for one in contents.certificates if one.nickname == nickname]
    if not named:
        if any(key.nickname == nickname for key in contents.keys):
            raise KeystoreError(
                f"{contents.token}:{nickname} is a key without certificate on this token",
                remedy="install the CA's answer with `msgcert add-cert "
                f'"{contents.token}:{nickname}" FILE`',
            )
        near = unknown_nickname(nickname, {one.nickname for one in contents.certificates}).remedy
        listed = f'`msgcert list-certs --token "{contents.token}"` shows what is there'
        raise KeystoreError(
            f"there is no certificate with the nickname {nickname!r} on the token "
            f"{contents.token!r}",
            remedy=near if near.startswith("did you mean") else listed,
        )
    if len({one.certificate for one in named}) > 1:
        raise ambiguous(contents.token, nickname, named)
    # The same certificate twice is one; that with the key counts.
    return next((one for one in named if one.key is not None), named[0])


def find_private_key(session: pkcs11.Session, public_key_der: bytes) -> TokenKey | None:
    """Return the private key of that public key (SubjectPublicKeyInfo), or None."""
    try:
        wanted = servable(formats.load_public_key(public_key_der))
    except KeystoreError:
        return None
    if wanted is None:
        return None
    derived = key_identifier(wanted)
    with plain_token_errors(session, "its keys cannot be read"):
        # The identifier of NSS first: on a token with thousands of keys that is one question.
        for key in _keys_with_halves(session, {Attribute.ID: derived}, ()):
            if key.public_der == public_key_der:
                return key
            if key.public_key is None and key.family == formats.key_type(wanted):
                return replace(key, public_key=wanted)
        for key in _keys_with_halves(session, {}, list(_certificates(session, []))):
            if key.public_der == public_key_der:
                return key
    return None


def ambiguous(
    token: str, nickname: str, named: Sequence[TokenCertificate | TokenKey]
) -> KeystoreError:
    """Return the error for a nickname that several objects have."""
    identifiers = ", ".join(one.identifier.hex() or "none" for one in named)
    return KeystoreError(
        f"{len(named)} objects on the token {token!r} have the label {nickname!r} (CKA_ID: "
        f"{identifiers})",
        remedy="delete those that are not wanted, or give each a label of its own, with the "
        "token's tool, such as pkcs11-tool",
    )


def objects_of(
    session: pkcs11.Session, template: Mapping[Attribute, object]
) -> list[pkcs11.Object]:
    """Return the objects that match. Raises `TokenError` for more than `MAXIMUM_OBJECTS`."""
    found = list(islice(session.get_objects(dict(template)), MAXIMUM_OBJECTS + 1))
    if len(found) > MAXIMUM_OBJECTS:
        raise TokenError(
            f"the token {session.token.label!r} holds more than {MAXIMUM_OBJECTS} objects of a kind"
        )
    return found


def _certificates(session: pkcs11.Session, unusable: list[str]) -> Iterator[TokenCertificate]:
    for found in objects_of(session, {Attribute.CLASS: ObjectClass.CERTIFICATE}):
        values = read_attributes(found, _CERTIFICATE)
        identifier = octets(values, Attribute.ID)
        nickname = nickname_of(text(values, Attribute.LABEL), identifier)
        if values.get(Attribute.CERTIFICATE_TYPE, CertificateType.X_509) != CertificateType.X_509:
            unusable.append(f"the certificate {nickname!r} is not an X.509 certificate")
            continue
        try:
            certificate = formats.load_certificate(octets(values, Attribute.VALUE))
            formats.require_readable(certificate)
        except KeystoreError as error:
            unusable.append(f"the certificate {nickname!r} cannot be read: {error.what}")
            continue
        yield TokenCertificate(session.token.label, nickname, identifier, certificate, None, found)


def _private_keys(
    session: pkcs11.Session, template: Mapping[Attribute, object], public_halves: _PublicHalves
) -> Iterator[TokenKey]:
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, **template}
    for found in objects_of(session, wanted):
        if not isinstance(found, pkcs11.PrivateKey):
            continue
        values = read_attributes(found, (*PUBLIC_ATTRIBUTES, *_PROTECTION))
        identifier = octets(values, Attribute.ID)
        yield TokenKey(
            token=session.token.label,
            nickname=nickname_of(text(values, Attribute.LABEL), identifier),
            identifier=identifier,
            family=_family(values.get(Attribute.KEY_TYPE)),
            public_key=public_key_of(values) or public_halves.of(values),
            protection=KeyProtection(*(flag(values, one) for one in _PROTECTION)),
            found=found,
        )


def _family(kind: object) -> str:
    if isinstance(kind, KeyType):
        return _FAMILIES.get(kind, kind.name)
    return f"type {kind:#x}" if isinstance(kind, int) else "unknown"


# Public keys by their DER: they cannot be members of sets.
_Candidates = dict[bytes, ServablePublicKey]


def _add(
    candidates: dict[bytes | str, _Candidates], name: bytes | str, key: ServablePublicKey
) -> None:
    candidates.setdefault(name, {})[formats.public_key_der(key)] = key


class _PublicHalves:
    """The public keys that a token tells, for private keys that do not tell theirs.

    They belong together by CKA_ID (PKCS#11 section 4.9); without one by their label, if no other
    key has it.
    """

    def __init__(
        self, public_keys: Iterable[pkcs11.Object], certificates: Iterable[TokenCertificate]
    ) -> None:
        self._named: dict[bytes | str, _Candidates] = {}
        for found in public_keys:
            values = read_attributes(found, PUBLIC_ATTRIBUTES)
            if (key := public_key_of(values)) is not None:
                _add(self._named, _name(values), key)
        self._certified: dict[bytes | str, _Candidates] = {}
        for one in certificates:
            if one.identifier and one.public_der:
                key = servable(one.certificate.public_key())
                if key is not None:
                    _add(self._certified, one.identifier, key)

    def of(self, private: Mapping[int, object]) -> ServablePublicKey | None:
        """Return the public half of an EC key with these attributes, unless it is ambiguous."""
        parameters = octets(private, Attribute.EC_PARAMS)
        for candidates in (
            self._named.get(_name(private), {}),
            self._certified.get(octets(private, Attribute.ID), {}),
        ):
            fitting = [
                key
                for key in candidates.values()
                if isinstance(key, ec.EllipticCurvePublicKey)
                and curve_parameters(key.curve) == parameters
            ]
            if len(fitting) == 1:
                return fitting[0]
        return None


def _name(values: Mapping[int, object]) -> bytes | str:
    return octets(values, Attribute.ID) or text(values, Attribute.LABEL)


def _keys_with_halves(
    session: pkcs11.Session,
    template: Mapping[Attribute, object],
    certificates: Iterable[TokenCertificate],
) -> list[TokenKey]:
    public_keys = objects_of(session, {Attribute.CLASS: ObjectClass.PUBLIC_KEY, **template})
    return list(_private_keys(session, template, _PublicHalves(public_keys, certificates)))
