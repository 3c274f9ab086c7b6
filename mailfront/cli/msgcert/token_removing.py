"""`remove-cert --token`: a certificate and its key go from a PKCS#11 token, for ever."""

from __future__ import annotations

import argparse

from mailfront.cli.msgcert.access import server_root
from mailfront.cli.msgcert.removing import confirmed, refuse_if_used
from mailfront.cli.msgcert.token_access import certified_in_database, internal_records, opened
from mailfront.cli.output import print_message
from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError
from mailfront.keystore.pkcs11.objects import require_certificate
from mailfront.keystore.pkcs11.sessions import describe_token
from mailfront.keystore.pkcs11.token_records import TokenContents


def remove_on_token(arguments: argparse.Namespace) -> int:
    """Remove what has the nickname on the token that the arguments name."""
    root = server_root(arguments)
    alias: str = arguments.alias
    description = describe_token(root, arguments.token)
    with opened(arguments, read_write=True) as token:
        contents = token.contents()
        what, public_der = _what(contents, alias)
        if not arguments.force:
            refuse_if_used(root, alias, (description.label, description.module))
            _refuse_if_certified_in_database(root, contents.token, alias, public_der)
        if not arguments.yes and not confirmed(what):
            print_message("nothing was removed")
            return 1
        certificate_went, key_went = token.remove(alias)
    print_message(f"removed {what}")
    if certificate_went and not key_went and public_der:
        print_message("note: the key stays: another certificate on the token has it")
    return 0


def _what(contents: TokenContents, alias: str) -> tuple[str, bytes]:
    """Return what has the nickname, and the public key of the private key that would go."""
    name = f"{contents.token}:{alias}"
    if any(one.nickname == alias for one in contents.certificates):
        found = require_certificate(contents, alias)
        if found.key is None:
            return f"the certificate {name}", b""
        return f"the certificate {name} and its private key, of which there is no copy", (
            found.key.public_der
        )
    for key in contents.keys:
        if key.nickname == alias:
            return f"the key {name}, of which there is no copy", key.public_der
    require_certificate(contents, alias)
    raise AssertionError("an unknown nickname was not refused")


def _refuse_if_certified_in_database(
    root: ServerRoot, token: str, alias: str, public_der: bytes
) -> None:
    """Refuse to remove a key whose certificate is in the internal token."""
    holder = certified_in_database(internal_records(root)).get(public_der)
    if holder is not None:
        raise KeystoreError(
            f"{token}:{alias} is the private key of {holder!r} in the certificate database",
            remedy=f"remove that first (`msgcert remove-cert {holder}`), or add --force",
        )
