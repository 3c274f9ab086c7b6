"""`add-cert`, `renew-cert`, `import-cert` with --token: certificates put on a PKCS#11 token.

The certificate of a key on the token goes beside it, with the issuers that the token lacks. A key
that exists elsewhere can be put on the token too, where it stays.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from mailfront.cli.msgcert.access import server_root
from mailfront.cli.msgcert.importing import checked_identities
from mailfront.cli.msgcert.installing import tell_about
from mailfront.cli.msgcert.renewing import losses
from mailfront.cli.msgcert.token_access import internal_records, opened, qualified
from mailfront.cli.msgcert.token_making import tell_protection
from mailfront.cli.output import print_message
from mailfront.errors import KeystoreError
from mailfront.keystore import formats, importing
from mailfront.keystore.certificate_files import read_certificates
from mailfront.keystore.chain import build_chain, find_leaf
from mailfront.keystore.importing import issuers_in
from mailfront.keystore.key_strength import require_strength
from mailfront.keystore.nicknames import check_nickname
from mailfront.keystore.pkcs11.external_token import ExternalToken
from mailfront.keystore.pkcs11.token_records import TokenContents, TokenKey


def add_on_token(arguments: argparse.Namespace) -> int:
    """Install an authority's answer beside its key on the token."""
    check_nickname(arguments.alias)
    if arguments.ca:
        raise KeystoreError(
            "what a CA is trusted for is noted in the certificate database, not on tokens",
            remedy="leave out --token; a certificate's own issuers are stored on the token with it",
        )
    certificates = read_certificates(Path(arguments.file))
    known = issuers_in(internal_records(server_root(arguments)))
    with opened(arguments, read_write=True) as token:
        contents = token.contents()
        certificate, key = _answer(contents, certificates)
        _require_new(contents, arguments.alias, certificate, key)
        if not arguments.allow_weak:
            require_strength(certificate.public_key())
        token.prove(key)
        chain = build_chain(certificate, certificates, (*contents.issuers, *known))
        token.store_certificate(arguments.alias, chain.presented, key)
        if key.nickname != arguments.alias:
            token.rename_key(key, arguments.alias)
        record = token.require(arguments.alias).record((*chain.presented, *known))
    tell_about(record, chain, "installed")
    if key.nickname != arguments.alias:
        print_message(f"note: its key waited as {key.nickname}")
    return 0


def _answer(
    contents: TokenContents, certificates: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, TokenKey]:
    """Return the certificate among those given whose key is on the token, and that key."""
    for waiting in (contents.waiting, contents.keys):
        keys = {key.public_der: key for key in waiting if key.public_key is not None}
        for certificate in certificates:
            key = keys.get(formats.certificate_public_key_der(certificate))
            if key is not None:
                return certificate, key
    name = formats.name_text(find_leaf(certificates).subject)
    raise KeystoreError(
        f"the private key of the certificate of {name} is not on the token {contents.token!r}",
        remedy="a key made elsewhere is put there with `msgcert import-cert --token`; for a key in "
        "the certificate database leave out --token",
    )


def _require_new(
    contents: TokenContents, alias: str, certificate: x509.Certificate, key: TokenKey
) -> None:
    for one in contents.certificates:
        if one.certificate == certificate:
            raise KeystoreError(
                f"this certificate is installed already, as {contents.token}:{one.nickname}"
            )
        if one.nickname == alias or one.public_der == key.public_der:
            name = qualified(contents.token, one.nickname)
            raise KeystoreError(
                f"there is a certificate {contents.token}:{one.nickname} already"
                + ("" if one.nickname == alias else ", of the same key"),
                remedy=f"put this one in its place with `msgcert renew-cert {name} FILE`",
            )
    for other in contents.keys:
        if other.nickname == alias and other.public_der != key.public_der:
            raise KeystoreError(
                f"{contents.token}:{alias} is another key",
                remedy=f"the key of this certificate waits as {key.nickname}",
            )


def renew_on_token(arguments: argparse.Namespace) -> int:
    """Put a renewed certificate of the same key in place of the present one."""
    if arguments.key is not None:
        raise KeystoreError(
            "on a token, key and certificate cannot be replaced at one moment",
            remedy="put the pair there under another nickname with `msgcert import-cert --token`",
        )
    certificates = read_certificates(Path(arguments.file))
    known = issuers_in(internal_records(server_root(arguments)))
    with opened(arguments, read_write=True) as token:
        contents = token.contents()
        present = token.require(arguments.alias)
        if present.key is None:
            raise KeystoreError(
                f"the private key of {present.token}:{present.nickname} is not on the token",
                remedy="it is renewed where its key is",
            )
        renewed = next(
            (
                one
                for one in certificates
                if formats.certificate_public_key_der(one) == present.public_der
            ),
            None,
        )
        if renewed is None:
            name = formats.name_text(find_leaf(certificates).subject)
            raise KeystoreError(
                f"the certificate of {name} is not for the key of "
                f"{present.token}:{present.nickname}",
                remedy="install the certificate of another key under its own nickname with "
                "`msgcert add-cert --token`, and name that one in the service's option",
            )
        chain = build_chain(renewed, certificates, (*contents.issuers, *known))
        former = present.record((*contents.issuers, *known))
        if chain.presented == (former.certificate, *former.chain):
            print_message(f"{arguments.alias}: the same certificate is there already")
            return 0
        if not arguments.allow_weak:
            require_strength(renewed.public_key())
        token.replace_certificate(present, chain.presented, present.key)
        record = token.require(arguments.alias).record((*chain.presented, *known))
    tell_about(record, chain, "renewed")
    for loss in losses(former.certificate, record.certificate):
        print_message(f"WARNING: {record.qualified_nickname}: {loss}")
    return 0


def import_on_token(arguments: argparse.Namespace) -> int:
    """Put keys with their certificates on the token."""
    return _import(arguments, only_self_signed=False)


def import_self_signed_on_token(arguments: argparse.Namespace) -> int:
    """Put a key with its self-signed certificate on the token."""
    return _import(arguments, only_self_signed=True)


def _import(arguments: argparse.Namespace, *, only_self_signed: bool) -> int:
    if arguments.replace:
        raise KeystoreError(
            "on a token, key and certificate cannot be replaced at one moment",
            remedy="import the pair under another nickname and name that in the service's option",
        )
    found = checked_identities(arguments, only_self_signed=only_self_signed)
    known = issuers_in(internal_records(server_root(arguments)))
    with opened(arguments, read_write=True) as token:
        issuers = (*token.contents().issuers, *known)
        imports = importing.with_distinct_nicknames(
            [
                importing.with_chain(
                    identity,
                    found.others,
                    issuers,
                    nickname=arguments.alias,
                    allow_weak=arguments.allow_weak,
                )
                for identity in found.identities
            ]
        )
        for one in imports:
            token.require_free(one.nickname)
        keys = [_imported(token, one) for one in imports]
    for one, key in zip(imports, keys, strict=True):
        for doubt in importing.doubts(one, datetime.now(UTC)):
            print_message(f"WARNING: {doubt}")
        print_message(
            f"imported {key.token}:{one.nickname} ({key.description}), which expires on "
            f"{one.certificate.not_valid_after_utc.astimezone().date().isoformat()}"
        )
        print_message(f"SHA-256 fingerprint: {formats.sha256_fingerprint(one.certificate)}")
        tell_protection(key)
    print_message(
        "note: copies of an imported key exist elsewhere: delete the file, or make a key on the "
        "token itself with `msgcert request-cert --token`"
    )
    return 0


def _imported(token: ExternalToken, one: importing.Import) -> TokenKey:
    public_der = formats.private_key_public_der(one.private_key)
    is_new = token.find_private_key(public_der) is None
    key = token.import_private_key(one.nickname, one.private_key)
    try:
        token.prove(key)
        token.store_certificate(one.nickname, one.chain, key)
    except BaseException:
        if is_new:
            token.remove_key(key)
        raise
    return key
