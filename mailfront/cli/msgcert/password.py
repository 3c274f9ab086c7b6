"""`change-password`: another password for the certificate database."""

from __future__ import annotations

import argparse
import sys

from mailfront.cli.msgcert.access import database_password, server_root
from mailfront.cli.msgcert.subcommand import Subcommand
from mailfront.cli.output import print_message
from mailfront.cli.prompt import password_from_file, prompt_for_new_password
from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.password_change import change_password
from mailfront.keystore.passwords import find_password, random_password, warning_about

_PROMPT = "Choose the new certificate database password: "
_CONFIRMATION = "Confirm the new certificate database password: "


def _change(arguments: argparse.Namespace) -> int:
    root = server_root(arguments)
    password = database_password(arguments, root)
    # A wrong password is told before anybody chooses a new one.
    InternalToken.open(root.certificate_database, password).close()
    new_password = _new_password(arguments, root)
    if warning := warning_about(new_password):
        print_message(warning)
    noted = change_password(
        root.certificate_database, root.sslpassword_conf, password, new_password
    )
    where = f", which is in {root.sslpassword_conf}" if noted else ""
    print_message(f"the certificate database opens with the new password{where}")
    return 0


def _new_password(arguments: argparse.Namespace, root: ServerRoot) -> Secret:
    if arguments.new_pwd_file is not None:
        return password_from_file(arguments.new_pwd_file)
    if arguments.random:
        if not _is_noted(root):
            raise KeystoreError(
                "nobody would know a random password: there is no line that it could be written to",
                remedy="choose one with --new-pwd-file FILE",
                file=root.sslpassword_conf,
            )
        return random_password()
    if not sys.stdin.isatty():
        raise KeystoreError(
            "a new password is needed", remedy="give --new-pwd-file FILE, or --random"
        )
    return prompt_for_new_password(_PROMPT, _CONFIRMATION)


def _is_noted(root: ServerRoot) -> bool:
    conf = root.sslpassword_conf
    return conf.exists() and find_password(conf, INTERNAL_TOKEN) is not None


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--new-pwd-file",
        metavar="FILE",
        help="file whose first line becomes the password (default: a prompt)",
    )
    source.add_argument(
        "--random", action="store_true", help="make a random one, for sslpassword.conf only"
    )


CHANGE_PASSWORD = Subcommand(
    name="change-password",
    summary="change the password of the certificate database",
    description="""\
Changes the password that opens the certificate database, and its line in
config/sslpassword.conf if there is one. A running server notices nothing, and
the password in sslpassword.conf opens the database at every moment, also after a
crash; then give the command again.

The keys in the database stay the same: whoever has an old copy of the file and
knows its old password can read those. If that is to be feared, renew the
certificates with new keys.""",
    examples="""\
  msgcert change-password
  msgcert change-password --random
  msgcert change-password -W old.txt --new-pwd-file new.txt""",
    add_arguments=_add_arguments,
    run=_change,
)
