"""`generate-certDB` and `add-selfsign-cert`: the subcommands that make keys and certificates."""

from __future__ import annotations

import argparse
import getpass
import sys
from datetime import UTC, datetime

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.naming import (
    add_key_arguments,
    add_subject_arguments,
    alternative_names_of,
    check_subject_usage,
    key_kind_of,
    notes_on,
    subject_of,
)
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message
from mailfront.cli.prompt import password_from_file
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import load_configuration
from mailfront.errors import OperatorError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import requests
from mailfront.keystore.creation import (
    add_self_signed,
    create_certificate_database,
    require_replaceable,
)
from mailfront.keystore.nicknames import DEFAULT_NICKNAME
from mailfront.keystore.passwords import warning_about
from mailfront.keystore.public_authorities import bundle_path, public_authorities
from mailfront.keystore.records import CertificateRecord


def _generate(arguments: argparse.Namespace) -> int:
    root = server_root(arguments)
    require_replaceable(root.certificate_database, over_empty=arguments.force)
    password = _new_password(arguments)
    hostname, domain = _configured_names(root)
    bundle = bundle_path()
    authorities = public_authorities(bundle)
    with create_certificate_database(
        root.certificate_database,
        root.sslpassword_conf,
        password,
        hostname,
        domain,
        authorities=authorities,
        over_empty=arguments.force,
    ) as token:
        record = token.require(DEFAULT_NICKNAME)
    if password is not None and (warning := warning_about(password)):
        print_message(warning)
    print_message(f"made {root.certificate_database}, its password is in {root.sslpassword_conf}")
    print_message(f"added {len(authorities)} public CAs, trusted for servers, from {bundle}")
    tell_about_self_signed(record, "made")
    return 0


def _new_password(arguments: argparse.Namespace) -> Secret | None:
    """Return the password that somebody chose, or None if nobody did."""
    if arguments.cert_pwd_file is not None:
        return password_from_file(arguments.cert_pwd_file)
    if not sys.stdin.isatty():
        return None
    try:
        chosen = getpass.getpass("Choose the certificate database password (empty: random): ")
        if not chosen:
            return None
        if getpass.getpass("Confirm the certificate database password: ") != chosen:
            raise OperatorError("the two passwords differ", remedy="run the command again")
    except EOFError as error:
        raise OperatorError("no password was given") from error
    return Secret(chosen)


def _configured_names(root: ServerRoot) -> tuple[str, str | None]:
    """Return the host name and the mail domain of a server root, as far as they are known."""
    if not root.is_initialised():
        return machine_name(), None
    configuration = load_configuration(root.msg_conf)
    hostname = configuration.string("service.hostname") or machine_name()
    return hostname, configuration.string("service.defaultdomain") or None


def _add_generate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--force", action="store_true", help="replace a database that is there, if it is empty"
    )


GENERATE = Subcommand(
    name="generate-certDB",
    summary="make the certificate database and a self-signed Server-Cert",
    description="""\
Makes the certificate database of a server root (certdb/), a self-signed
certificate with the nickname Server-Cert in it (EC P-256, 90 days; for this
machine's name, the mail domain and localhost), the public certification
authorities that this machine knows, trusted for servers and not for clients, and
the password's line in config/sslpassword.conf, with which servers start
unattended.

On a terminal you are asked for a password; an empty answer, and every run
without a terminal, takes the one that you wrote into sslpassword.conf yourself,
else a random one. An existing database is never overwritten; --force replaces one
that has no entry at all.""",
    examples="""\
  msgcert generate-certDB                  ask for a password, or make a random one
  msgcert generate-certDB -W pw.txt        take the first line of pw.txt (mode 0600)
  pass mail/db | msgcert generate-certDB -W -""",
    add_arguments=_add_generate_arguments,
    run=_generate,
)


def _add_selfsign_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname of the new certificate")
    add_subject_arguments(parser)
    key = parser.add_argument_group("key and validity")
    add_key_arguments(key)
    key.add_argument(
        "--validity",
        type=int,
        default=requests.DEFAULT_MONTHS,
        metavar="MONTHS",
        help=f"calendar months until it expires (default: {requests.DEFAULT_MONTHS})",
    )


def _add_selfsign(arguments: argparse.Namespace) -> int:
    # What can be refused is refused before anybody is asked for a password.
    subject = subject_of(arguments)
    names = alternative_names_of(arguments)
    requests.months_later(datetime.now(UTC), arguments.validity)
    kind = key_kind_of(arguments)
    with open_token(arguments) as token:
        record = add_self_signed(
            token,
            arguments.alias,
            subject,
            names,
            key_kind=kind,
            months=arguments.validity,
        )
    tell_about_self_signed(record, "made")
    for note in notes_on(subject, names, kind):
        print_message(note)
    return 0


def tell_about_self_signed(record: CertificateRecord, done: str) -> None:
    """Say what was done with a self-signed certificate, and its fingerprint."""
    expires = record.certificate.not_valid_after_utc.astimezone().date()
    print_message(
        f"{done} the self-signed certificate {record.qualified_nickname} "
        f"({record.key_description}), "
        f"which expires on {expires.isoformat()}"
    )
    print_message(f"SHA-256 fingerprint: {record.sha256}")


ADD_SELFSIGN = Subcommand(
    name="add-selfsign-cert",
    summary="make a key pair and a self-signed certificate",
    description="""\
Makes a key pair and a certificate that it signs itself, and stores both under
the nickname CERT_ALIAS. Clients warn about such a certificate until somebody
tells them to trust it: good for tests and inside one organisation.""",
    examples="""\
  msgcert add-selfsign-cert --name mail.example.com imap-cert
  msgcert add-selfsign-cert -S "CN=mail.example.com,O=Example,C=US" imap-cert
  msgcert add-selfsign-cert --name mail.example.com \\
      --san mail.example.com,imap.example.com,192.0.2.7 --validity 12 imap-cert
  msgcert add-selfsign-cert --name mail.example.com --keytype rsa --keysize 3072 imap-rsa""",
    add_arguments=_add_selfsign_arguments,
    run=_add_selfsign,
    check_usage=check_subject_usage,
)
