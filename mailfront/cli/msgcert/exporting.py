"""`export-cert`: a certificate with its key and issuers, encrypted, for another program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.private_file import (
    refuse_existing,
    write_private_file,
    write_to_output,
)
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message
from mailfront.cli.prompt import password_from_file, prompt_for_new_password
from mailfront.errors import OperatorError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.formats import chain_pem
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.pkcs12 import write_pkcs12
from mailfront.keystore.records import CertificateRecord

_PROMPT = "Choose the PKCS#12 file password: "
_CONFIRMATION = "Confirm the PKCS#12 file password: "
_PEM_PROMPT = "Choose the password of the private key: "
_PEM_CONFIRMATION = "Confirm the password of the private key: "


def _export(arguments: argparse.Namespace) -> int:
    output = None if arguments.output is None else Path(arguments.output)
    if output is not None:
        refuse_existing(output, force=arguments.force)
    elif sys.stdout.isatty() and not arguments.pem:
        raise OperatorError(
            "binary output would garble the terminal", remedy="name a file with -o FILE"
        )
    with open_token(arguments) as token:
        _require_key_here(token.require(arguments.alias))
        password = _new_password(arguments)
        content = _content(token, arguments, password)
    if output is None:
        write_to_output(content, binary=not arguments.pem)
        return 0
    write_private_file(output, content, force=arguments.force)
    print_message(f"exported {arguments.alias} to {output}")
    return 0


def _require_key_here(record: CertificateRecord) -> None:
    if record.key_on_other_token:
        raise OperatorError(
            f"the private key of {record.nickname!r} is on a PKCS#11 token and stays there",
            remedy=f"`msgcert show-cert -F ascii {record.nickname}` prints the certificate alone",
        )


def _content(token: InternalToken, arguments: argparse.Namespace, password: Secret) -> bytes:
    # One change: certificate and key of the same moment, also beside a renewal.
    with token.change() as step:
        record = token.require(arguments.alias)
        private_key = step.private_key(arguments.alias)
    if private_key is None:
        raise OperatorError(
            f"the certificate {arguments.alias!r} has no private key here",
            remedy=f"`msgcert show-cert -F ascii {arguments.alias}` prints the certificate alone",
        )
    chain = (record.certificate, *record.chain)
    if not arguments.pem:
        return write_pkcs12(arguments.alias, private_key, chain, password, legacy=arguments.legacy)
    key = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.reveal().encode()),
    )
    return chain_pem(chain) + key


def _new_password(arguments: argparse.Namespace) -> Secret:
    if arguments.output_pwd_file is not None:
        return password_from_file(arguments.output_pwd_file)
    if not sys.stdin.isatty():
        raise OperatorError(
            "a password for the exported key is needed", remedy="give it in a file with -O FILE"
        )
    if arguments.pem:
        return prompt_for_new_password(_PEM_PROMPT, _PEM_CONFIRMATION)
    return prompt_for_new_password(_PROMPT, _CONFIRMATION)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="write to FILE, which only you may read (default: standard output)",
    )
    parser.add_argument(
        "-O",
        "--output-pwd-file",
        metavar="FILE",
        help="file whose first line becomes the password of what is written (default: a prompt)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--legacy",
        action="store_true",
        help="triple DES and SHA-1, for devices that cannot read AES-256 and SHA-256",
    )
    form.add_argument(
        "--pem", action="store_true", help="PEM: certificate, issuers, encrypted private key"
    )


EXPORT = Subcommand(
    name="export-cert",
    summary="export a certificate with its key (PKCS#12 or PEM)",
    description="""\
Writes a certificate with its private key and its issuers into one file that a
password protects: PKCS#12 with AES-256 and HMAC-SHA256, or with --pem a chain
and an encrypted PKCS#8 key. A file that exists is never overwritten, unless you
say --force. With --legacy the protection is weak: keep such a file nowhere.""",
    examples="""\
  msgcert export-cert -o imap.p12 imap-cert
  msgcert export-cert -o imap.p12 -O p12-password.txt imap-cert
  msgcert export-cert --legacy -o printer.p12 printer-cert
  msgcert export-cert --pem -o imap.pem imap-cert""",
    add_arguments=_add_arguments,
    run=_export,
)
