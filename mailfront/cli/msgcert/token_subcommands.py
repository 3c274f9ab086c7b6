"""Which subcommands work on PKCS#11 tokens, and why the others do not."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.msgcert.token_access import is_external
from mailfront.cli.msgcert.token_exporting import export_from_token
from mailfront.cli.msgcert.token_installing import (
    add_on_token,
    import_on_token,
    import_self_signed_on_token,
    renew_on_token,
)
from mailfront.cli.msgcert.token_listing import list_all_tokens, list_token, show_on_token
from mailfront.cli.msgcert.token_making import (
    add_self_signed_on_token,
    renew_self_signed_on_token,
    request_on_token,
)
from mailfront.cli.msgcert.token_removing import remove_on_token
from mailfront.errors import KeystoreError

_ON_TOKENS: dict[str, Callable[[argparse.Namespace], int]] = {
    "request-cert": request_on_token,
    "add-selfsign-cert": add_self_signed_on_token,
    "renew-selfsign-cert": renew_self_signed_on_token,
    "add-cert": add_on_token,
    "renew-cert": renew_on_token,
    "import-cert": import_on_token,
    "import-selfsign-cert": import_self_signed_on_token,
    "export-cert": export_from_token,
    "list-certs": list_token,
    "show-cert": show_on_token,
    "remove-cert": remove_on_token,
}
_REASONS: dict[str, tuple[str, str]] = {
    "set-trust": (
        "what a CA is trusted for is noted in the certificate database, not on tokens",
        "add the CA there with `msgcert add-cert -C`",
    ),
    "change-password": (
        "the PIN of a token is changed with the token's own tool",
        "for example `pkcs11-tool --module LIBRARY --login --change-pin`; then write the new one "
        "into config/sslpassword.conf",
    ),
    "generate-certDB": (
        "a token is initialised with its own tool",
        "for example softhsm2-util --init-token; then make keys with "
        "`msgcert request-cert --token`",
    ),
    "backup": (
        "the keys on a token do not leave it",
        "back up the token with its own tool, the certificate database without --token",
    ),
    "restore": (
        "the keys on a token do not come from a backup of the certificate database",
        "leave out --token",
    ),
    "link": (
        "a token cannot follow files: its keys stay on it",
        "link a certificate of the certificate database",
    ),
}


def run(subcommand: Subcommand, arguments: argparse.Namespace) -> int:
    """Run a subcommand on the token that the arguments name, the internal one by default.

    Raises `KeystoreError` for one that cannot work on another token.
    """
    if getattr(arguments, "all_tokens", False):
        return list_all_tokens(arguments)
    if not is_external(arguments):
        return subcommand.run(arguments)
    on_token = _ON_TOKENS.get(subcommand.name)
    if on_token is not None:
        return on_token(arguments)
    what, remedy = _REASONS.get(
        subcommand.name,
        (f"{subcommand.name} works on the certificate database alone", "leave out --token"),
    )
    raise KeystoreError(what, remedy=remedy)
