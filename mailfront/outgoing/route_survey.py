"""Which servers an attempt would try now, and what TLS it would demand of each: without trying.

Takes a route and what policies are known; asks the DNS, connects to nobody. The decision is the
deliverer's own (`tls_decision`); what only a conversation tells, such as STARTTLS being offered, is
not known here.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailfront.channels.channel import Demand
from mailfront.errors import DestinationError
from mailfront.outgoing.dane import DaneState, DaneStatus, dane_state
from mailfront.outgoing.delivery_result import NextHop
from mailfront.outgoing.mail_exchangers import (
    Lookup,
    MailExchangers,
    host_addresses,
    mail_exchangers,
)
from mailfront.outgoing.ourselves import Ourselves
from mailfront.outgoing.policy_map import PolicyEntry
from mailfront.outgoing.tls_decision import TlsFacts, decide
from mailfront.outgoing.transport_policy import StsPolicy


@dataclass(frozen=True, slots=True)
class SurveyedHost:
    """One server: `tls` is what is demanded and why, `problem` why it would not be used; either is
    empty. `dane` says what the DNS has of TLSA records."""

    host: str
    addresses: tuple[str, ...] = ()
    tls: str = ""
    dane: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class KnownPolicies:
    """What is known of a destination beside the DNS: the line of the policy map, and the MTA-STS
    policy that is kept."""

    entry: PolicyEntry | None = None
    sts: StsPolicy | None = None


async def survey(
    dns: Lookup, route: NextHop, ourselves: Ourselves, policies: KnownPolicies
) -> tuple[SurveyedHost, ...]:
    """Return the servers in the order of an attempt. Raises `DestinationError` for none."""
    exchangers = await mail_exchangers(dns, route.channel, route.domain, ourselves.is_named)
    return tuple(
        [
            await _host(dns, route, ourselves, policies, exchangers, host)
            for host in exchangers.hosts
        ]
    )


async def _host(
    dns: Lookup,
    route: NextHop,
    ourselves: Ourselves,
    policies: KnownPolicies,
    exchangers: MailExchangers,
    host: str,
) -> SurveyedHost:
    channel = route.channel
    try:
        found = await host_addresses(dns, host)
    except DestinationError as failure:
        return SurveyedHost(host, problem=str(failure))
    dane = DaneState(DaneStatus.ABSENT, host)
    if channel.tls_client is not Demand.NEVER or policies.entry is not None:
        dane = await dane_state(dns, exchangers, found, host, channel.port)
    facts = TlsFacts(
        host=host,
        nexthop=channel.daemon.strip("[]").lower() or route.domain,
        channel=channel.tls_client,
        authenticated=exchangers.authenticated,
        dane=dane,
        entry=policies.entry,
        # A host that the configuration names serves no recipient's domain (RFC 8461 section 2).
        sts=None if exchangers.are_named else policies.sts,
    )
    tls = problem = ""
    try:
        tls = str(decide(facts))
    except DestinationError as failure:
        problem = str(failure)
    if any(ourselves.is_at(address, channel.port) for address in found.addresses):
        problem = "this is this server itself: mail would loop"
    return SurveyedHost(host, found.addresses, tls, dane.status.value, problem)
