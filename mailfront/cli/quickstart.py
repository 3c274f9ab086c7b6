"""`mailfront quickstart`: a server root if there is none, and the server on it, with a tour."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from mailfront.cli.control import print_ports
from mailfront.cli.output import EXIT_OK, print_line, print_message
from mailfront.configuration.home import ServerRoot
from mailfront.interfaces.secret import Secret
from mailfront.interfaces.status import ServerStatus
from mailfront.server.creation import QUICKSTART_OPTIONS, create_server_root

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers
    from mailfront.interfaces.status import StatusSource

EPILOGUE = """\
Makes the server root if it does not exist: users alice and bob with random passwords, a welcome
message each, one self-signed certificate per service, ports above 2000. A second start finds
everything as it was left. The log goes to log/mailfront.log. Stop it with Ctrl-C."""


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "quickstart",
        help="make a demonstration server root and serve it",
        description="Make a demonstration server root, unless there is one, and serve it.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    parser.add_argument(
        "--listen",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="where a new server root listens (default: %(default)s)",
    )
    parser.add_argument(
        "--domain",
        default="example.test",
        help="the mail domain of a new server root (default: %(default)s)",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make the server root if need be, serve until stopped."""
    from mailfront.server.process import serve

    root = ServerRoot.from_environment(arguments.home)
    passwords: dict[str, Secret] = {}
    if not root.is_initialised():
        options = {**QUICKSTART_OPTIONS, "service.listenaddr": arguments.listen}
        passwords = create_server_root(root, arguments.domain, demo=True, options=options)
    serve(root, lambda report: _welcome(root, report, passwords))
    return EXIT_OK


def _welcome(root: ServerRoot, report: StatusSource, passwords: dict[str, Secret]) -> None:
    status = report.status()
    print_line(f"mailfront {status.version} serves {root.path}")
    print_line("")
    print_ports(status)
    _print_tour(status)
    if passwords:
        _print_passwords(root, passwords)
    print_line("mailfront ready")
    sys.stdout.flush()


def _print_tour(status: ServerStatus) -> None:
    ports = {port.name: port.port for port in status.ports}
    tour = (
        ("submission", "openssl s_client -connect localhost:{} -starttls smtp -brief"),
        ("imaps", "curl -k --user alice@example.test 'imaps://localhost:{}/INBOX;UID=1'"),
        ("https", "https://localhost:{}/"),
    )
    print_line("")
    for name, line in tour:
        if name in ports:
            print_line("  " + line.format(ports[name]))
    print_line("")


def _print_passwords(root: ServerRoot, passwords: dict[str, Secret]) -> None:
    """On a terminal only: what is printed elsewhere lands in logs."""
    if sys.stdout.isatty():
        for address, password in passwords.items():
            print_line(f"  {address}  password: {password.reveal()}")
    print_message(f"the passwords are in {root.initial_passwords}")
