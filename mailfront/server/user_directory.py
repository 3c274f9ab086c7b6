"""Which directory knows the users.

Takes the server root and the configuration: `local.ugldaphost` names LDAP servers, and users are
looked up there; without it they are those of `config/users.ldif`.
"""

from __future__ import annotations

import asyncio

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.directory.embedded import EmbeddedDirectory
from mailfront.directory.ldap.directory import LdapDirectory
from mailfront.directory.ldap.examination import examine
from mailfront.directory.ldap.settings import ldap_settings
from mailfront.errors import ConfigurationError
from mailfront.keystore.internal_token import InternalToken
from mailfront.server.server_trust import ServerTrust

HOST_OPTION = "local.ugldaphost"

UserDirectory = EmbeddedDirectory | LdapDirectory


def directory_trust(configuration: Configuration, token: InternalToken) -> ServerTrust:
    """What an LDAP server's certificate must come from."""
    return ServerTrust(token, check=configuration.boolean("local.ldapcheckcert"))


def open_directory(
    root: ServerRoot, configuration: Configuration, trust: ServerTrust
) -> UserDirectory:
    """Return the directory. Raises `OperatorError`; an LDAP server that is away is no error."""
    settings = ldap_settings(configuration, root.path)
    if settings is None:
        return EmbeddedDirectory(root.users_ldif)
    return LdapDirectory(settings, trust.context)


def check_directory(
    root: ServerRoot, configuration: Configuration, token: InternalToken | None
) -> list[str]:
    """Return what is wrong with the directory. Raises `OperatorError` for a wrong option or file.

    LDAP servers are asked; without a `token` no CA is known, and they are not.
    """
    settings = ldap_settings(configuration, root.path)
    if settings is None:
        EmbeddedDirectory(root.users_ldif)
        return []
    problems = []
    if not settings.domains:
        problems.append(
            str(
                ConfigurationError(
                    "no domain is ours, so no mail is taken",
                    remedy="set service.defaultdomain, or local.domains",
                    file=root.msg_conf,
                    line=configuration.line_of(HOST_OPTION),
                )
            )
        )
    if token is not None:
        trust = ServerTrust(token, check=settings.check_certificate)
        problems += asyncio.run(examine(settings, trust.context()))
    return problems
