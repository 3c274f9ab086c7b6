"""`import-nssdb`: everything that a database of NSS holds, such as the original's own."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.importing import tell_about
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message, printable
from mailfront.cli.prompt import password_from_file, prompt_for_password
from mailfront.errors import KeystoreError, WrongPasswordError
from mailfront.keystore import importing, nssdb
from mailfront.keystore.chain import is_authority
from mailfront.keystore.nicknames import nickname_from
from mailfront.keystore.pkcs12 import Identity
from mailfront.keystore.trust import TrustFlags

_PROMPT = "Enter the NSS database password: "


def _import(arguments: argparse.Namespace) -> int:
    contents = _read(arguments)
    if not contents.identities and not contents.authorities:
        raise KeystoreError(
            "the database holds no private key and no trusted CA", file=Path(arguments.directory)
        )
    authorities = [
        importing.ImportedAuthority(_nickname(one.nickname), one.certificate, one.trust)
        for one in contents.authorities
    ]
    with open_token(arguments) as token:
        known = (
            *importing.known_issuers(token),
            *(one.certificate for one in contents.authorities),
        )
        imports = _imports(contents, known, allow_weak=arguments.allow_weak)
        stored = importing.store(token, imports, authorities, replacing=arguments.replace)
    for one in imports:
        for doubt in importing.doubts(one, datetime.now(UTC)):
            print_message(f"WARNING: {doubt}")
    for result in stored[: len(imports)]:
        tell_about(result)
    _tell_about_authorities(stored[len(imports) :])
    for nickname in contents.others:
        print_message(
            f"left out {printable(nickname)}: no private key, and not trusted as a CA for TLS"
        )
    return 0


def _read(arguments: argparse.Namespace) -> nssdb.NssContents:
    directory = Path(arguments.directory)
    if arguments.nss_pwd_file is not None:
        line = password_from_file(arguments.nss_pwd_file)
        return nssdb.read_nss_database(directory, nssdb.without_token_name(line))
    # Databases without a password are common: nobody is asked for that.
    try:
        return nssdb.read_nss_database(directory, None)
    except WrongPasswordError:
        if not sys.stdin.isatty():
            raise KeystoreError(
                "the NSS database has a password",
                remedy="give it in a file with --nss-pwd-file FILE",
                file=directory,
            ) from None
    return nssdb.read_nss_database(directory, prompt_for_password(_PROMPT))


def _imports(
    contents: nssdb.NssContents, known: tuple[x509.Certificate, ...], *, allow_weak: bool
) -> tuple[importing.Import, ...]:
    imports = []
    for nickname, keys in contents.identities.items():
        for identity in keys.contents.identities:
            named = Identity(nickname, identity.private_key, identity.certificate)
            try:
                one = importing.with_chain(
                    named, keys.contents.others, known, allow_weak=allow_weak
                )
            except KeystoreError as error:
                raise KeystoreError(f"{nickname!r}: {error.what}", remedy=error.remedy) from error
            # The original trusts every self-signed certificate as a CA, which only CAs should be.
            trusted = keys.trust if is_authority(identity.certificate) else TrustFlags.NONE
            imports.append(replace(one, trust=trusted))
    return importing.with_distinct_nicknames(imports)


def _nickname(name: str) -> str:
    return nickname_from(name) or "CA"


def _tell_about_authorities(stored: list[importing.Stored]) -> None:
    for result in stored:
        record = result.record
        if not result.is_new:
            print_message(f"{record.nickname}: the same CA is there already")
        elif result.former is None:
            print_message(f"imported the CA {record.nickname}, trust {record.trust.letters}")
        else:
            print_message(
                f"the CA {record.nickname} was there already; its trust is now "
                f"{record.trust.letters}"
            )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", metavar="DIR", help="where cert9.db and key4.db are")
    parser.add_argument(
        "--nss-pwd-file",
        metavar="FILE",
        help="file whose first line is the password of the NSS database, also as the old server's "
        "sslpassword.conf has it (default: a prompt, if it has one)",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="put certificates with keys in place of what has their nicknames",
    )
    parser.add_argument(
        "--allow-weak", action="store_true", help="take keys that are too weak for today"
    )


IMPORT_NSSDB = Subcommand(
    name="import-nssdb",
    summary="import an NSS database (Sun or Oracle Messaging Server, 389 DS, Firefox)",
    description="""\
Imports the certificates with their keys, and the CAs with what they are trusted
for, out of an NSS database (cert9.db and key4.db), all of it or nothing. The
nicknames stay, but that a comma or a colon becomes a hyphen. The database itself
is only read. Needs certutil and pk12util of NSS (Debian: libnss3-tools). For an
older cert8.db it prints the command that makes a cert9.db of it.""",
    examples="""\
  msgcert import-nssdb /opt/sun/comms/messaging/config
  msgcert import-nssdb --nss-pwd-file old/sslpassword.conf old/
  msgcert import-nssdb ~/.mozilla/firefox/abcd1234.default""",
    add_arguments=_add_arguments,
    run=_import,
)
