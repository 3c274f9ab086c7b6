"""`remove-cert`: a certificate and its key go, unless a service needs them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.msgcert.usage import uses_of_certificates
from mailfront.cli.output import print_message, printable
from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, OperatorError
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN, unknown_nickname
from mailfront.keystore.records import PendingKey


def _remove(arguments: argparse.Namespace) -> int:
    alias: str = arguments.alias
    root = server_root(arguments)
    with open_token(arguments) as token:
        what = _description(token, alias)
        if not arguments.force:
            refuse_if_used(root, alias)
        if not arguments.yes and not confirmed(what):
            print_message("nothing was removed")
            return 1
        token.remove(alias)
    print_message(f"removed {what}")
    return 0


def _description(token: InternalToken, alias: str) -> str:
    """Return what has the nickname; also what is damaged can be removed."""
    try:
        entry = token.find_entry(alias)
    except KeystoreError:
        if alias not in token.nicknames():
            raise
        return f"the altered entry {alias}"
    if isinstance(entry, PendingKey):
        return f"the key {alias}, which waits for its certificate"
    if entry is None:
        if alias in token.inventory().missing:
            return f"the missing entry {alias}"
        raise unknown_nickname(alias, token.nicknames())
    if entry.key_on_other_token:
        return f"the certificate {alias} (its private key stays on its token)"
    return f"the certificate {alias} and its private key" if entry.has_key else f"the CA {alias}"


def refuse_if_used(root: ServerRoot, alias: str, tokens: Sequence[str] = (INTERNAL_TOKEN,)) -> None:
    """Raise `OperatorError` if a service presents what has the nickname on a token.

    `tokens` are the names by which options may name that token.
    """
    try:
        uses = uses_of_certificates(root, tokens).get(alias, ())
    except OperatorError as error:
        raise OperatorError(
            f"it cannot be told whether a service uses {alias!r}, for the configuration is faulty",
            remedy="`mailfront check` shows its faults; --force removes the certificate anyway",
        ) from error
    if not uses:
        return
    services = ", ".join(use.service for use in uses)
    options = " and ".join(dict.fromkeys(use.option for use in uses))
    raise OperatorError(
        f"the certificate {alias!r} is in use by {services}, for {options} names it",
        remedy="name another certificate there with configutil first, or add --force",
    )


def confirmed(what: str) -> bool:
    """Ask on the terminal whether `what` is to go. Raises `OperatorError` where there is none."""
    if not sys.stdin.isatty():
        raise OperatorError(
            "there is no terminal to ask for a confirmation", remedy="add --yes to remove it"
        )
    sys.stderr.write(f"Remove {printable(what)}? This cannot be undone. [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline(100).strip().lower() in ("y", "yes")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname of what is to go")
    parser.add_argument(
        "-i", "--yes", "--no-inter", dest="yes", action="store_true", help="do not ask"
    )
    parser.add_argument("--force", action="store_true", help="even if a service uses it")


REMOVE = Subcommand(
    name="remove-cert",
    summary="remove a certificate and its key, a pending key, or a CA",
    description="""\
Removes a certificate and its private key from the database; also a key that
waits for its certificate, a CA, and an entry that was altered. A certificate that
a service presents stays, unless --force is given.

With --token it goes from that PKCS#11 token. A private key that was made there
exists nowhere else.""",
    examples="""\
  msgcert remove-cert old-cert
  msgcert remove-cert --yes "Old CA\"""",
    add_arguments=_add_arguments,
    run=_remove,
)
