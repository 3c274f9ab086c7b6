"""`import-cert` and `import-selfsign-cert`: keys and certificates that exist already."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from mailfront.cli.msgcert.access import open_token
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message
from mailfront.cli.prompt import password_from_file, prompt_for_password
from mailfront.errors import KeystoreError, OperatorError, WrongPasswordError
from mailfront.interfaces.secret import Secret
from mailfront.keystore import importing, key_files, pkcs12
from mailfront.keystore.certificate_files import parse_certificates
from mailfront.keystore.chain import is_self_signed
from mailfront.keystore.formats import name_text
from mailfront.keystore.nicknames import check_nickname

_PKCS12_PROMPT = "Enter the PKCS#12 file password: "
_KEY_PROMPT = "Enter the password of the private key: "


@dataclass(frozen=True, slots=True)
class Found:
    """The keys with certificates in the operator's files, and the certificates beside them."""

    identities: Sequence[pkcs12.Identity]
    others: Sequence[x509.Certificate]


def _import(arguments: argparse.Namespace) -> int:
    return _import_from_files(arguments, only_self_signed=False)


def _import_self_signed(arguments: argparse.Namespace) -> int:
    return _import_from_files(arguments, only_self_signed=True)


def _import_from_files(arguments: argparse.Namespace, *, only_self_signed: bool) -> int:
    found = checked_identities(arguments, only_self_signed=only_self_signed)
    with open_token(arguments) as token:
        known = importing.known_issuers(token)
        imports = importing.with_distinct_nicknames(
            [
                importing.with_chain(
                    identity,
                    found.others,
                    known,
                    nickname=arguments.alias,
                    allow_weak=arguments.allow_weak,
                )
                for identity in found.identities
            ]
        )
        stored = importing.store(token, imports, replacing=arguments.replace)
    for one in imports:
        for doubt in importing.doubts(one, datetime.now(UTC)):
            print_message(f"WARNING: {doubt}")
    for result in stored:
        tell_about(result)
    return 0


def checked_identities(arguments: argparse.Namespace, *, only_self_signed: bool) -> Found:
    """Return what is to be imported, or refuse it before anybody is asked for a password."""
    if arguments.alias is not None:
        check_nickname(arguments.alias)
    file = Path(arguments.file)
    found = identities_in(arguments, file)
    try:
        _check(found, arguments.alias, only_self_signed=only_self_signed)
    except KeystoreError as error:
        raise _in_file(error, file) from error
    return found


def identities_in(arguments: argparse.Namespace, file: Path) -> Found:
    """Return the keys with certificates in `file`, or in it and the file of --key.

    A password comes from -I, else a prompt. Raises `KeystoreError`, naming the file.
    """
    try:
        return _identities_in(arguments, file)
    except KeystoreError as error:
        raise _in_file(error, file) from error


def _identities_in(arguments: argparse.Namespace, file: Path) -> Found:
    content = _read(file)
    if pkcs12.is_pkcs12(content):
        if arguments.key is not None:
            raise KeystoreError("a PKCS#12 file has its own key", remedy="leave out --key")
        contents = _pkcs12_contents(content, arguments)
        return Found(contents.identities, contents.others)
    key_file = key_files.read_key_file(Path(arguments.key or file))
    if arguments.key is None and not key_files.holds_private_key(key_file.content):
        parse_certificates(content)
        raise KeystoreError(
            "there is no private key in this file",
            remedy="name its file with --key FILE; for a key that is in the database already, use "
            "`msgcert add-cert`",
        )
    certificates = parse_certificates(content)
    if key_file.warning:
        print_message(f"WARNING: {key_file.warning}")
    password = _password(arguments, _KEY_PROMPT) if key_file.is_encrypted else None
    identity, others = importing.identity_of(key_file.private_key(password), certificates)
    return Found((identity,), others)


def _pkcs12_contents(content: bytes, arguments: argparse.Namespace) -> pkcs12.Pkcs12Contents:
    if arguments.input_pwd_file is None:
        # Some programs write these files without a password: nobody is asked for that.
        try:
            return pkcs12.read_pkcs12(content, None)
        except WrongPasswordError:
            pass
    return pkcs12.read_pkcs12(content, _password(arguments, _PKCS12_PROMPT))


def _check(found: Found, alias: str | None, *, only_self_signed: bool) -> None:
    if not found.identities:
        raise KeystoreError(
            "there is no private key in this file, only certificates",
            remedy="add a CA with `msgcert add-cert -C CERT_ALIAS FILE`",
        )
    if alias is not None and len(found.identities) > 1:
        names = ", ".join(
            one.friendly_name or name_text(one.certificate.subject) for one in found.identities
        )
        raise KeystoreError(
            f"the file holds {len(found.identities)} keys with certificates ({names})",
            remedy="leave out CERT_ALIAS: each is imported under its own name",
        )
    for identity in found.identities:
        if only_self_signed and not is_self_signed(identity.certificate):
            raise KeystoreError(
                f"the certificate was signed by {name_text(identity.certificate.issuer)}, not by "
                "itself",
                remedy="use `msgcert import-cert`",
            )


def _password(arguments: argparse.Namespace, prompt: str) -> Secret:
    if arguments.input_pwd_file is not None:
        return password_from_file(arguments.input_pwd_file)
    if not sys.stdin.isatty():
        raise KeystoreError("a password is needed", remedy="give it in a file with -I FILE")
    return prompt_for_password(prompt)


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(pkcs12.MAXIMUM_FILE + 1)
    except OSError as error:
        raise OperatorError(f"cannot be read: {error.strerror}", file=file) from error


def _in_file(error: KeystoreError, file: Path) -> KeystoreError:
    if error.file is not None:
        return error
    return KeystoreError(error.what, remedy=error.remedy, file=file)


def tell_about(stored: importing.Stored) -> None:
    """Say what came of an import."""
    record = stored.record
    if not stored.is_new:
        print_message(f"{record.nickname}: the same certificate is there already")
        return
    expires = record.certificate.not_valid_after_utc.astimezone().date()
    done = "imported" if stored.former is None else "replaced"
    print_message(
        f"{done} {record.nickname} ({record.key_description}), which expires on "
        f"{expires.isoformat()}"
    )
    print_message(f"SHA-256 fingerprint: {record.sha256}")
    if lost := importing.lost_names(stored):
        print_message(
            f"WARNING: {record.nickname}: the former certificate had names that this one has not: "
            + ", ".join(lost)
        )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "alias",
        metavar="CERT_ALIAS",
        nargs="?",
        help="the nickname (default: the name in the file, else the common name)",
    )
    parser.add_argument("file", metavar="CERT_FILE", help="PKCS#12, or PEM certificates with --key")
    parser.add_argument(
        "-I",
        "--input-pwd-file",
        metavar="FILE",
        help="file whose first line is the password of CERT_FILE or of the key (default: a prompt)",
    )
    parser.add_argument(
        "--key", metavar="FILE", help="the private key, where CERT_FILE is a certificate or chain"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="put it in place of what has the nickname, at one moment",
    )
    parser.add_argument(
        "--allow-weak", action="store_true", help="take keys that are too weak for today"
    )


IMPORT = Subcommand(
    name="import-cert",
    summary="import a key and its certificate (PKCS#12, or PEM files)",
    description="""\
Imports a private key with its certificate and its issuers: a PKCS#12 file (.p12,
.pfx), or a PEM certificate or chain together with --key, as certbot, acme.sh and
lego write them. A PKCS#12 file with several keys gives several certificates,
each under the name that it has there.

With --replace it renews: the certificate, its chain and its key change at one
moment, services that use the nickname follow within two seconds, and the same
files given again change nothing. So it serves as an ACME client's deploy hook.

With --token the key is put on that PKCS#11 token, as one that cannot leave it.""",
    examples="""\
  msgcert import-cert imap-cert imap.p12
  msgcert import-cert -I p12-password.txt imap-cert imap.p12
  msgcert import-cert --replace imap-cert \\
      /etc/letsencrypt/live/mail.example.com/fullchain.pem \\
      --key /etc/letsencrypt/live/mail.example.com/privkey.pem""",
    add_arguments=_add_arguments,
    run=_import,
)

IMPORT_SELFSIGN = Subcommand(
    name="import-selfsign-cert",
    summary="import a self-signed certificate and its key",
    description="""\
Imports a self-signed certificate with its private key, from a PKCS#12 file or
from a PEM certificate together with --key. A certificate that somebody else
signed is refused; import-cert takes both.""",
    examples="""\
  msgcert import-selfsign-cert test-cert test.p12
  msgcert import-selfsign-cert test-cert cert.pem --key key.pem""",
    add_arguments=_add_arguments,
    run=_import_self_signed,
)
