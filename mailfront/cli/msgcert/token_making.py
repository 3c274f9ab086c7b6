"""`request-cert`, `add-selfsign-cert`, `renew-selfsign-cert` with --token: keys made on the token.

The token makes the key and signs with it; nothing of the private key is ever outside.
"""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from mailfront.cli.msgcert.making import tell_about_self_signed
from mailfront.cli.msgcert.naming import (
    alternative_names_of,
    key_kind_of,
    notes_on,
    subject_of,
)
from mailfront.cli.msgcert.requesting import Wanted, write_request
from mailfront.cli.msgcert.token_access import opened, qualified
from mailfront.cli.output import print_message
from mailfront.errors import KeystoreError
from mailfront.keystore import requests
from mailfront.keystore.chain import is_self_signed
from mailfront.keystore.pkcs11.token_records import TokenKey
from mailfront.keystore.renewal import alternative_names_in, expiry_like


def request_on_token(arguments: argparse.Namespace) -> int:
    """Make a key on the token, and a request that it signs."""
    wanted = Wanted.by(arguments)
    with opened(arguments, read_write=True) as token:
        key = token.generate_key_pair(wanted.nickname, wanted.kind)
        try:
            request = wanted.request(token.signing_key(key))
            write_request(arguments, request, binary=wanted.binary)
        except BaseException:
            # Nobody has the request, so the key is of no use.
            token.remove_key(key)
            raise
    print_message(
        f"made a key ({key.description}) on the token {key.token!r} that waits for its "
        f"certificate as {key.token}:{key.nickname}"
    )
    tell_protection(key)
    for note in wanted.notes():
        print_message(note)
    name = qualified(key.token, key.nickname)
    print_message(f"install the answer with `msgcert add-cert {name} FILE`")
    return 0


def add_self_signed_on_token(arguments: argparse.Namespace) -> int:
    """Make a key on the token, and a certificate that it signs itself."""
    subject = subject_of(arguments)
    given = alternative_names_of(arguments)
    names = requests.default_alternative_names(subject) if given is None else given
    now = datetime.now(UTC)
    expires = requests.months_later(now, arguments.validity)
    kind = key_kind_of(arguments)
    with opened(arguments, read_write=True) as token:
        key = token.generate_key_pair(arguments.alias, kind)
        try:
            certificate = requests.self_signed_certificate(
                token.signing_key(key), subject, names, now=now, expires=expires
            )
            token.store_certificate(arguments.alias, (certificate,), key)
        except BaseException:
            token.remove_key(key)
            raise
        record = token.require(arguments.alias).record()
    tell_about_self_signed(record, "made")
    tell_protection(key)
    for note in notes_on(subject, given, kind):
        print_message(note)
    return 0


def renew_self_signed_on_token(arguments: argparse.Namespace) -> int:
    """Let the key on the token sign a new certificate in place of the present one."""
    if arguments.new_key:
        raise KeystoreError(
            "on a token, key and certificate cannot be replaced at one moment",
            remedy="make another pair with `msgcert add-selfsign-cert`, name it in the service's "
            "option, then remove this one",
        )
    now = datetime.now(UTC)
    with opened(arguments, read_write=True) as token:
        present = token.require(arguments.alias)
        certificate = present.certificate
        if not is_self_signed(certificate):
            raise KeystoreError(
                f"the certificate {present.token}:{present.nickname} was signed by an authority, "
                "not by its own key",
                remedy="have the authority renew it and install its answer with "
                "`msgcert renew-cert`",
            )
        if present.key is None:
            raise KeystoreError(
                f"the private key of {present.token}:{present.nickname} is not on the token",
                remedy="it is renewed where its key is",
            )
        expires = (
            expiry_like(certificate, now)
            if arguments.validity is None
            else requests.months_later(now, arguments.validity)
        )
        renewed = requests.self_signed_certificate(
            token.signing_key(present.key),
            certificate.subject,
            alternative_names_in(certificate),
            now=now,
            expires=expires,
        )
        token.replace_certificate(present, (renewed,), present.key)
        record = token.require(arguments.alias).record()
    tell_about_self_signed(record, "renewed")
    return 0


def tell_protection(key: TokenKey) -> None:
    """Say how the token protects the key, as it tells itself; warn where it does not."""
    print_message(f"the token says of the key: {key.protection}")
    if key.protection.extractable is not False:
        print_message(
            f"WARNING: {key.token}:{key.nickname}: the token does not say that the key can never "
            "leave it"
        )
