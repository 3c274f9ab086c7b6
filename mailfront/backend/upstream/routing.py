"""Which upstreams hold a user's mailbox: `mailHost` from the directory, else the service's own.

Takes an identity, gives the balance over the upstreams that would do, or None where the mailbox is
in the store on this machine. The hosts that entries name are remembered with what is known of
them, the ones not asked for longest let go first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailfront.backend.upstream.balance import Balance
from mailfront.configuration.option_types import BadValueError
from mailfront.configuration.upstream_list import Upstream, fill_in
from mailfront.errors import BackendError
from mailfront.interfaces.authenticator import Identity

MOST_MAIL_HOSTS = 10_000


class Routes:
    """The routes of one service.

    `template` makes the upstream of a `mailHost`; `own_names` are the names of this machine, whose
    users have their mailbox in the embedded store if there are no `upstreams`.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        template: str,
        protocols: tuple[str, ...],
        own_names: Iterable[str],
    ) -> None:
        self._default = Balance(upstreams) if upstreams else None
        self._template = template
        self._protocols = protocols
        self._own_names = frozenset(name.lower() for name in own_names)
        self._mail_hosts: dict[str, Balance] = {}

    def find(self, identity: Identity) -> Balance | None:
        """Return the upstreams of a user, or None for the embedded store.

        Raises `BackendError` if the user's `mailHost` is no host.
        """
        host = identity.mail_host.strip().lower().rstrip(".")
        if not host or (self._default is None and host in self._own_names):
            return self._default
        known = self._mail_hosts.pop(host, None)
        if known is None:
            try:
                known = Balance([fill_in(self._template, host, self._protocols)])
            except BadValueError as failure:
                raise BackendError(f"mailHost: {failure}", temporary=True) from failure
            if len(self._mail_hosts) >= MOST_MAIL_HOSTS:
                del self._mail_hosts[next(iter(self._mail_hosts))]
        self._mail_hosts[host] = known
        return known

    def problems(self) -> list[str]:
        """What is wrong with upstreams that failed last time."""
        balances = [*([self._default] if self._default else []), *self._mail_hosts.values()]
        return [problem for balance in balances for problem in balance.problems()]
