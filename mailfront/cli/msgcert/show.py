"""`show-cert`: one certificate, for people or as PEM, DER or JSON."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.listing import certificate_facts
from mailfront.cli.msgcert.readable import readable_certificate
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.msgcert.token_access import find_on_tokens
from mailfront.cli.output import print_json, printable
from mailfront.errors import OperatorError
from mailfront.keystore.formats import (
    certificate_der,
    certificate_pem,
    certificate_public_key_der,
)
from mailfront.keystore.nicknames import DEFAULT_NICKNAME
from mailfront.keystore.records import CertificateRecord

_FORMATS = ("readable", "ascii", "binary", "der")


def _show(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token:
        record = token.require(arguments.alias)
    if arguments.json:
        print_json(certificate_facts(record, datetime.now(UTC)))
        return 0
    put_out(arguments, record, [*readable_certificate(record), *_key_elsewhere(arguments, record)])
    return 0


def _key_elsewhere(arguments: argparse.Namespace, record: CertificateRecord) -> Iterator[str]:
    """Yield where the key is, if it is on a PKCS#11 token; the tokens are asked."""
    if not record.key_on_other_token or arguments.format != "readable":
        return
    place = find_on_tokens(server_root(arguments), certificate_public_key_der(record.certificate))
    yield "    Private Key:"
    if place is None:
        yield "        on a token that is not present"
    else:
        yield f"        on the token {place.token}, as {place.key.nickname}"
        yield f"        {place.key.protection}"


def put_out(arguments: argparse.Namespace, record: CertificateRecord, lines: list[str]) -> None:
    """Write the certificate in the form and to the place that the arguments name.

    `lines` are the readable form.
    """
    content = _content(record, arguments.format, lines)
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


def _content(record: CertificateRecord, form: str, lines: list[str]) -> bytes:
    if form == "ascii":
        return certificate_pem(record.certificate)
    if form in ("binary", "der"):
        return certificate_der(record.certificate)
    return "".join(f"{printable(line)}\n" for line in lines).encode()


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
trust flags (times are UTC). Private keys are never shown; of one on a PKCS#11
token it is told where it is and how the token protects it.""",
    examples="""\
  msgcert show-cert imap-cert
  msgcert show-cert -F ascii imap-cert | openssl x509 -noout -text
  msgcert show-cert -F binary -o imap.der imap-cert
  msgcert show-cert "HSM One:imap-ec\"""",
    add_arguments=_add_arguments,
    run=_show,
)
