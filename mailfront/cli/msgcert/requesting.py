"""`request-cert`: a new key that stays in the database, and a request that goes to an authority."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.naming import (
    add_key_arguments,
    add_subject_arguments,
    alternative_names_of,
    check_subject_usage,
    key_kind_of,
    notes_on,
    subject_of,
)
from mailfront.cli.msgcert.private_file import (
    refuse_existing,
    write_private_file,
    write_to_output,
)
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message
from mailfront.errors import KeystoreError, OperatorError
from mailfront.keystore import requests
from mailfront.keystore.nicknames import check_nickname

_FORMATS = ("binary", "der", "ascii", "pem")
_TEXT_FORMATS = ("ascii", "pem")
# A request is meant for others.
_FILE_MODE = 0o644


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the arguments ask for, checked before anybody is asked for a password."""

    nickname: str
    subject: x509.Name
    names: tuple[x509.GeneralName, ...] | None
    kind: requests.KeyKind
    binary: bool

    @classmethod
    def by(cls, arguments: argparse.Namespace) -> Wanted:
        """Return what is wanted. Raises `OperatorError` for what cannot be made or written."""
        subject = subject_of(arguments)
        names = alternative_names_of(arguments)
        kind = key_kind_of(arguments)
        nickname = _nickname(arguments, subject)
        binary = arguments.format not in _TEXT_FORMATS
        _check_output(arguments, binary=binary)
        return cls(nickname, subject, names, kind, binary)

    def request(self, key: requests.PrivateKey) -> x509.CertificateSigningRequest:
        """Return the request, signed by `key`."""
        names = self.names
        asked_for = requests.default_alternative_names(self.subject) if names is None else names
        return requests.certificate_request(key, self.subject, asked_for)

    def notes(self) -> list[str]:
        """Return what clients will have against the certificate."""
        return notes_on(self.subject, self.names, self.kind)


def _request(arguments: argparse.Namespace) -> int:
    wanted = Wanted.by(arguments)
    with open_token(arguments) as token:
        key = wanted.kind.generate()
        request = wanted.request(key)
        pending = token.add_pending_key(wanted.nickname, key)
        try:
            write_request(arguments, request, binary=wanted.binary)
        except BaseException:
            # Its key is of no use.
            token.remove(wanted.nickname)
            raise
    nickname = wanted.nickname
    print_message(
        f"made a key ({pending.key_description}) that waits for its certificate as {nickname}"
    )
    for note in wanted.notes():
        print_message(note)
    print_message(f"install the answer with `msgcert add-cert {_quoted(nickname)} FILE`")
    return 0


def _nickname(arguments: argparse.Namespace, subject: x509.Name) -> str:
    nickname: str = requests.common_name(subject) if arguments.alias is None else arguments.alias
    try:
        check_nickname(nickname)
    except KeystoreError as error:
        if arguments.alias is not None:
            raise
        raise KeystoreError(
            "the common name cannot be the nickname of the key",
            remedy="choose one with --alias CERT_ALIAS",
        ) from error
    return nickname


def _check_output(arguments: argparse.Namespace, *, binary: bool) -> None:
    if arguments.output is not None:
        refuse_existing(Path(arguments.output), force=arguments.force)
    elif binary and sys.stdout.isatty():
        raise OperatorError(
            "binary output would garble the terminal",
            remedy="name a file with -o FILE, or ask for text with -F ascii",
        )


def write_request(
    arguments: argparse.Namespace, request: x509.CertificateSigningRequest, *, binary: bool
) -> None:
    """Write the request to where the arguments say."""
    encoding = serialization.Encoding.DER if binary else serialization.Encoding.PEM
    content = request.public_bytes(encoding)
    if arguments.output is None:
        write_to_output(content, binary=binary)
        return
    path = Path(arguments.output)
    write_private_file(path, content, force=arguments.force)
    path.chmod(_FILE_MODE)


def _quoted(nickname: str) -> str:
    return f'"{nickname}"' if " " in nickname else nickname


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_subject_arguments(parser)
    key = parser.add_argument_group("key")
    key.add_argument(
        "--alias",
        metavar="CERT_ALIAS",
        help="the nickname under which the key waits (default: the common name)",
    )
    add_key_arguments(key)
    output = parser.add_argument_group("output")
    output.add_argument(
        "-F",
        "--format",
        choices=_FORMATS,
        default="binary",
        help="binary (DER, the default; der is the same) or ascii (PEM; pem is the same)",
    )
    output.add_argument(
        "-o", "--output", metavar="FILE", help="write to FILE (default: standard output)"
    )
    output.add_argument("--force", action="store_true", help="overwrite FILE")


def _check_usage(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    check_subject_usage(parser, arguments)
    if arguments.force and arguments.output is None:
        parser.error("--force goes with -o FILE")


REQUEST: Subcommand = Subcommand(
    name="request-cert",
    summary="make a key pair and a request for a certification authority",
    description="""\
Makes a key pair, which stays in the database, and a request (PKCS#10) for a
certificate of it. Send the request to a certification authority, and install
its answer with add-cert; until then list-certs shows the key as pending.

The PEM form begins with `BEGIN CERTIFICATE REQUEST`, which every authority
takes; the `NEW` that NSS puts into that line is not written.

With --token the key is made on that PKCS#11 token, which signs the request; the
key never leaves it.""",
    examples="""\
  msgcert request-cert --name mail.example.com -F ascii -o mail.csr
  msgcert request-cert -S "CN=mail.example.com,O=Example,C=US" -o mail.der
  msgcert request-cert --name mail.example.com --alias imap-cert \\
      --san mail.example.com,imap.example.com --keytype rsa -F ascii
  msgcert request-cert --token "HSM One" --name mail.example.com -F ascii -o mail.csr""",
    add_arguments=_add_arguments,
    run=_request,
    check_usage=_check_usage,
)
