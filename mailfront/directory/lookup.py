"""Where a recipient address leads: to a mailbox here, to nobody, or to somebody else's domain.

Takes the address of a RCPT command, returns a `Destination` and the user whose mailbox it is.
Subaddresses (`alice+tag@…`, RFC 5233) lead to the user; `postmaster`, alone or at any local
domain, always leads somewhere (RFC 5321 section 4.5.1): to the first administrator.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailfront.directory.directory import Directory
from mailfront.directory.entry import AccountStatus
from mailfront.errors import AddressError
from mailfront.interfaces.message_sink import Destination
from mailfront.protocol.mail_address import canonical_address, canonical_domain

SUBADDRESS_SEPARATOR = "+"


class RecipientDirectory:
    """Resolves recipients.

    `default_domain` is local even without users, and completes an administrator's name that has
    no domain. `administrators` are names or addresses, most important first.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        default_domain: str = "",
        administrators: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._default_domain = canonical_domain(default_domain) if default_domain else ""
        self._administrators = tuple(
            name if "@" in name else f"{name}@{default_domain}" for name in administrators
        )

    async def resolve(self, address: str) -> tuple[Destination, str]:
        """Return where `address` leads, and the user of the mailbox (empty unless LOCAL).

        Mail for an account that is inactive or on hold is kept in its mailbox, which nobody can
        open meanwhile: it is not lost. A deleted account is unknown. Raises
        `DirectoryUnavailableError`.
        """
        if address.lower() == "postmaster":
            return await self._postmaster()
        try:
            canonical = canonical_address(address)
        except AddressError:
            return await self._without_user(address), ""
        local, _, domain = canonical.rpartition("@")
        entry = await self._directory.entry_for_address(canonical)
        base, separator, _ = local.partition(SUBADDRESS_SEPARATOR)
        if entry is None and separator and base:
            entry = await self._directory.entry_for_address(f"{base}@{domain}")
        if entry is not None and entry.status is not AccountStatus.DELETED:
            return Destination.LOCAL, entry.user
        if not await self._is_local(domain):
            return Destination.FOREIGN, ""
        if local == "postmaster":
            return await self._postmaster()
        return Destination.UNKNOWN_USER, ""

    async def _is_local(self, domain: str) -> bool:
        return domain == self._default_domain or domain in await self._directory.domains()

    async def _without_user(self, address: str) -> Destination:
        """Judge an address whose local part nobody can have here."""
        try:
            domain = canonical_domain(address.rpartition("@")[2])
        except AddressError:
            return Destination.FOREIGN
        return Destination.UNKNOWN_USER if await self._is_local(domain) else Destination.FOREIGN

    async def _postmaster(self) -> tuple[Destination, str]:
        own = f"postmaster@{self._default_domain}"
        for address in (own, *self._administrators):
            entry = await self._directory.entry_for_address(address)
            if entry is not None and entry.status is not AccountStatus.DELETED:
                return Destination.LOCAL, entry.user
        return Destination.UNKNOWN_USER, ""
