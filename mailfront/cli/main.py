"""The `mailfront` command: its subcommands, their dispatch and the exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mailfront.cli import (
    certmap_test,
    check,
    ciphers,
    control,
    dkim,
    doctor,
    init,
    modutil,
    queue,
    quickstart,
    route,
    serve,
    tlsa,
    user,
)
from mailfront.cli.output import run_command
from mailfront.version import VERSION

DESCRIPTION = """\
A TLS front end for mail: SMTP, submission, IMAP, POP3 and webmail over one certificate store.

Every command works on a server root, the directory of one instance: --home DIR, or the variable
MAILFRONT_HOME."""

EPILOGUE = """\
examples:
  mailfront quickstart --home ./var          a demonstration server on ports above 2000
  mailfront init --home /srv/mail --domain example.org
  mailfront user add ann@example.org --home /srv/mail
  mailfront check --home /srv/mail           is everything right? exit 1 and a line per problem
  mailfront ciphers --home /srv/mail         which TLS versions and suites, and why
  mailfront certmap-test ann.pem --home /srv/mail   whose certificate is it, and why
  mailfront serve --home /srv/mail
  mailfront status --home /srv/mail
  mailfront queue list --home /srv/mail      mail that waits to be sent, and why
  mailfront route ann@example.net --home /srv/mail  by which channel, to whom, with what TLS
  mailfront dkim list --home /srv/mail       the keys that sign outgoing mail
  mailfront tlsa --home /srv/mail            TLSA records (DANE) of the keys that are served
  mailfront doctor mail.example.org:993      what clients see of its TLS

Certificates: msgcert --help. Options: configutil --help.
Exit status: 0 done, 1 failed, 2 wrong usage."""

COMMANDS = (
    init,
    quickstart,
    serve,
    check,
    doctor,
    ciphers,
    certmap_test,
    modutil,
    control,
    user,
    queue,
    route,
    dkim,
    tlsa,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return run_command(lambda: _run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    parsed = _parser().parse_args(arguments)
    status: int = parsed.run(parsed)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mailfront",
        description=DESCRIPTION,
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mailfront {VERSION}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
