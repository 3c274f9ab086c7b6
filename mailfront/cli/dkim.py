"""`mailfront dkim`: the keys that sign outgoing mail, and the DNS records that publish them."""

from __future__ import annotations

import argparse

from mailfront.cli.output import (
    EXIT_OK,
    JsonValue,
    print_json,
    print_line,
    print_message,
    print_table,
)
from mailfront.cli.subcommand import Subparsers
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import load_configuration
from mailfront.errors import KeystoreError
from mailfront.keystore.formats import key_description
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.keystore.records import PendingKey
from mailfront.outgoing.dkim.keys import (
    ALGORITHMS,
    key_name,
    new_key,
    parse_selectors,
    record_strings,
    record_text,
    split_name,
)

EXAMPLES = """\
examples:
  mailfront dkim create example.org s2026
  mailfront dkim create example.org e2026 --algorithm ed25519
  mailfront dkim record example.org s2026       what the DNS has to hold, before it is used
  configutil -o dkim.selectors -v example.org:s2026,example.org:e2026
  mailfront dkim list

Mail whose From is in the domain, or in one below it, is signed by every key that is named. The key
is in the certificate database under the name of its DNS record: `msgcert remove-cert` removes it.

The server root is --home DIR or the variable MAILFRONT_HOME."""


def add_parser(subparsers: Subparsers) -> None:
    """Add `dkim` with its own subcommands."""
    dkim = subparsers.add_parser(
        "dkim",
        help="keys that sign outgoing mail (DKIM)",
        description="Makes and shows the keys that sign outgoing mail (RFC 6376).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = dkim.add_subparsers(title="commands", metavar="COMMAND", required=True)
    create = _command(commands, "create", "make a key for a domain")
    _add_names(create)
    create.add_argument(
        "--algorithm", choices=ALGORITHMS, default=ALGORITHMS[0],
        help="%(default)s by default; every receiver knows it, so ed25519 comes beside it",
    )  # fmt: skip
    create.set_defaults(run=run_create)
    listing = _command(commands, "list", "list the keys")
    listing.add_argument("--json", action="store_true", help="print JSON")
    listing.set_defaults(run=run_list)
    record = _command(commands, "record", "print the DNS record of a key")
    _add_names(record)
    record.set_defaults(run=run_record)


def run_create(arguments: argparse.Namespace) -> int:
    """Make a key, and print its record."""
    name = key_name(arguments.domain, arguments.selector)
    root = _root(arguments)
    with _token(root) as token:
        key = token.add_pending_key(name, new_key(arguments.algorithm))
    _print_record(key)
    domain, selector = arguments.domain.lower(), arguments.selector.lower()
    print_message(
        f"note: put this record into the DNS, then name the key: dkim.selectors = "
        f"{domain}:{selector}"
    )
    return EXIT_OK


def run_list(arguments: argparse.Namespace) -> int:
    """List the keys, and whether mail is signed with them."""
    root = _root(arguments)
    chosen = parse_selectors(load_configuration(root.msg_conf).names("dkim.selectors"))
    with _token(root) as token:
        keys = {each.nickname: each for each in token.inventory().pending}
    found: list[tuple[str, str, str, bool]] = []
    for nickname, key in sorted(keys.items()):
        if (names := split_name(nickname)) is not None:
            domain, selector = names
            signs = selector in chosen.get(domain, ())
            found.append((domain, selector, key_description(key.public_key), signs))
    if arguments.json:
        records: list[JsonValue] = [
            {"domain": domain, "selector": selector, "key": key_text, "signs": signs}
            for domain, selector, key_text, signs in found
        ]
        print_json(records)
    else:
        rows = [(*texts, "yes" if signs else "no") for *texts, signs in found]
        print_table(["Domain", "Selector", "Key", "Signs"], rows)
    for domain, selectors in chosen.items():
        for selector in selectors:
            if key_name(domain, selector) not in keys:
                print_message(f"warning: dkim.selectors names {domain}:{selector}; there is no key")
    return EXIT_OK


def run_record(arguments: argparse.Namespace) -> int:
    """Print the record of a key."""
    name = key_name(arguments.domain, arguments.selector)
    with _token(_root(arguments)) as token:
        key = token.find_entry(name)
    if not isinstance(key, PendingKey):
        raise KeystoreError(
            f"there is no DKIM key {arguments.selector!r} of {arguments.domain!r}",
            remedy=f"`mailfront dkim create {arguments.domain} {arguments.selector}` makes it",
        )
    _print_record(key)
    return EXIT_OK


def _print_record(key: PendingKey) -> None:
    strings = record_strings(record_text(key.public_key))
    quoted = " ".join(f'"{string}"' for string in strings)
    print_line(f"{key.nickname}. IN TXT ( {quoted} )")


def _command(commands: Subparsers, name: str, summary: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
    parser.add_argument("--home", metavar="DIR", help="the server root (else MAILFRONT_HOME)")
    return parser


def _add_names(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("domain", metavar="DOMAIN", help="the domain that signs")
    parser.add_argument("selector", metavar="SELECTOR", help="the name of the key, such as s2026")


def _root(arguments: argparse.Namespace) -> ServerRoot:
    root = ServerRoot.from_environment(arguments.home)
    root.require_initialised()
    return root


def _token(root: ServerRoot) -> InternalToken:
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    return InternalToken.open(root.certificate_database, password)
