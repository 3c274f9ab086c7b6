"""The options of LDAP as one value, judged as a whole.

Takes the configuration and the server root's directory, returns `LdapSettings`, or None where
`local.ugldaphost` is empty. Raises `ConfigurationError`; the password's file is refused if
others than its owner may read it, and no message repeats what is in it.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from mailfront.configuration.msg_conf import Configuration
from mailfront.directory.ldap.login_filter import LoginFilter
from mailfront.directory.ldap.server import LdapServer, LdapTls, parse_servers
from mailfront.errors import AddressError, ConfigurationError, DistinguishedNameError
from mailfront.interfaces.secret import Secret
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.mail_address import canonical_domain

MAXIMUM_PASSWORD_FILE = 4096


@dataclass(frozen=True, slots=True)
class LdapSettings:
    """How users are looked up by LDAP; times in seconds."""

    servers: tuple[LdapServer, ...]
    base: str
    bind_name: str
    bind_password: Secret
    check_certificate: bool
    binds_as_user: bool
    login_filter: LoginFilter
    domains: frozenset[str]
    pool_size: int
    connect_timeout: float
    search_timeout: float
    cache_size: int
    cache_lifetime: float
    negative_lifetime: float


def ldap_settings(configuration: Configuration, root: Path) -> LdapSettings | None:
    """Return the settings, or None if users are not in LDAP. Raises `ConfigurationError`."""
    names = configuration.names("local.ugldaphost")
    if not names:
        return None
    servers = parse_servers(
        names,
        default_port=configuration.integer("local.ugldapport"),
        implicit_tls=configuration.boolean("local.ugldapusessl"),
        starttls=configuration.boolean("local.ugldapstarttls"),
    )
    bind_name = _name(configuration, "local.ugldapbinddn")
    password = Secret("")
    if bind_name:
        password = read_bind_password(root / configuration.string("local.ugldapbindcred"))
    for server in servers:
        if server.tls is LdapTls.NONE and not _is_loopback(server.host):
            raise ConfigurationError(
                f"passwords would travel to {server} in clear",
                remedy="set local.ugldapusessl or local.ugldapstarttls to yes",
            )
    return LdapSettings(
        servers=servers,
        base=_name(configuration, "local.ugldapbasedn"),
        bind_name=bind_name,
        bind_password=password,
        check_certificate=configuration.boolean("local.ldapcheckcert"),
        binds_as_user=configuration.string("local.ugldapauth") == "bind",
        login_filter=LoginFilter(
            configuration.string("sasl.default.ldap.searchfilter"),
            in_domain=configuration.boolean("sasl.default.ldap.searchfordomain"),
        ),
        domains=frozenset(_domains(configuration)),
        pool_size=configuration.integer("local.ldappoolsize"),
        connect_timeout=configuration.integer("local.ldapconnecttimeout"),
        search_timeout=configuration.integer("local.ldapsearchtimeout"),
        cache_size=configuration.integer("local.ldapcachesize"),
        cache_lifetime=configuration.integer("local.ldapcachettl"),
        negative_lifetime=configuration.integer("local.ldapnegativecachettl"),
    )


def read_bind_password(path: Path) -> Secret:
    """Return the first line of the file. Raises `ConfigurationError`."""
    try:
        # Without O_NONBLOCK a named pipe in its place would hold up the server for ever.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as stream:
            status = os.fstat(stream.fileno())
            if status.st_mode & 0o077:
                raise ConfigurationError(
                    "others than its owner may read or write this file, which holds a password",
                    remedy=f"chmod 600 {path}",
                    file=path,
                )
            content = stream.read(MAXIMUM_PASSWORD_FILE) if stat.S_ISREG(status.st_mode) else b""
    except OSError as error:
        raise ConfigurationError(
            f"the password of local.ugldapbinddn cannot be read: {error.strerror}",
            remedy=f"write it into {path}, mode 600",
            file=path,
        ) from error
    try:
        password = content.partition(b"\n")[0].removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError("the password is not UTF-8", file=path) from None
    # A bind with a name and no password is anonymous, and succeeds (RFC 4513 section 5.1.2).
    if not password:
        raise ConfigurationError("there is no password in it", file=path)
    return Secret(password)


def _name(configuration: Configuration, option: str) -> str:
    text = configuration.string(option)
    try:
        return str(DistinguishedName.parse(text)) if text else ""
    except DistinguishedNameError as error:
        raise ConfigurationError(
            f"{option} is no distinguished name: {error}",
            remedy="write it like ou=People,dc=example,dc=com",
        ) from None


def _domains(configuration: Configuration) -> list[str]:
    default = configuration.string("service.defaultdomain")
    names = [*configuration.names("local.domains"), *([default] if default else [])]
    try:
        return [canonical_domain(name) for name in names]
    except AddressError as error:
        raise ConfigurationError(f"local.domains: {error}") from None


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")
