"""`mailfront init`: make a server root."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mailfront.cli.output import EXIT_OK, print_line
from mailfront.configuration.home import ServerRoot
from mailfront.server.creation import create_server_root

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers

EPILOGUE = """\
The directory must be new or empty. It gets config/ (options and users), certdb/ (certificates and
keys, with a random password in config/sslpassword.conf) and a self-signed Server-Cert. Then:
  mailfront user add ann@DOMAIN     make users
  configutil -l                     see the options
  mailfront serve                   start"""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "init",
        help="make a server root",
        description="Make a server root: configuration, certificate database, Server-Cert.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    parser.add_argument(
        "--domain",
        default="example.test",
        help="the mail domain, kept in service.defaultdomain (default: %(default)s)",
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="also make the users alice and bob with random passwords (in initial-passwords.txt), "
        "a welcome message each, and one certificate per service",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the server root."""
    root = ServerRoot.from_environment(arguments.home)
    passwords = create_server_root(root, arguments.domain, demo=arguments.demo)
    print_line(f"server root: {root.path}")
    if passwords:
        print_line(f"users: {', '.join(passwords)}; passwords: {root.initial_passwords}")
    return EXIT_OK
