"""From the arguments to the opened keystore: the server root, the password, the token."""

from __future__ import annotations

import argparse
import sys

from mailfront.cli.output import print_message
from mailfront.cli.prompt import password_from_file, prompt_for_password
from mailfront.configuration.home import ServerRoot
from mailfront.errors import KeystoreError, OperatorError
from mailfront.interfaces.secret import Secret
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import find_password, warning_about

PASSWORD_PROMPT = "Enter the certificate database password: "  # noqa: S105 (what is asked)


def server_root(arguments: argparse.Namespace) -> ServerRoot:
    """Return the server root that the arguments name. Raises `OperatorError` if there is none."""
    root = ServerRoot.from_environment(arguments.home)
    if not root.path.is_dir():
        raise OperatorError(
            f"there is no directory {root.path}",
            remedy=f"make a server root with `mailfront init --home {root.path}`",
        )
    return root


def open_token(arguments: argparse.Namespace) -> InternalToken:
    """Return the opened keystore. Raises `OperatorError` if it or its password is missing."""
    root = server_root(arguments)
    if not root.certificate_database.exists():
        raise KeystoreError(
            "there is no certificate database",
            remedy="make one with `msgcert generate-certDB`",
            file=root.certificate_database,
        )
    password = database_password(arguments, root)
    if warning := warning_about(password):
        print_message(warning)
    return InternalToken.open(root.certificate_database, password)


def database_password(arguments: argparse.Namespace, root: ServerRoot) -> Secret:
    """Return the password from the file that is named, `sslpassword.conf`, or a prompt."""
    if arguments.cert_pwd_file is not None:
        return password_from_file(arguments.cert_pwd_file)
    if root.sslpassword_conf.exists():
        password = find_password(root.sslpassword_conf, INTERNAL_TOKEN)
        if password is not None:
            return password
    if not sys.stdin.isatty():
        raise KeystoreError(
            f"there is no password for the token {INTERNAL_TOKEN!r}",
            remedy="give it with -W FILE (- for standard input), or write its line into the file",
            file=root.sslpassword_conf,
        )
    return prompt_for_password(PASSWORD_PROMPT)
