"""`export-cert --token`: refused, with what the token says of the key."""

from __future__ import annotations

import argparse
from typing import NoReturn

from mailfront.cli.msgcert.token_access import opened, qualified
from mailfront.errors import KeystoreError


def export_from_token(arguments: argparse.Namespace) -> NoReturn:
    """Say why the key is not exported. Raises `KeystoreError`."""
    with opened(arguments) as token:
        found = token.require(arguments.alias)
    name = f"{found.token}:{found.nickname}"
    show = f"`msgcert show-cert -F ascii {qualified(found.token, found.nickname)}` prints the "
    if found.key is None:
        raise KeystoreError(
            f"the private key of {name} is not on the token", remedy=f"{show}certificate"
        )
    if found.key.protection.extractable:
        raise KeystoreError(
            f"the private key of {name} may leave the token, and mailfront does not take it off",
            remedy=f"the token's own tool can wrap it; {show}certificate",
        )
    raise KeystoreError(
        f"the private key of {name} cannot leave the token: it is not extractable "
        f"(CKA_EXTRACTABLE is false; {found.key.protection}), and nobody can change that",
        remedy=f"make another key for another server; {show}certificate alone",
    )
