"""The whole keystore as services see it: the internal token and the tokens of PKCS#11 modules.

Takes nicknames as options have them, `token:nickname` or the nickname alone for the internal
token, and returns records and credentials for TLS. A certificate may be on one token and its key
on another: they are matched by the public key. What is on the tokens is what the last survey
found; `look_at_tokens` makes a new one. Raises `TokenError` for what is on a token that cannot be
used now, `KeystoreError` for what is not there at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from cryptography import x509

from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import formats
from mailfront.keystore.chain import build_chain
from mailfront.keystore.importing import known_issuers
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import QualifiedNickname, parse_personality, unknown_nickname
from mailfront.keystore.passwords import read_password
from mailfront.keystore.pkcs11.key_reference import key_pem, key_uri
from mailfront.keystore.pkcs11.modules import external_modules, list_file
from mailfront.keystore.pkcs11.public_keys import key_identifier, servable
from mailfront.keystore.pkcs11.survey import (
    Survey,
    SurveyedCertificate,
    SurveyedKey,
    SurveyedToken,
    survey,
)
from mailfront.keystore.records import CertificateRecord, Credentials, Inventory
from mailfront.keystore.trust import TrustFlags


class CredentialSource(Protocol):
    """Where services get their certificates: the keystore, or the internal token alone."""

    def require(self, nickname: str) -> CertificateRecord:
        """Return the certificate of that nickname. Raises `KeystoreError`."""
        ...

    def credentials(self, nickname: str) -> Credentials:
        """Return chain and key of a certificate, for TLS. Raises `KeystoreError`."""
        ...

    def inventory(self) -> Inventory:
        """Return what the internal token holds."""
        ...


class Keystore:
    """Implements `CredentialSource` for a server root. `internal` may be replaced by a reopened
    one."""

    def __init__(self, root: ServerRoot, internal: InternalToken) -> None:
        self.internal = internal
        self._root = root
        self._survey = Survey()
        self._survey_fault = ""
        self._issuers: tuple[x509.Certificate, ...] | None = None

    @property
    def has_modules(self) -> bool:
        """Whether any PKCS#11 module is installed and enabled."""
        return bool(external_modules(self._root))

    def look_at_tokens(self) -> None:
        """See anew which tokens there are and what is on them. Takes a fraction of a second, or
        as long as the modules take."""
        self._issuers = None
        try:
            self._survey, self._survey_fault = survey(self._root), ""
        except TokenError as failure:
            self._survey, self._survey_fault = Survey(), str(failure)

    def changed(self) -> None:
        """The internal token changed: issuers on it are looked up anew."""
        self._issuers = None

    def tokens(self) -> Sequence[SurveyedToken]:
        """The tokens as the last look found them."""
        return self._survey.tokens

    def faults_by_module(self) -> dict[str, str]:
        """Why modules could not be asked; under an empty name what concerns all of them."""
        faults = dict(self._survey.module_faults)
        return {"": self._survey_fault, **faults} if self._survey_fault else faults

    def module_faults(self) -> list[str]:
        """Why modules could not be asked, those apart whose tokens are optional."""
        optional = {module.name for module in external_modules(self._root) if module.optional}
        return [fault for name, fault in self.faults_by_module().items() if name not in optional]

    def inventory(self) -> Inventory:
        """Part of `CredentialSource`: what the internal token holds."""
        return self.internal.inventory()

    def find(self, nickname: str) -> CertificateRecord | None:
        """Like `require`, but None for what is not there or not now."""
        try:
            return self.require(nickname)
        except TokenError:
            return None
        except KeystoreError:
            if qualified(nickname).is_internal and self.internal.find(nickname) is not None:
                raise
            return None

    def require(self, nickname: str) -> CertificateRecord:
        """Part of `CredentialSource`. The record's nickname is the qualified one."""
        name = qualified(nickname)
        if name.is_internal:
            return self.internal.require(name.nickname)
        token = self._token(name.token)
        certificate = self._certificate(token, name)
        return self._record(name, token, certificate)

    def credentials(self, nickname: str) -> Credentials:
        """Part of `CredentialSource`."""
        name = qualified(nickname)
        record = self.require(nickname)
        if name.is_internal:
            if record.has_key or not (self._survey.tokens or record.key_on_other_token):
                return self.internal.credentials(name.nickname)
            token, key = self._key_for(record)
        else:
            token = self._token(name.token)
            own = self._certificate(token, name).key
            token, key = (token, own) if own is not None else self._key_for(record)
        return self._credentials(record, token, key)

    def module_of(self, nickname: str) -> Path | None:
        """The library through which the key of a certificate is used; None for the internal one.

        Raises `KeystoreError` like `credentials`.
        """
        return self.credentials(nickname).module

    def _credentials(
        self, record: CertificateRecord, token: SurveyedToken, key: SurveyedKey
    ) -> Credentials:
        description = token.description
        pin = Secret("")
        if description.login_required:
            pin = read_password(self._root.sslpassword_conf, description.label)
        uri = key_uri(description.label, description.serial, key.identifier, key.nickname)
        return Credentials(
            nickname=record.nickname,
            certificate=record.certificate,
            chain_pem=formats.chain_pem((record.certificate, *record.chain)),
            key_pem=key_pem(uri),
            passphrase=pin.reveal().encode(),
            module=token.library,
        )

    def _token(self, name: str) -> SurveyedToken:
        """The token of that label, or the only one of the module of that name."""
        tokens = self._survey.tokens
        found = [one for one in tokens if one.description.label == name]
        found = found or [one for one in tokens if one.description.module == name]
        if len(found) > 1:
            serials = ", ".join(one.description.serial for one in found)
            raise KeystoreError(
                f"{len(found)} tokens answer to {name!r} (serial numbers {serials})",
                remedy="give each its own label, or restrict the module to one slot",
            )
        if not found:
            raise self._missing(name)
        if found[0].fault:
            raise TokenError(f"the token {name!r} cannot be used: {found[0].fault}", temporary=True)
        return found[0]

    def _missing(self, name: str) -> TokenError:
        if self._survey_fault:
            return TokenError(self._survey_fault, temporary=True)
        if not self.has_modules:
            return TokenError(
                f"there is no token {name!r}: no PKCS#11 module is installed and enabled",
                remedy="mailfront modutil -add NAME -libfile PATH",
                file=list_file(self._root),
            )
        labels = ", ".join(repr(one.description.label) for one in self._survey.tokens) or "none"
        faults = "; ".join(self._survey.module_faults.values())
        return TokenError(
            f"there is no token {name!r}" + (f" ({faults})" if faults else ""),
            remedy=f"present are {labels}; is it connected?",
            temporary=True,
        )

    def _certificate(self, token: SurveyedToken, name: QualifiedNickname) -> SurveyedCertificate:
        named = [one for one in token.certificates if one.nickname == name.nickname]
        if not named:
            known = [one.nickname for one in token.certificates]
            remedy = unknown_nickname(name.nickname, known).remedy
            if not known:
                remedy = (
                    "the token holds no certificate: `msgcert add-selfsign-cert --token` makes one"
                )
            raise KeystoreError(
                f"there is no certificate with the nickname {name.nickname!r} on the token "
                f"{token.description.label!r}",
                remedy=remedy,
            )
        if len({one.certificate for one in named}) > 1:
            raise KeystoreError(
                f"{len(named)} certificates on the token {token.description.label!r} have the "
                f"label {name.nickname!r}",
                remedy="delete those that are not wanted with the token's tool",
            )
        return next((one for one in named if one.key is not None), named[0])

    def _record(
        self, name: QualifiedNickname, token: SurveyedToken, one: SurveyedCertificate
    ) -> CertificateRecord:
        certificate = formats.load_certificate(one.certificate)
        if self._issuers is None:
            self._issuers = known_issuers(self.internal)
        beside = (
            formats.load_certificate(each.certificate)
            for each in token.certificates
            if each is not one
        )
        return CertificateRecord(
            nickname=str(name),
            certificate=certificate,
            chain=build_chain(certificate, known=(*beside, *self._issuers)).intermediates,
            trust=TrustFlags.USER,
            has_key=one.key is not None,
            token=token.description.label,
        )

    def _key_for(self, record: CertificateRecord) -> tuple[SurveyedToken, SurveyedKey]:
        """The private key of a certificate, on whichever token it is."""
        found = next(self._keys_for(record.certificate), None)
        if found is not None:
            return found
        unusable = [one.description.label for one in self._survey.tokens if one.fault]
        raise TokenError(
            f"the private key of {record.nickname!r} is on none of the tokens that can be used",
            remedy="is its token connected? "
            + (f"Not usable are {', '.join(map(repr, unusable))}" if unusable else ""),
            temporary=True,
        )

    def _keys_for(
        self, certificate: x509.Certificate
    ) -> Iterator[tuple[SurveyedToken, SurveyedKey]]:
        public_der = formats.certificate_public_key_der(certificate)
        public_key = servable(formats.load_public_key(public_der))
        if public_key is None:
            return
        family, identifier = formats.key_type(public_key), key_identifier(public_key)
        for token in self._survey.tokens:
            for key in token.keys:
                if key.public_der == public_der:
                    yield token, key
                elif not key.public_der and key.family == family and key.identifier == identifier:
                    # Nothing tells its public half, but NSS named it after that.
                    yield token, replace(key, public_der=public_der)


def qualified(nickname: str) -> QualifiedNickname:
    """The token and the nickname that an item of an option names. Raises `KeystoreError`."""
    return parse_personality(nickname)[0]
