"""The LDAP directory: users looked up, kept for a while, their passwords judged by the server.

Takes the settings and a maker of TLS contexts, implements `directory.Directory`. An entry that
cannot be read, or two where one belongs, is a fault of the directory and no unknown user: the
look-up fails for a while (`DirectoryUnavailableError`), for that user alone. So does one whose
answer the server cut short (RFC 4511 section 4.1.9), unless it shows as many users as are wanted:
what was left out may be users too.
"""

from __future__ import annotations

import logging
import secrets
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from mailfront.directory.entry import Entry, entry_from_record
from mailfront.directory.ldap.cache import LookupCache
from mailfront.directory.ldap.login_filter import escaped
from mailfront.directory.ldap.pool import LdapPool
from mailfront.directory.ldap.settings import LdapSettings
from mailfront.errors import AddressError, DirectoryError, DirectoryUnavailableError
from mailfront.interfaces.secret import Secret
from mailfront.protocol.distinguished_name import DistinguishedName
from mailfront.protocol.ldap_filter import Filter, to_text
from mailfront.protocol.ldap_filter_encoding import encode_filter
from mailfront.protocol.ldap_messages import FoundEntry
from mailfront.protocol.ldif import Attribute, Record
from mailfront.protocol.mail_address import canonical_address, unicode_address

NAMESAKES = 50
"""So many entries are looked at where a name is to be told apart by its domain."""

ATTRIBUTES = (
    "objectClass", "uid", "cn", "mail", "mailAlternateAddress", "mailEquivalentAddress",
    "inetUserStatus", "mailUserStatus", "mailHost", "mailAllowedServiceAccess",
    "userCertificate;binary", "mailFrontKeyFingerprint", "mailFrontDelayUntil", "entryCSN",
    "modifyTimestamp",
)  # fmt: skip
_ADDRESSES = ("mail", "mailAlternateAddress", "mailEquivalentAddress")
_log = logging.getLogger("mailfront.directory")


@dataclass(frozen=True, slots=True)
class _Found:
    """The users that a filter finds, one that cannot be read as it was found."""

    users: tuple[FoundEntry | Entry, ...]
    truncated: bool

    def __bool__(self) -> bool:
        return bool(self.users)

    def readable(self) -> list[Entry]:
        return [each for each in self.users if isinstance(each, Entry)]


class LdapDirectory:
    """To be used inside one event loop; `close` when the server stops."""

    def __init__(self, settings: LdapSettings, tls_context: Callable[[], ssl.SSLContext]) -> None:
        self._settings = settings
        self._pool = LdapPool(settings, tls_context)
        self._cache: LookupCache[_Found] = LookupCache(
            capacity=settings.cache_size,
            lifetime=settings.cache_lifetime,
            negative_lifetime=settings.negative_lifetime,
        )
        self._attributes = ATTRIBUTES + (() if settings.binds_as_user else ("userPassword",))

    @property
    def problem(self) -> str:
        """Which servers are not in use, and why; empty if all are."""
        problems = self._pool.problems()
        return "directory servers: " + "; ".join(problems) if problems else ""

    def close(self) -> None:
        """End all connections."""
        self._pool.close()

    async def entry_for_login(self, login: str, default_domain: str) -> Entry | None:
        """Part of `Directory`."""
        try:
            name = canonical_address(login if "@" in login else f"{login}@{default_domain}")
        except AddressError:
            return None
        login_filter = self._settings.login_filter
        found = await self._found(login_filter.text(name), NAMESAKES)
        fitting = [entry for entry in found.readable() if login_filter.accepts(entry, name)]
        # An address is its owner's, whatever uid somebody else has.
        owners = [entry for entry in fitting if entry.user == name]
        return _only(owners or fitting, found, name)

    async def entry_for_address(self, address: str) -> Entry | None:
        """Part of `Directory`; addresses in domains that are not ours belong to nobody."""
        try:
            name = canonical_address(address)
        except AddressError:
            return None
        if name.rpartition("@")[2] not in self._settings.domains:
            return None
        spellings = dict.fromkeys((name, unicode_address(name)))
        conditions = "".join(
            f"({attribute}={escaped(spelling)})"
            for attribute in _ADDRESSES
            for spelling in spellings
        )
        found = await self._found(f"(|{conditions})", NAMESAKES)
        return _only([each for each in found.readable() if name in each.addresses], found, name)

    async def domains(self) -> frozenset[str]:
        """Part of `Directory`: `local.domains` and the default domain."""
        return self._settings.domains

    async def search(
        self, base: DistinguishedName | None, condition: Filter, *, limit: int = 2
    ) -> list[Entry]:
        """Part of `Directory`."""
        text = to_text(condition)
        # More than are wanted, for some may be no users.
        where = None if base is None else str(base)
        found = await self._found(text, max(limit, NAMESAKES), where)
        users = found.readable()
        if len(users) < len(found.users):
            # Which of several it is must not depend on which of them can be read.
            raise DirectoryUnavailableError(f"an entry that {text} finds cannot be read")
        if found.truncated and len(users) < limit:
            raise _too_many(text)
        return users[:limit]

    async def verify_password(self, entry: Entry | None, password: Secret) -> bool | None:
        """Part of `Directory`: by a bind as the user, unless `userPassword` is to be compared."""
        if not self._settings.binds_as_user:
            return None
        name = entry.dn if entry is not None else _nobody(self._settings.base)
        return await self._pool.is_password_of(name, password) and entry is not None

    async def _found(self, condition: str, limit: int, base: str | None = None) -> _Found:
        """Return the users among the first `limit` entries that the filter finds."""
        where = self._settings.base if base is None else base

        async def ask() -> _Found:
            answer = await self._pool.search(
                where, encode_filter(condition), self._attributes, limit=limit
            )
            users = tuple(user for each in answer.entries if (user := _user(each)) is not None)
            return _Found(users, answer.truncated)

        return await self._cache.get((where, condition, limit), ask)


def _nobody(base: str) -> str:
    """The name of an entry that does not exist, so that a stranger's login takes as long."""
    return ",".join(part for part in (f"uid={secrets.token_hex(8)}", base) if part)


def _user(found: FoundEntry) -> FoundEntry | Entry | None:
    """Return the user, None for an entry of something else, or what cannot be read as it is."""
    record = Record(
        found.name, 0, 0,
        tuple(
            Attribute(name.lower(), value, 0, 0)
            for name, values in found.attributes
            for value in values
        ),
    )  # fmt: skip
    try:
        return entry_from_record(record)
    except DirectoryError as error:
        _log.warning("entry %r is not used: %s", found.name, error.what)
        return found


def _too_many(what: str) -> DirectoryUnavailableError:
    return DirectoryUnavailableError(f"too many entries match {what}")


def _only(fitting: list[Entry], found: _Found, name: str) -> Entry | None:
    if len(fitting) > 1:
        _log.warning("%s is the name of several entries: %s", name, [each.dn for each in fitting])
        raise DirectoryUnavailableError(f"{name} is the name of {len(fitting)} entries")
    if found.truncated:
        # Whether there is another one like it, or one at all, is not known.
        raise _too_many(name)
    if fitting:
        return fitting[0]
    if len(found.readable()) < len(found.users):
        raise DirectoryUnavailableError(f"an entry that may be {name} cannot be read")
    return None
