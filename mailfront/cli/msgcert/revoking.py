"""`add-crl`, `list-crls`, `remove-crl`: the revocation lists of CAs."""

from __future__ import annotations

import argparse
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.removing import confirmed
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.msgcert.trusting import require_authority
from mailfront.cli.output import JsonValue, print_json, print_message, print_table, printable
from mailfront.errors import KeystoreError
from mailfront.keystore.certificate_files import read_certificates
from mailfront.keystore.formats import name_text
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import unknown_nickname
from mailfront.keystore.revocation_installing import install_revocation_list, installed_lists
from mailfront.keystore.revocation_lists import MAXIMUM_OCTETS, RevocationList, authority_key

_FETCH_SECONDS = 60.0
_ID_DIGITS = 12
_CA_HELP = "the nickname of the CA, or a file with its certificate"


def _add(arguments: argparse.Namespace) -> int:
    octets = _read(arguments.source)
    with open_token(arguments) as token:
        authority = _authority(token, arguments.ca)
        now = datetime.now(UTC)
        found = install_revocation_list(token, authority, octets, now, force=arguments.force)
    print_message(
        f"added the list of {printable(name_text(authority.subject))}: {found.entries} revoked, "
        f"next update {_time(found.next_update)}"
    )
    if not found.is_current(now):
        print_message("warning: the list is out of date already")
    return 0


def _authority(token: InternalToken, name: str) -> x509.Certificate:
    record = token.find(name)
    if record is not None:
        certificate = record.certificate
    elif Path(name).is_file():
        certificate = read_certificates(Path(name), most=1)[0]
    else:
        raise unknown_nickname(name, token.nicknames())
    require_authority(certificate)
    return certificate


def _read(source: str) -> bytes:
    if source.lower().startswith(("http://", "https://")):
        return _fetch(source)
    path = Path(source)
    try:
        with path.open("rb") as stream:
            octets = stream.read(MAXIMUM_OCTETS + 1)
    except OSError as error:
        raise KeystoreError(f"cannot be read: {error.strerror}", file=path) from error
    return octets


def _fetch(address: str) -> bytes:
    """The list is signed by its CA, so it may come by HTTP, as RFC 5280 section 4.2.1.13 has it."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    try:
        with opener.open(address, timeout=_FETCH_SECONDS) as answer:
            octets: bytes = answer.read(MAXIMUM_OCTETS + 1)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        raise KeystoreError(
            f"{address} cannot be fetched: {reason}",
            remedy="fetch it by other means, and give the file",
        ) from error
    return octets


def _list(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token:
        lists = installed_lists(token)
    now = datetime.now(UTC)
    if arguments.json:
        print_json([_record(authority, found, now) for authority, found in lists])
        return 0
    if not lists:
        print_message("there are no revocation lists; `msgcert add-crl` adds one")
        return 0
    rows = [
        [
            printable(name_text(authority.subject)),
            _id(authority),
            "-" if found.number is None else str(found.number),
            _time(found.this_update),
            _time(found.next_update) + ("" if found.is_current(now) else " (out of date)"),
            str(found.entries),
        ]
        for authority, found in lists
    ]
    print_table(["CA", "Id", "Number", "Issued", "Next update", "Revoked"], rows)
    return 0


def _record(
    authority: x509.Certificate, found: RevocationList, now: datetime
) -> dict[str, JsonValue]:
    return {
        "ca": name_text(authority.subject),
        "id": _id(authority),
        "number": found.number,
        "this_update": found.this_update.isoformat(),
        "next_update": found.next_update.isoformat() if found.next_update else None,
        "revoked": found.entries,
        "current": found.is_current(now),
    }


def _remove(arguments: argparse.Namespace) -> int:
    with open_token(arguments) as token:
        issuer = _issuer_of(token, arguments.ca)
        what = f"the revocation list of {arguments.ca} (whom it revoked may come in again)"
        if not arguments.yes and not confirmed(what):
            print_message("nothing was removed")
            return 1
        with token.change() as step:
            if not step.revocation_lists.remove(issuer):
                raise KeystoreError(
                    f"there is no revocation list of {arguments.ca!r}",
                    remedy="`msgcert list-crls` shows those there are",
                )
    print_message(f"removed the revocation list of {printable(arguments.ca)}")
    return 0


def _issuer_of(token: InternalToken, name: str) -> bytes:
    if len(name) == _ID_DIGITS and token.find(name) is None:
        with token.revocation_lists() as table:
            for issuer in table.issuers():
                if issuer.hex()[:_ID_DIGITS] == name.lower():
                    return issuer
    return authority_key(_authority(token, name))


def _id(authority: x509.Certificate) -> str:
    return authority_key(authority).hex()[:_ID_DIGITS]


def _time(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ca", metavar="CA", help=_CA_HELP)
    parser.add_argument("source", metavar="FILE|URL", help="the list, in DER or PEM")
    parser.add_argument(
        "--force", action="store_true", help="take the list though it is older than the present one"
    )


def _list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the lists as JSON")


def _remove_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ca", metavar="CA", help=f"{_CA_HELP}, or the id that list-crls shows")
    parser.add_argument("--yes", action="store_true", help="do not ask whether it is meant")


ADD_CRL = Subcommand(
    name="add-crl",
    summary="add the revocation list of a CA, or its next one",
    description="""\
Stores the revocation list (CRL) of a CA: client certificates of that CA that are on
it identify nobody from then on. The list must be complete and signed by the CA itself;
one older than the present list is refused. A URL (http or https) is fetched now, once:
run the command from cron before the list's next update. A running server follows
within two seconds.""",
    examples="""\
  msgcert add-crl "Staff CA" staff.crl
  msgcert add-crl "Staff CA" http://pki.example.com/staff.crl
  msgcert add-crl issuing-ca.pem issuing.crl""",
    add_arguments=_add_arguments,
    run=_add,
)

LIST_CRLS = Subcommand(
    name="list-crls",
    summary="list the revocation lists",
    description="Lists the revocation lists, with their dates and how many each revokes.",
    examples="  msgcert list-crls\n  msgcert list-crls --json",
    add_arguments=_list_arguments,
    run=_list,
)

REMOVE_CRL = Subcommand(
    name="remove-crl",
    summary="remove the revocation list of a CA",
    description="""\
Removes the revocation list of a CA, a damaged one too. From then on its certificates
are not looked up any more: whom it revoked may come in again.""",
    examples='  msgcert remove-crl "Staff CA"',
    add_arguments=_remove_arguments,
    run=_remove,
)
