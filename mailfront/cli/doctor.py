"""`mailfront doctor`: what a client sees of a TLS port, ours or anyone's, and what is wrong."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mailfront.cli.output import (
    EXIT_FAILED,
    EXIT_OK,
    EXIT_USAGE,
    print_json,
    print_line,
    print_message,
)
from mailfront.errors import OperatorError
from mailfront.protocol.starttls_client import StarttlsProtocol

if TYPE_CHECKING:
    from cryptography import x509

    from mailfront.cli.subcommand import Subparsers

EPILOGUE = """\
How TLS begins is guessed from the port: 25, 587, 143 and 110 by STARTTLS, 465, 993, 995 and 443 at
once, and likewise the ports of quickstart. Without a port: 993.

Makes some 30 short connections and never logs in. One of them tries to slip a command behind
STARTTLS, which a server may log as an attack.

examples:
  mailfront doctor mail.example.org
  mailfront doctor mail.example.org:25
  mailfront doctor 192.0.2.1:2525 --starttls smtp --name mail.example.org

Exit status: 0 no objection but advice, 1 objections or no connection, 2 wrong usage."""

_LARGEST_AUTHORITIES_FILE = 8 * 1024 * 1024
_MOST_AUTHORITIES = 2000


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "doctor",
        help="examine the TLS of a mail or web port, ours or anyone's",
        description="Examine the TLS of a mail or web port as a client, and say what a reviewer "
        "would object to.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="HOST[:PORT]", help="which port to examine")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--starttls",
        choices=[protocol.value for protocol in StarttlsProtocol],
        help="TLS begins with a command of this protocol",
    )
    how.add_argument("--implicit", action="store_true", help="TLS begins at once")
    parser.add_argument(
        "--name", metavar="NAME", default="", help="the certificate must be for NAME (else HOST)"
    )
    parser.add_argument("--ca", metavar="FILE", type=Path, help="trust the CAs in FILE (PEM) too")
    parser.add_argument(
        "--home", metavar="DIR", help="trust the CAs of this server root's certificates too"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the report; 1 if there is an objection of weight."""
    from mailfront.cli.doctor_report import json_report, text_report
    from mailfront.tls.doctor.examination import examine
    from mailfront.tls.doctor.findings import has_weight, judge
    from mailfront.tls.doctor.target import parse_target

    try:
        target = parse_target(
            arguments.target,
            starttls=StarttlsProtocol(arguments.starttls) if arguments.starttls else None,
            implicit=arguments.implicit,
            name=arguments.name,
        )
    except OperatorError as mistake:
        print_message(str(mistake))
        return EXIT_USAGE
    facts = examine(target, _authorities(arguments))
    now = datetime.now(UTC)
    findings = judge(facts, now)
    if arguments.json:
        print_json(json_report(facts, findings, now))
    else:
        for line in text_report(facts, findings, now):
            print_line(line)
    return EXIT_FAILED if has_weight(findings) else EXIT_OK


def _authorities(arguments: argparse.Namespace) -> list[x509.Certificate]:
    authorities: list[x509.Certificate] = []
    if arguments.ca is not None:
        from mailfront.keystore.certificate_files import read_certificates

        authorities += read_certificates(
            arguments.ca, most=_MOST_AUTHORITIES, largest=_LARGEST_AUTHORITIES_FILE
        )
    if arguments.home is not None:
        authorities += _keystore_authorities(arguments.home)
    return authorities


def _keystore_authorities(home: str) -> list[x509.Certificate]:
    from mailfront.configuration.home import ServerRoot
    from mailfront.keystore.internal_token import InternalToken
    from mailfront.keystore.nicknames import INTERNAL_TOKEN
    from mailfront.keystore.passwords import read_password
    from mailfront.server.live_check import trusted_authorities

    root = ServerRoot.from_environment(home)
    root.require_initialised()
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    with InternalToken.open(root.certificate_database, password) as token:
        return trusted_authorities(token)
