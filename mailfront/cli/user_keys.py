"""`mailfront user enroll-key` and `remove-key`: certificate login for a person without a CA.

Takes an address and a certificate file, puts certificate and key fingerprint into
`config/users.ldif`. An LDAP server is never written to: for one the commands print the change in
LDIF, for ldapmodify.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from mailfront.authentication.certmap_file import read_certmap
from mailfront.authentication.pinned_key import is_for_clients
from mailfront.cli.directory_access import is_ldap, opened_directory
from mailfront.cli.output import JsonValue, print_message
from mailfront.cli.subcommand import AddCommand, Subparsers
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration, load_configuration
from mailfront.directory.editing import checked_address, enroll_key, find_user, remove_key
from mailfront.directory.enrolled_keys import (
    KEY_FINGERPRINT_ATTRIBUTE,
    EnrolledKey,
    addition,
    enrolled_keys,
    key_fingerprint,
    removal,
)
from mailfront.directory.entry import Entry
from mailfront.directory.users_file import parse_users, read_users_file
from mailfront.errors import DirectoryError, OperatorError
from mailfront.keystore.certificate_files import read_certificates
from mailfront.keystore.formats import certificate_der, key_description, name_text
from mailfront.keystore.key_strength import weakness
from mailfront.protocol.ldap_filter import Equal

_BEGIN_OF_FINGERPRINT = re.compile(r"[0-9a-f]{8,64}")
_SELF_SIGNED = (
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 "
    "-subj /CN=NAME -addext basicConstraints=critical,CA:FALSE makes one"
)


def add_parsers(commands: Subparsers, command: AddCommand) -> None:
    """Add the subcommands of `mailfront user`."""
    enroll = command(commands, "enroll-key", "let a user log in with a certificate", run_enroll)
    enroll.add_argument("address", metavar="ADDRESS", help="the mail address")
    enroll.add_argument(
        "certificate", metavar="CERTFILE", help="their certificate, self-signed or of any CA"
    )
    remove = command(commands, "remove-key", "take such a certificate back", run_remove)
    remove.add_argument("address", metavar="ADDRESS", help="the mail address")
    remove.add_argument(
        "key", metavar="KEY", help="the certificate file, or the begin of the key's fingerprint"
    )


def run_enroll(arguments: argparse.Namespace) -> int:
    """Enrol a key; 0 also if it is enrolled already."""
    root = _root(arguments)
    address = checked_address(arguments.address)
    path = Path(arguments.certificate)
    certificate = read_certificates(path)[0]
    require_enrollable(certificate, path, datetime.now(UTC))
    fingerprint = key_fingerprint(certificate)
    der = certificate_der(certificate)
    configuration = load_configuration(root.msg_conf)
    if is_ldap(configuration):
        entry = asyncio.run(_ldap_user(root, configuration, address, fingerprint))
        _print_change(addition(entry, der, fingerprint))
    elif not enroll_key(root.users_ldif, address, der, fingerprint):
        print_message(f"{address} has this key already")
        return 0
    else:
        key = EnrolledKey(fingerprint, certificate)
        print_message(f"{address} may log in with the key {key_line(key)}")
    _advise(root)
    return 0


def run_remove(arguments: argparse.Namespace) -> int:
    """Remove one key of a user."""
    root = _root(arguments)
    address = checked_address(arguments.address)
    configuration = load_configuration(root.msg_conf)
    if is_ldap(configuration):
        return _print_removal(root, configuration, address, Path(arguments.key))
    content, _ = read_users_file(root.users_ldif)
    entry = find_user(parse_users(content, root.users_ldif), address, root.users_ldif)
    key = chosen_key(entry, arguments.key)
    remove_key(root.users_ldif, address, key.fingerprint)
    print_message(f"{address} logs in with the key {key.fingerprint[:16]} no more")
    return 0


def require_enrollable(certificate: x509.Certificate, path: Path, now: datetime) -> None:
    """Raise `OperatorError` for a certificate that should let nobody in."""
    if now > certificate.not_valid_after_utc:
        expired = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise OperatorError(f"it expired on {expired}", remedy=_SELF_SIGNED, file=path)
    if _is_authority(certificate):
        raise OperatorError("it is the certificate of a CA", remedy=_SELF_SIGNED, file=path)
    if not is_for_clients(certificate):
        what = "its extended key usage does not allow clients"
        raise OperatorError(what, remedy=_SELF_SIGNED, file=path)
    if fault := weakness(certificate.public_key()):
        raise OperatorError(f"the key is weak: {fault}", remedy=_SELF_SIGNED, file=path)


def chosen_key(entry: Entry, wanted: str) -> EnrolledKey:
    """Return the one key of the user that `wanted` names, by file or fingerprint."""
    keys = enrolled_keys(entry)
    begin = wanted.lower().replace(":", "")
    if not _BEGIN_OF_FINGERPRINT.fullmatch(begin) or Path(wanted).exists():
        begin = key_fingerprint(read_certificates(Path(wanted))[0])
    found = [key for key in keys if key.fingerprint.startswith(begin)]
    if len(found) == 1:
        return found[0]
    if not found:
        known = ", ".join(key.fingerprint[:16] for key in keys)
        remedy = f"enrolled are {known}" if keys else "no key is enrolled"
        raise DirectoryError(f"{entry.user} has no such key", remedy=remedy)
    raise DirectoryError(f"{entry.user} has {len(found)} such keys", remedy="write more of it")


def key_record(key: EnrolledKey) -> dict[str, JsonValue]:
    """Return what there is to know of a key, for JSON."""
    certificate = key.certificate
    if certificate is None:
        return {"fingerprint": key.fingerprint, "subject": None, "expires": None, "key": None}
    return {
        "fingerprint": key.fingerprint,
        "subject": name_text(certificate.subject),
        "expires": certificate.not_valid_after_utc.isoformat(),
        "key": key_description(certificate.public_key()),
    }


def key_line(key: EnrolledKey) -> str:
    """Return a key in one line for people."""
    if key.certificate is None:
        return f"{key.fingerprint[:16]}  without its certificate: of no use"
    certificate = key.certificate
    expires = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    described = key_description(certificate.public_key())
    return f"{key.fingerprint[:16]}  {described}, {name_text(certificate.subject)}, until {expires}"


def _root(arguments: argparse.Namespace) -> ServerRoot:
    root = ServerRoot.from_environment(getattr(arguments, "home", None))
    root.require_initialised()
    return root


def _print_removal(root: ServerRoot, configuration: Configuration, address: str, path: Path) -> int:
    certificate = read_certificates(path)[0]
    fingerprint = key_fingerprint(certificate)
    entry = asyncio.run(_ldap_user(root, configuration, address, fingerprint))
    _print_change(removal(entry, certificate_der(certificate), fingerprint))
    return 0


async def _ldap_user(
    root: ServerRoot, configuration: Configuration, address: str, fingerprint: str
) -> Entry:
    """Return the user's entry. Raises `DirectoryError`, also if the key is another user's."""
    with opened_directory(root, configuration) as directory:
        entry = await directory.entry_for_address(address)
        holders = await directory.search(None, Equal(KEY_FINGERPRINT_ATTRIBUTE, fingerprint))
    if entry is None or entry.user != address:
        raise DirectoryError(f"there is no user {address} in the LDAP directory")
    for holder in holders:
        if holder.user != address:
            raise DirectoryError(
                f"this key is enrolled for {holder.user}",
                remedy="a key belongs to one user; remove it there, or make another",
            )
    return entry


def _print_change(record: bytes) -> None:
    sys.stdout.write(record.decode("ascii"))
    print_message(
        "the LDAP directory is not written to: give these lines to ldapmodify (the schema is "
        "docs/ldap/mailfront.schema)"
    )


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _advise(root: ServerRoot) -> None:
    """Say what is still missing for the key to be of use."""
    if not read_certmap(root.certmap_conf).certmap.pins_keys:
        print_message(
            f"{root.certmap_conf}: no mapping takes enrolled keys yet: add the line "
            "`default:pinned on`"
        )
