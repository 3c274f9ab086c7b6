"""What this front end shares with others of its site, joined out of the options.

Takes the server root, the configuration and what the store's certificate must come from; gives the
throttle for logins and the ring of ticket keys to the services' slots, as far as the options ask
for them. Everything goes on without the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from mailfront.authentication.shared_throttle import SharedThrottle
from mailfront.authentication.throttle import LoginThrottle
from mailfront.configuration.home import ServerRoot
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import SharedStoreUnavailableError
from mailfront.keystore.internal_token import InternalToken
from mailfront.server.recent_logins import login_table
from mailfront.server.server_trust import ServerTrust
from mailfront.sharing.sealed_key import KeySeal
from mailfront.sharing.settings import URL_OPTION, sharing_settings
from mailfront.sharing.store import SharedStore
from mailfront.sharing.ticket_distribution import TicketDistribution
from mailfront.sharing.ticket_ring import TicketRing
from mailfront.tls.personality import ContextSlot


class Sharing:
    """The shared store and what is in it. `throttle` is None where logins are counted here alone,
    `recent_logins` where they let nobody send mail.

    Raises `ConfigurationError` for options that do not fit; a store that is away is no error.
    """

    def __init__(self, root: ServerRoot, configuration: Configuration, trust: ServerTrust) -> None:
        self.throttle: LoginThrottle | None = None
        self.recent_logins = login_table(configuration)
        self._settings = sharing_settings(configuration, root.path)
        self._store: SharedStore | None = None
        self._distribution: TicketDistribution | None = None
        if self._settings is None:
            return
        self._store = SharedStore(self._settings, trust.context)
        site_key = self._settings.site.key("recent logins")
        self.recent_logins = login_table(configuration, self._store, site_key)
        if self._settings.throttle:
            secret = self._settings.site.key("login scores")
            self.throttle = SharedThrottle(self._store, secret)

    def give_ticket_keys(self, slots: Iterable[ContextSlot]) -> None:
        """Let the slots seal their tickets under the keys of the site, if that is wanted."""
        all_keys = [slot.ticket_keys for slot in slots]
        if self._settings is None or self._store is None or not self._settings.ticket_keys:
            return

        def lifetime() -> float:
            return all_keys[0].lifetime

        ring = TicketRing(lifetime)
        seal = KeySeal(self._settings.site)
        self._distribution = TicketDistribution(self._store, seal, ring, lifetime)
        for keys in all_keys:
            keys.shared = ring

    def start(self) -> None:
        """Reach for the store, in the running event loop."""
        if self._store is not None:
            self._store.start()
        if self._distribution is not None:
            self._distribution.start()

    async def close(self) -> None:
        """Let go of tasks and connections."""
        if self._distribution is not None:
            self._distribution.close()
        if self._store is not None:
            await self._store.close()

    def problems(self) -> list[str]:
        """What is wrong at present, for the operator."""
        sources = (self._store, self._distribution)
        return [source.problem for source in sources if source is not None and source.problem]

    async def examine(self) -> list[str]:
        """Try the store; return what is wrong."""
        if self._store is None:
            return []
        try:
            await self._store.examine()
        except SharedStoreUnavailableError as failure:
            return [f"{URL_OPTION}: {failure}"]
        return []


def check_sharing(
    root: ServerRoot, configuration: Configuration, token: InternalToken
) -> list[str]:
    """Return what keeps the store from being used at this moment. Raises `ConfigurationError`."""
    return asyncio.run(Sharing(root, configuration, ServerTrust(token)).examine())
