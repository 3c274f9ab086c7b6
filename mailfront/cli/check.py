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
Prints each problem as `file:line: what: remedy` on stdout; exit status 1 if there is one.

With --live it also connects to every configured port as a client, as `mailfront doctor` does, and
compares what is served with configuration and certificates. The server must be running."""


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
    parser.add_argument(
        "--live", action="store_true", help="examine every port of the running server too"
    )
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
    if arguments.live and not _is_served_well(root):
        return EXIT_FAILED
    if root.imta_cnf.exists():
        _print_channels(root)
    print_message("no problems found")
    return EXIT_OK


def _print_channels(root: ServerRoot) -> None:
    """Say how imta.cnf was understood."""
    from mailfront.channels.imta_cnf import load_channels

    table = load_channels(root)
    print_message(
        f"{root.imta_cnf}: rules for {' '.join(rule.pattern for rule in table.rules[:20])}; "
        f"channels {' '.join(list(table.channels)[:50])} (mailfront route shows all of it)"
    )


def _is_served_well(root: ServerRoot) -> bool:
    """Examine the ports and print what is wrong with each; whether nothing is."""
    from mailfront.channels.imta_cnf import load_channels
    from mailfront.configuration.msg_conf import load_configuration
    from mailfront.keystore.internal_token import InternalToken
    from mailfront.keystore.keystore import Keystore
    from mailfront.keystore.nicknames import INTERNAL_TOKEN
    from mailfront.keystore.passwords import read_password
    from mailfront.server.live_check import check_live

    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    is_well = True
    with InternalToken.open(root.certificate_database, password) as token:
        keystore = Keystore(root, token)
        keystore.look_at_tokens()
        clear = load_channels(root).ports_in_clear()
        for port in check_live(load_configuration(root.msg_conf), keystore, clear=clear):
            for problem in port.problems:
                print_line(f"{port.name}: {problem}")
                is_well = False
            for advice in port.advice:
                print_message(f"{port.name}: advice: {advice}")
            if port.facts is not None and not port.problems:
                versions = ", ".join(port.facts.accepted_versions)
                print_message(f"{port.name}: {port.facts.target} serves {versions} as configured")
    return is_well
