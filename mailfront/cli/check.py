"""`mailfront check`: is the whole configuration right? Without starting anything."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mailfront.cli.output import EXIT_FAILED, EXIT_OK, print_line, print_message
from mailfront.configuration.home import ServerRoot

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers

EPILOGUE = """\
Looks at every file and its permissions, every option, the token password, every nickname and its
dates, the users, and whether the ports are free (or held by this server root's own server).
Prints each problem as `file:line: what: remedy` on stdout; exit status 1 if there is one."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "check",
        help="validate the whole configuration without starting",
        description="Validate the whole configuration without starting.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print every problem; 1 if there is one."""
    from mailfront.server.checking import check_server_root

    root = ServerRoot.from_environment(arguments.home)
    root.require_initialised()
    findings = check_server_root(root)
    for problem in findings.problems:
        print_line(problem)
    for warning in findings.warnings:
        print_message(f"warning: {warning}")
    if findings.problems:
        return EXIT_FAILED
    print_message("no problems found")
    return EXIT_OK
