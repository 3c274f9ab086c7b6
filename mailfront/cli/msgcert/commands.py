"""The command line of msgcert: which subcommand is meant, its arguments, its help, its exit code.

Exit codes: 0 ok, 1 failed, 2 wrong usage, and 3 from `list-certs --expiring` if anything expires.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mailfront.cli.msgcert import token_subcommands
from mailfront.cli.msgcert.backing_up import BACKUP, RESTORE
from mailfront.cli.msgcert.exporting import EXPORT
from mailfront.cli.msgcert.importing import IMPORT, IMPORT_SELFSIGN
from mailfront.cli.msgcert.installing import ADD
from mailfront.cli.msgcert.linking import LINK, LIST_LINKS, UNLINK
from mailfront.cli.msgcert.listing import LIST
from mailfront.cli.msgcert.making import ADD_SELFSIGN, GENERATE
from mailfront.cli.msgcert.nss_import import IMPORT_NSSDB
from mailfront.cli.msgcert.password import CHANGE_PASSWORD
from mailfront.cli.msgcert.removing import REMOVE
from mailfront.cli.msgcert.renewing import RENEW, RENEW_SELFSIGN
from mailfront.cli.msgcert.requesting import REQUEST
from mailfront.cli.msgcert.revoking import ADD_CRL, LIST_CRLS, REMOVE_CRL
from mailfront.cli.msgcert.show import SHOW
from mailfront.cli.msgcert.subcommand import Subcommand, add_shared_arguments
from mailfront.cli.msgcert.token_access import take_token_from_alias
from mailfront.cli.msgcert.trusting import SET_TRUST
from mailfront.cli.msgcert.verifying import VERIFY
from mailfront.cli.output import EXIT_USAGE, print_message, printable, run_command
from mailfront.configuration.suggest import did_you_mean

SUBCOMMANDS: tuple[Subcommand, ...] = (
    GENERATE,
    ADD_SELFSIGN,
    RENEW_SELFSIGN,
    REQUEST,
    ADD,
    RENEW,
    IMPORT,
    IMPORT_SELFSIGN,
    IMPORT_NSSDB,
    EXPORT,
    LIST,
    SHOW,
    VERIFY,
    BACKUP,
    RESTORE,
    CHANGE_PASSWORD,
    SET_TRUST,
    LINK,
    UNLINK,
    LIST_LINKS,
    ADD_CRL,
    LIST_CRLS,
    REMOVE_CRL,
    REMOVE,
)

_OPTIONS_WITH_VALUE = ("--home", "-W", "--cert-pwd-file", "--token")

_DESCRIPTION = """\
Makes, lists and shows the certificates and keys of a server root.

A certificate has a nickname (alias); services present the certificates whose
nicknames their options name, for example local.imap.sslnicknames. The database
may be changed while the server runs: it follows by itself within two seconds.
Certificates on PKCS#11 tokens are named with their token: "HSM One:imap-ec".

subcommands:
"""

_EPILOG = """\
`msgcert SUBCOMMAND --help` explains one. Names are taken in any case, and _ as -.

examples:
  msgcert --home ./var list-certs
  msgcert add-selfsign-cert --name mail.example.com imap-cert
  msgcert show-cert imap-cert
  configutil -o local.imap.sslnicknames -v imap-cert

Exit codes: 0 ok, 1 failed, 2 wrong usage."""


def _subcommand_lines() -> str:
    width = max(len(subcommand.name) for subcommand in SUBCOMMANDS)
    return "\n".join(
        f"  {subcommand.name:{width}}  {subcommand.summary}" for subcommand in SUBCOMMANDS
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of what stands before the subcommand's name."""
    parser = argparse.ArgumentParser(
        prog="msgcert",
        usage="msgcert [--home DIR] [-W FILE] [--token NAME] SUBCOMMAND [options] [operands]",
        description=_DESCRIPTION + _subcommand_lines(),
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    add_shared_arguments(parser, default=None)
    return parser


def find_subcommand(name: str) -> Subcommand | None:
    """Return the subcommand of that name, in any case and with `_` for `-`, or None."""
    wanted = _regular(name)
    return next((known for known in SUBCOMMANDS if _regular(known.name) == wanted), None)


def _regular(name: str) -> str:
    return name.lower().replace("_", "-")


def _split(arguments: Sequence[str]) -> tuple[Sequence[str], str | None, Sequence[str]]:
    """Return what stands before the subcommand, its name if there is one, and what follows."""
    is_value = False
    for index, argument in enumerate(arguments):
        if not is_value and not argument.startswith("-"):
            return arguments[:index], argument, arguments[index + 1 :]
        is_value = not is_value and argument in _OPTIONS_WITH_VALUE
    return arguments, None, ()


def _run(arguments: Sequence[str]) -> int:
    before, name, behind = _split(arguments)
    parser = build_parser()
    shared = parser.parse_args(before)
    if name is None:
        print_message(parser.format_help().rstrip())
        return EXIT_USAGE
    subcommand = find_subcommand(name)
    if subcommand is None:
        print_message(_unknown(name))
        return EXIT_USAGE
    inner = subcommand.parser()
    # Operands may stand apart from each other, with options between them.
    parsed = inner.parse_intermixed_args(behind, shared)
    subcommand.check_usage(inner, parsed)
    take_token_from_alias(parsed)
    return token_subcommands.run(subcommand, parsed)


def _unknown(name: str) -> str:
    hint = did_you_mean(
        _regular(name),
        [subcommand.name for subcommand in SUBCOMMANDS],
        otherwise="`msgcert --help` lists them",
    )
    return f"msgcert: there is no subcommand {printable(name)!r}: {hint}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run msgcert with the given arguments, or the process's; return the exit code."""
    return run_command(lambda: _run(sys.argv[1:] if arguments is None else arguments))
