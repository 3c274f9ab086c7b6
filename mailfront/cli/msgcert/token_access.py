"""From the arguments to an opened PKCS#11 token: which token is meant, and its PIN.

The PIN is that of `sslpassword.conf`, or comes from the file of `-W`, or is asked for on the
terminal; it is never an argument. Also finds the token that holds the key of a certificate.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from mailfront.cli.msgcert.access import server_root
from mailfront.cli.output import print_message
from mailfront.cli.prompt import password_from_file, prompt_for_password
from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, TokenError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import certificate_public_key_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN, is_internal
from mailfront.keystore.passwords import find_password
from mailfront.keystore.pkcs11.external_token import ExternalToken, open_external_token
from mailfront.keystore.pkcs11.modules import external_modules
from mailfront.keystore.pkcs11.sessions import TokenDescription, describe_token, tokens
from mailfront.keystore.pkcs11.token_records import TokenKey
from mailfront.keystore.records import CertificateRecord


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """Where a private key is: the token and the key on it."""

    token: str
    key: TokenKey


def take_token_from_alias(arguments: argparse.Namespace) -> None:
    """Split an operand `token:nickname` into the token, as `--token` names it, and the nickname.

    Raises `KeystoreError` if `--token` names another token.
    """
    alias = getattr(arguments, "alias", None)
    if not isinstance(alias, str) or ":" not in alias:
        return
    # A nickname holds no colon, a token's label may.
    token, _, nickname = alias.rpartition(":")
    token, nickname = token.strip(), nickname.strip()
    given = arguments.token
    if given is not None and given != token and not (is_internal(given) and is_internal(token)):
        raise KeystoreError(
            f"{alias!r} names the token {token!r}, --token names {given!r}",
            remedy="name the token once",
        )
    arguments.token, arguments.alias = token, nickname


def is_external(arguments: argparse.Namespace) -> bool:
    """Whether the arguments name a token other than the internal one."""
    return arguments.token is not None and not is_internal(arguments.token)


@contextmanager
def opened(arguments: argparse.Namespace, *, read_write: bool = False) -> Iterator[ExternalToken]:
    """Open the token that the arguments name, for the block.

    Raises `TokenError` for one that is not there, or does not take the PIN.
    """
    root = server_root(arguments)
    description = describe_token(root, arguments.token)
    pin = _typed_pin(arguments, root, description)
    with open_external_token(root, arguments.token, read_write=read_write, typed_pin=pin) as token:
        yield token


def _typed_pin(
    arguments: argparse.Namespace, root: ServerRoot, description: TokenDescription
) -> Secret | None:
    """Return the PIN that a person gives now, or None where the configured one is used."""
    if not description.login_required or description.protected_path:
        return None
    if arguments.cert_pwd_file is not None:
        return password_from_file(arguments.cert_pwd_file)
    configured = root.sslpassword_conf.exists() and find_password(
        root.sslpassword_conf, description.label
    )
    if configured or not sys.stdin.isatty():
        return None
    return prompt_for_password(f"Enter the PIN of the token {description.label}: ")


def find_on_tokens(root: ServerRoot, public_der: bytes) -> KeyPlace | None:
    """Return the token that has the private key of a public key, proved by a signature, or None.

    Tokens that cannot be opened are told and passed over.
    """
    if not external_modules(root):
        return None
    for description in tokens(root):
        try:
            with open_external_token(root, description.label) as token:
                key = token.find_private_key(public_der)
                if key is not None:
                    token.prove(key)
                    return KeyPlace(token.label, key)
        except TokenError as error:
            print_message(f"note: {error}")
    return None


def internal_records(
    root: ServerRoot,
) -> tuple[CertificateRecord, ...]:
    """Return what the internal token holds, if it opens without asking anybody; else nothing.

    Tokens are used also where there is no certificate database.
    """
    conf = root.sslpassword_conf
    if not root.certificate_database.exists() or not conf.exists():
        return ()
    try:
        password = find_password(conf, INTERNAL_TOKEN)
        if password is None:
            return ()
        with InternalToken.open(root.certificate_database, password) as token:
            return token.inventory().records
    except KeystoreError as error:
        print_message(f"note: the certificate database is passed over: {error}")
        return ()


def certified_in_database(records: Iterable[CertificateRecord]) -> dict[bytes, str]:
    """Return which nickname has which public key whose private half is on a token."""
    return {
        certificate_public_key_der(record.certificate): record.nickname
        for record in records
        if record.key_on_other_token
    }


def qualified(token: str, nickname: str) -> str:
    """Return `token:nickname` as a shell takes it, quoted where that is needed."""
    name = f"{token}:{nickname}"
    return f'"{name}"' if set(name) & set(" ()'&;*?$") else name
