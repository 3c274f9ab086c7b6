"""The configured user directory and keystore, opened for one command.

Takes the server root, gives the directory that the server would use: `config/users.ldif`, or LDAP
with the trust and the password that the server has.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.directory.ldap.directory import LdapDirectory
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.nicknames import INTERNAL_TOKEN
from mailfront.keystore.passwords import read_password
from mailfront.server.user_directory import (
    HOST_OPTION,
    UserDirectory,
    directory_trust,
    open_directory,
)


def is_ldap(configuration: Configuration) -> bool:
    """Whether users are in LDAP, where nothing is written."""
    return bool(configuration.names(HOST_OPTION))


def opened_keystore(root: ServerRoot) -> InternalToken:
    """Return the internal token, open. Raises `KeystoreError`."""
    password = read_password(root.sslpassword_conf, INTERNAL_TOKEN)
    return InternalToken.open(root.certificate_database, password)


@contextmanager
def opened_directory(root: ServerRoot, configuration: Configuration) -> Iterator[UserDirectory]:
    """Give the directory, for use in the event loop that runs. Raises `OperatorError`."""
    with opened_keystore(root) as token:
        trust = directory_trust(configuration, token)
        directory = open_directory(root, configuration, trust)
        try:
            yield directory
        finally:
            if isinstance(directory, LdapDirectory):
                directory.close()
