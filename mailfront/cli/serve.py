"""`mailfront serve`: run the server in the foreground."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mailfront.cli.output import EXIT_OK
from mailfront.configuration.home import ServerRoot

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers

EPILOGUE = """\
Prints `mailfront ready` on stdout once every port is bound and accepts, and tells systemd
(Type=notify). SIGTERM and SIGINT stop it: running commands finish, for at most
service.draintimeout seconds. SIGHUP re-reads configuration and certificates; changes of
certificates are followed without it. If one port cannot be bound, nothing starts."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "serve",
        help="run the server in the foreground",
        description="Run the server in the foreground.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    # Here, because it takes a second that the other commands need not spend.
    from mailfront.server.process import serve

    serve(ServerRoot.from_environment(arguments.home))
    return EXIT_OK
