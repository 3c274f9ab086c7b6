"""Which upstreams hold a user's mailbox: `mailHost` from the directory, else the operator's map of
addresses and domains, else the service's own.

Takes an identity, gives the balance over the upstreams that would do, or None where the mailbox is
in the store on this machine. The hosts that entries name are remembered with what is known of
them, the ones not asked for longest let go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailfront.backend.upstream.balance import Balance
from mailfront.backend.upstream.upstream_map import HERE, UpstreamMap
from mailfront.configuration.option_types import BadValueError
from mailfront.configuration.upstream_list import Upstream, fill_in
from mailfront.errors import BackendError
from mailfront.interfaces.authenticator import Identity

MOST_MAIL_HOSTS = 10_000


class Routes:
    """The routes of one service.

    `template` makes the upstream of a `mailHost`; `own_names` are the names of this machine, whose
    users have their mailbox in the embedded store if there are no `upstreams`. `spread` is that of
    `Balance`.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        template: str,
        protocols: tuple[str, ...],
        own_names: Iterable[str],
        *,
        spread: float = 0.0,
    ) -> None:
        self._spread = spread
        self._default = Balance(upstreams, spread) if upstreams else None
        self._map = UpstreamMap()
        self._mapped: dict[tuple[Upstream, ...], Balance] = {}
        if self._default is not None:
            self._mapped[tuple(upstreams)] = self._default
        self._template = template
        self._protocols = protocols
        self._own_names = frozenset(name.lower() for name in own_names)
        self._mail_hosts: dict[str, Balance] = {}

    def find(self, identity: Identity) -> Balance | None:
        """Return the upstreams of a user, or None for the embedded store.

        Raises `BackendError` if the user's `mailHost` is no host.
        """
        host = identity.mail_host.strip().lower().rstrip(".")
        if not host:
            return self._without_mail_host(identity.user)
        if self._default is None and host in self._own_names:
            return None
        known = self._mail_hosts.pop(host, None)
        if known is None:
            try:
                upstream = fill_in(self._template, host, self._protocols)
                known = Balance([upstream], self._spread)
            except BadValueError as failure:
                raise BackendError(f"mailHost: {failure}", temporary=True) from failure
            if len(self._mail_hosts) >= MOST_MAIL_HOSTS:
                del self._mail_hosts[next(iter(self._mail_hosts))]
        self._mail_hosts[host] = known
        return known

    def follow_map(self, upstream_map: UpstreamMap) -> None:
        """From now on this map counts; sessions stay where they are."""
        self._map = upstream_map
        wanted = upstream_map.targets(self._protocols[0]) - {HERE}
        kept = {
            upstreams: balance
            for upstreams, balance in self._mapped.items()
            if upstreams in wanted or balance is self._default
        }
        for upstreams in wanted - kept.keys():
            kept[upstreams] = Balance(upstreams, self._spread)
        self._mapped = kept

    @property
    def keeps_some_here(self) -> bool:
        """Whether the store on this machine holds mailboxes, as far as options and map say."""
        return self._default is None or HERE in self._map.targets(self._protocols[0])

    def configured(self) -> list[Balance]:
        """Those that options and map name."""
        return [*self._mapped.values()]

    def balances(self) -> list[Balance]:
        """All that are known, mail hosts among them."""
        return [*self._mapped.values(), *self._mail_hosts.values()]

    def problems(self) -> list[str]:
        """What is wrong with upstreams that failed last time."""
        found = [problem for balance in self.balances() for problem in balance.problems()]
        return [*dict.fromkeys(found)]

    def _without_mail_host(self, user: str) -> Balance | None:
        mapped = self._map.find(user, self._protocols[0])
        if mapped is None:
            return self._default
        return None if mapped == HERE else self._mapped[mapped]
