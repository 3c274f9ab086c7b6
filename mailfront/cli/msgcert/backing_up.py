"""`backup` and `restore`: the whole certificate database in one encrypted file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mailfront.cli.msgcert.access import open_token, server_root
from mailfront.cli.msgcert.private_file import refuse_existing, write_private_file
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message
from mailfront.cli.prompt import (
    password_from_file,
    prompt_for_new_password,
    prompt_for_password,
)
from mailfront.errors import KeystoreError, OperatorError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.backup import (
    MAXIMUM_FILE,
    Backup,
    read_backup,
    read_token,
    restore_anew,
    restore_into,
    write_backup,
)

_NEW_PROMPT = "Choose the password of the backup: "
_CONFIRMATION = "Confirm the password of the backup: "
_PROMPT = "Enter the password of the backup: "


def _backup(arguments: argparse.Namespace) -> int:
    file = Path(arguments.file)
    refuse_existing(file, force=arguments.force)
    with open_token(arguments) as token:
        backup = read_token(token)
    password = _new_password(arguments)
    write_private_file(file, write_backup(backup, password), force=arguments.force)
    print_message(f"backed up {_counted(backup)} to {file}; without its password it is worthless")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    root = server_root(arguments)
    database = root.certificate_database
    file = Path(arguments.file)
    content = _read(file)
    if database.exists() and not arguments.force:
        raise KeystoreError(
            "there is a certificate database already",
            remedy="add --force to put the backup in place of all that is in it",
            file=database,
        )
    try:
        backup = read_backup(content, _password(arguments))
    except KeystoreError as error:
        raise KeystoreError(error.what, remedy=error.remedy, file=file) from error
    if database.exists():
        _restore_into(arguments, database, backup)
    else:
        chosen = None
        if arguments.cert_pwd_file is not None:
            chosen = password_from_file(arguments.cert_pwd_file)
        restore_anew(database, root.sslpassword_conf, chosen, backup)
    print_message(f"restored {_counted(backup)} into {database}")
    for link in backup.links:
        print_message(f"{link.nickname} follows {link.certificate_file}, as it did there")
    return 0


def _restore_into(arguments: argparse.Namespace, database: Path, backup: Backup) -> None:
    try:
        with open_token(arguments) as token:
            restore_into(token, backup)
    except KeystoreError as error:
        away = f"or move {database.parent} away and restore without --force"
        remedy = f"{error.remedy}; {away}" if error.remedy else away
        raise KeystoreError(error.what, remedy=remedy, file=error.file) from error


def _counted(backup: Backup) -> str:
    count = len(backup.entries)
    return f"{count} certificate{'' if count == 1 else 's'}" + (
        f" and {len(backup.pending)} waiting keys" if backup.pending else ""
    )


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAXIMUM_FILE + 1)
    except OSError as error:
        raise OperatorError(f"cannot be read: {error.strerror}", file=file) from error
    if len(content) > MAXIMUM_FILE:
        raise OperatorError(f"it is larger than {MAXIMUM_FILE} octets: no backup", file=file)
    return content


def _new_password(arguments: argparse.Namespace) -> Secret:
    if arguments.output_pwd_file is not None:
        return password_from_file(arguments.output_pwd_file)
    if not sys.stdin.isatty():
        raise OperatorError(
            "a password for the backup is needed", remedy="give it in a file with -O FILE"
        )
    return prompt_for_new_password(_NEW_PROMPT, _CONFIRMATION)


def _password(arguments: argparse.Namespace) -> Secret:
    if arguments.input_pwd_file is not None:
        return password_from_file(arguments.input_pwd_file)
    if not sys.stdin.isatty():
        raise KeystoreError(
            "the password of the backup is needed", remedy="give it in a file with -I FILE"
        )
    return prompt_for_password(_PROMPT)


def _add_backup_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the file to make, which only you may read")
    parser.add_argument(
        "-O",
        "--output-pwd-file",
        metavar="PWFILE",
        help="file whose first line becomes the password of the backup (default: a prompt)",
    )
    parser.add_argument("--force", action="store_true", help="overwrite FILE")


def _add_restore_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="the backup")
    parser.add_argument(
        "-I",
        "--input-pwd-file",
        metavar="PWFILE",
        help="file whose first line is the password of the backup (default: a prompt)",
    )
    parser.add_argument(
        "--force", action="store_true", help="put it in place of all that a database holds"
    )


BACKUP = Subcommand(
    name="backup",
    summary="write the whole database into one encrypted file",
    description="""\
Writes everything in the certificate database into one file: certificates, their
keys, trust flags, keys that wait for their certificates, links. The file is
encrypted (AES-256-GCM) under a password of its own, which is not the database's,
and can be restored on any machine. A server may run meanwhile.""",
    examples="""\
  msgcert backup certificates-2026-05-01.backup
  msgcert backup -O backup-password.txt /media/usb/certificates.backup""",
    add_arguments=_add_backup_arguments,
    run=_backup,
)

RESTORE = Subcommand(
    name="restore",
    summary="restore the database from a backup",
    description="""\
Makes a certificate database of a backup. The new database opens with the
password that -W or config/sslpassword.conf gives, else with a random one, which
is written there. With --force the backup takes the place of everything in an
existing database, whose password stays; it happens at one moment, and a running
server follows within two seconds.""",
    examples="""\
  msgcert restore certificates-2026-05-01.backup
  msgcert restore --force -I backup-password.txt certificates.backup""",
    add_arguments=_add_restore_arguments,
    run=_restore,
)
