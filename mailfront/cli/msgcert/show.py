"""`show-cert`: one certificate, for people or as PEM, DER or JSON."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.listing import certificate_facts
from mailfront.cli.msgcert.readable import readable_certificate
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_json, printable
from mailfront.errors import OperatorError
from mailfront.keystore.formats import certificate_der, certificate_pem
from mailfront.keystore.nicknames import DEFAULT_NICKNAME
from mailfront.keystore.records import CertificateRecord

_FORMATS = ("readable", "ascii", "binary", "der")


def _show(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token:
        record = token.require(arguments.alias)
    if arguments.json:
        print_json(certificate_facts(record, datetime.now(UTC)))
        return 0
    content = _content(record, arguments.format)
    if arguments.output is not None:
        _write(Path(arguments.output), content)
    elif sys.stdout.isatty() and arguments.format in ("binary", "der"):
        raise OperatorError(
            "binary output would garble the terminal", remedy="name a file with -o FILE"
        )
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    return 0


def _content(record: CertificateRecord, form: str) -> bytes:
    if form == "ascii":
        return certificate_pem(record.certificate)
    if form in ("binary", "der"):
        return certificate_der(record.certificate)
    return "".join(f"{printable(line)}\n" for line in readable_certificate(record)).encode()


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise OperatorError(f"cannot be written: {error.strerror}", file=path) from error


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "alias",
        metavar="CERT_ALIAS",
        nargs="?",
        default=DEFAULT_NICKNAME,
        help=f"the nickname (default: {DEFAULT_NICKNAME})",
    )
    parser.add_argument(
        "-F",
        "--format",
        choices=_FORMATS,
        default="readable",
        help="readable (default), ascii (PEM), or binary (DER; der is the same)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE")
    parser.add_argument("--json", action="store_true", help="print a JSON record")


SHOW = Subcommand(
    name="show-cert",
    summary="show one certificate",
    description="""\
Shows a certificate: names, validity, public key, extensions, fingerprints and
trust flags (times are UTC). Private keys are never shown.""",
    examples="""\
  msgcert show-cert imap-cert
  msgcert show-cert -F ascii imap-cert | openssl x509 -noout -text
  msgcert show-cert -F binary -o imap.der imap-cert""",
    add_arguments=_add_arguments,
    run=_show,
)
