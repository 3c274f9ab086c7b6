"""`mailfront tlsa`: the TLSA records to publish for the keys that are served, and for the next."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mailfront.cli.output import EXIT_FAILED, EXIT_OK, print_json, print_line, print_message
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.keystore.formats import certificate_public_key_der, public_key_der
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.keystore import Keystore
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.outgoing.dkim.keys import split_name
from mailfront.outgoing.published_tlsa import tlsa_data, tlsa_name
from mailfront.server.certificates import ALPN, nicknames_of

if TYPE_CHECKING:
    from mailfront.cli.subcommand import Subparsers

DEFAULT_SERVICE = "imta"
DEFAULT_PORT = 25
EPILOGUE = """\
Prints a record 3 1 1 (the SHA-256 digest of the key) for every key that the service presents; with
--next also for every key that waits for its certificate. A new key in five steps:

  msgcert request-cert --alias next-cert …    a key that waits, and a request for the authority
  mailfront tlsa --next                       publish all of these records
  (wait twice the time to live of the former ones)
  msgcert renew-cert smtp-cert FILE           the new key is served
  mailfront tlsa                              publish these alone

The zone must be signed with DNSSEC: without it nobody heeds the records."""


@dataclass(frozen=True, slots=True)
class _Record:
    """One line of the zone, and whose key it is."""

    name: str
    data: str
    nickname: str
    state: str


def add_parser(subparsers: Subparsers) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "tlsa",
        help="TLSA records (DANE) of the keys that are served",
        description="Print the TLSA records (DANE, RFC 7672) of the keys that are served.",
        epilog=EPILOGUE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    parser.add_argument(
        "--service", choices=tuple(ALPN), default=DEFAULT_SERVICE,
        help="whose keys (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="of which port (default: %(default)s)"
    )
    parser.add_argument("--host", help="the server's name in MX records (default: its host name)")
    parser.add_argument(
        "--next", action="store_true", help="also the keys that wait for their certificates"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the records; 1 if there is none."""
    root = ServerRoot.from_environment(arguments.home)
    root.require_initialised()
    configuration = load_configuration(root.msg_conf)
    host = arguments.host or configuration.string("service.hostname") or machine_name()
    name = tlsa_name(host, arguments.port)
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    with InternalToken.open(root.certificate_database, password) as token:
        keystore = Keystore(root, token)
        keystore.look_at_tokens()
        records = _served(keystore, configuration, arguments.service, name)
        if arguments.next:
            waiting = _waiting(token, name)
            records += waiting
            if not waiting:
                print_message("note: no key waits for a certificate (`msgcert request-cert`)")
    if arguments.json:
        print_json([asdict(record) for record in records])
    else:
        for record in records:
            print_line(f"{record.name}. IN TLSA {record.data} ; {record.nickname}, {record.state}")
    return EXIT_OK if records else EXIT_FAILED


def _served(
    keystore: Keystore, configuration: Configuration, service: str, name: str
) -> list[_Record]:
    records = []
    for nickname in nicknames_of(configuration, service):
        found = keystore.find(nickname)
        if found is None:
            print_message(f"warning: there is no certificate {nickname!r}")
            continue
        data = tlsa_data(certificate_public_key_der(found.certificate))
        records.append(_Record(name, data, nickname, "served"))
    return records


def _waiting(token: InternalToken, name: str) -> list[_Record]:
    return [
        _Record(name, tlsa_data(public_key_der(key.public_key)), key.nickname, "waiting")
        for key in token.inventory().pending
        if split_name(key.nickname) is None
    ]


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)
