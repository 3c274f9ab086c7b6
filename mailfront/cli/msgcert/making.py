"""`generate-certDB` and `add-selfsign-cert`: the subcommands that make keys and certificates."""

from __future__ import annotations

import argparse
import getpass
import sys
from datetime import UTC, datetime

from cryptography import x509

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message
from mailfront.cli.prompt import password_from_file
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import load_configuration
from mailfront.errors import OperatorError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import requests
from mailfront.keystore.creation import add_self_signed, create_certificate_database
from mailfront.keystore.nicknames import DEFAULT_NICKNAME
from mailfront.keystore.passwords import warning_about
from mailfront.keystore.records import CertificateRecord

_SUBJECT_PARTS = ("name", "org", "org_unit", "city", "state", "country")


def _generate(arguments: argparse.Namespace) -> int:
    root = server_root(arguments)
    if root.certificate_database.exists():
        raise OperatorError(
            "there is a certificate database already",
            remedy="keep it, or move its directory away first",
            file=root.certificate_database,
        )
    password = _new_password(arguments)
    hostname, domain = _configured_names(root)
    with create_certificate_database(
        root.certificate_database, root.sslpassword_conf, password, hostname, domain
    ) as token:
        record = token.require(DEFAULT_NICKNAME)
    if password is not None and (warning := warning_about(password)):
        print_message(warning)
    print_message(f"made {root.certificate_database}, its password is in {root.sslpassword_conf}")
    _tell_about(record)
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


GENERATE = Subcommand(
    name="generate-certDB",
    summary="make the certificate database and a self-signed Server-Cert",
    description="""\
Makes the certificate database of a server root (certdb/), a self-signed
certificate with the nickname Server-Cert in it (EC P-256, 90 days; for this
machine's name, the mail domain and localhost), and the password's line in
config/sslpassword.conf, with which servers start unattended.

On a terminal you are asked for a password; an empty answer, and every run
without a terminal, takes the one that you wrote into sslpassword.conf yourself,
else a random one. An existing database is never overwritten.""",
    examples="""\
  msgcert generate-certDB                  ask for a password, or make a random one
  msgcert generate-certDB -W pw.txt        take the first line of pw.txt (mode 0600)
  pass mail/db | msgcert generate-certDB -W -""",
    add_arguments=lambda parser: None,
    run=_generate,
)


def _add_selfsign_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("alias", metavar="CERT_ALIAS", help="the nickname of the new certificate")
    subject = parser.add_argument_group(
        "whom it names", "Either a whole subject, or its parts. Default: this machine's name."
    )
    subject.add_argument("-S", "--subject", metavar="DN", help="subject in the form of RFC 4514")
    subject.add_argument("--name", metavar="CN", help="common name, usually the host name")
    subject.add_argument("--org", metavar="O", help="organisation")
    subject.add_argument("--org-unit", metavar="OU", help="organisational unit")
    subject.add_argument("--city", metavar="L", help="locality")
    subject.add_argument("--state", metavar="ST", help="state or province")
    subject.add_argument("--country", metavar="C", help="country, two letters")
    subject.add_argument(
        "--san",
        metavar="NAMES",
        action="append",
        default=[],
        help="alternative names, the ones that clients compare: host names, IP addresses, mail "
        "addresses; comma-separated or repeated (default: the common name)",
    )
    key = parser.add_argument_group("key and validity")
    key.add_argument(
        "--keytype", choices=requests.KEY_TYPES, help="default: ec, which every client takes"
    )
    key.add_argument(
        "--keysize", type=int, metavar="BITS", help="for rsa: 2048 (default), 3072 or 4096"
    )
    key.add_argument("--curve", metavar="CURVE", help="for ec: P-256 (default) or P-384")
    key.add_argument(
        "--validity",
        type=int,
        default=requests.DEFAULT_MONTHS,
        metavar="MONTHS",
        help=f"calendar months until it expires (default: {requests.DEFAULT_MONTHS})",
    )


def _add_selfsign(arguments: argparse.Namespace) -> int:
    subject = _subject(arguments)
    texts = [name for given in arguments.san for name in given.split(",")]
    names = tuple(map(requests.parse_alternative_name, texts)) if texts else None
    # What can be refused is refused before anybody is asked for a password.
    requests.months_later(datetime.now(UTC), arguments.validity)
    kind = _key_kind(arguments)
    kind.check()
    with open_token(arguments) as token:
        record = add_self_signed(
            token,
            arguments.alias,
            subject,
            names,
            key_kind=kind,
            months=arguments.validity,
        )
    _tell_about(record)
    if names is None and not requests.default_alternative_names(subject):
        print_message(
            "note: the common name is no host name, so no client can match this certificate to a "
            "server; name the hosts with --san"
        )
    if record.key_type == "ed25519":
        print_message("note: browsers and many mail clients cannot use Ed25519 certificates")
    return 0


def _subject(arguments: argparse.Namespace) -> x509.Name:
    parts = {part: getattr(arguments, part) or "" for part in _SUBJECT_PARTS}
    if arguments.subject is not None:
        return requests.parse_subject(arguments.subject)
    if arguments.name is None:
        parts["name"] = requests.name_of_host(machine_name())
    return requests.build_subject(**parts)


def _check_usage(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    if arguments.subject is not None:
        for part in _SUBJECT_PARTS:
            if getattr(arguments, part) is not None:
                parser.error(f"--{part.replace('_', '-')} cannot be given together with -S")


def _key_kind(arguments: argparse.Namespace) -> requests.KeyKind:
    family = arguments.keytype or ("rsa" if arguments.keysize is not None else "ec")
    return requests.KeyKind(family, arguments.keysize, arguments.curve)


def _tell_about(record: CertificateRecord) -> None:
    expires = record.certificate.not_valid_after_utc.astimezone().date()
    print_message(
        f"made the self-signed certificate {record.nickname} ({record.key_description}), "
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
    check_usage=_check_usage,
)
