"""Which next hop an address has, by name and as a route; what to do where there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mailfront.channels.channel import Channel
from mailfront.errors import AddressError, MailfrontError
from mailfront.outgoing.delivery_result import NextHop, Outcome, RecipientResult
from mailfront.outgoing.retry import RetrySettings
from mailfront.protocol.mail_address import canonical_domain
from mailfront.queue.entry import QueuedMail

# No channel has such a name.
NOWHERE = "-"
_NO_ROUTE = RecipientResult(
    Outcome.FAILED, text="no rule of imta.cnf says where this domain's mail goes", status="5.4.4"
)
_LOOPS_BACK = RecipientResult(
    Outcome.FAILED,
    text="imta.cnf says that this domain is here, but there are no users in it",
    status="5.4.6",
)


@dataclass(slots=True)
class Sorted:
    """The recipients of a message that was to go to one next hop: `mail` are those who still do,
    over `route`; `moved` are row numbers by the next hop that they have now; `refused` are results
    for those who have none."""

    mail: QueuedMail
    route: NextHop | None = None
    moved: dict[str, list[int]] = field(default_factory=dict)
    refused: dict[str, RecipientResult] = field(default_factory=dict)


class Routing:
    """Over `route`, which takes a domain and raises `MailfrontError` where no rule matches."""

    def __init__(self, route: Callable[[str], NextHop], retry: RetrySettings) -> None:
        self._route = route
        self._retry = retry

    def hop_of(self, address: str) -> str:
        """The name of the next hop, equal for all who share one."""
        found = self._find(address)
        return NOWHERE if isinstance(found, RecipientResult) else hop_name(found)

    def channel_of(self, address: str) -> Channel | None:
        """The channel of an address; None without a route."""
        found = self._find(address)
        return None if isinstance(found, RecipientResult) else found.channel

    def first_notice(self, address: str) -> float:
        """The age in seconds at which a sender first hears that this recipient waits."""
        return self._retry.notice(self.channel_of(address), 0)

    def sort(self, mail: QueuedMail, hop: str) -> Sorted:
        """Judge the recipients again: imta.cnf may have changed since they were taken in."""
        result = Sorted(mail)
        staying = []
        for recipient in mail.recipients:
            found = self._find(recipient.address)
            if isinstance(found, RecipientResult):
                result.refused[recipient.address] = found
            elif (now := hop_name(found)) != hop:
                result.moved.setdefault(now, []).append(recipient.row)
            else:
                staying.append(recipient)
                result.route = result.route or found
        result.mail = replace(mail, recipients=tuple(staying))
        return result

    def _find(self, address: str) -> NextHop | RecipientResult:
        domain = address.rpartition("@")[2].lower()
        if not domain.startswith("["):
            try:
                domain = canonical_domain(domain)
            except AddressError:
                return _NO_ROUTE
        try:
            route = self._route(domain)
        except MailfrontError:
            return _NO_ROUTE
        return _LOOPS_BACK if route.channel.local else route


def hop_name(route: NextHop) -> str:
    """A channel and what it leads to there: its daemon, or the domain."""
    return f"{route.channel.name} {route.channel.daemon or route.domain}"
