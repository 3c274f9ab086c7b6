"""Which directory knows the users, and what an LDAP server's certificate must come from.

Takes the server root and the configuration: `local.ugldaphost` names LDAP servers, and users are
looked up there; without it they are those of `config/users.ldif`.
"""

from __future__ import annotations

import asyncio
import ssl

from cryptography import x509

from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.directory.embedded import EmbeddedDirectory
from mailfront.directory.ldap.directory import LdapDirectory
from mailfront.directory.ldap.examination import examine
from mailfront.directory.ldap.settings import ldap_settings
from mailfront.errors import ConfigurationError
from mailfront.keystore.internal_token import InternalToken
from mailfront.tls.client_context import build_client_context

HOST_OPTION = "local.ugldaphost"

UserDirectory = EmbeddedDirectory | LdapDirectory


class DirectoryTrust:
    """The TLS context for LDAP servers: it follows the CAs that the keystore trusts for servers."""

    def __init__(self, configuration: Configuration, token: InternalToken) -> None:
        self._wanted = bool(configuration.names(HOST_OPTION))
        self._check = configuration.boolean("local.ldapcheckcert")
        self._context = build_client_context([], check=self._check)
        self.update(token)

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        return self._context

    def update(self, token: InternalToken) -> None:
        """Take over what the keystore trusts now; may be called in a thread."""
        if self._wanted:
            self._context = build_client_context(_trusted_for_servers(token), check=self._check)


def open_directory(
    root: ServerRoot, configuration: Configuration, trust: DirectoryTrust
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
        context = build_client_context(
            _trusted_for_servers(token), check=settings.check_certificate
        )
        problems += asyncio.run(examine(settings, context))
    return problems


def _trusted_for_servers(token: InternalToken) -> list[x509.Certificate]:
    return [record.certificate for record in token.server_authorities()]
