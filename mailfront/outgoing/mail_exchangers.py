"""Which hosts take a domain's mail, in which order, and at which addresses.

RFC 5321 section 5: MX records by preference, the domain's own addresses where it has none, and no
exchanger that is worse than ourselves. RFC 7505: a null MX takes no mail at all. Every answer says
whether DNSSEC proved it, which is what DANE needs to know (RFC 7672 section 2.2.1). Numbers of
hosts and addresses are bounded: more than a few would only be a way to keep us busy.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Protocol

from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from mailfront.channels.channel import Channel, Exchangers
from mailfront.errors import DestinationError, DnsUnavailableError
from mailfront.outgoing.resolver import Answer

MOST_HOSTS = 10
MOST_ADDRESSES = 4

_LOCALHOST = ("::1", "127.0.0.1")


class Lookup(Protocol):
    """Asks the DNS: `resolver.Resolver` does."""

    async def lookup(self, name: str, kind: str) -> Answer:
        """Return the records of a type of a name. Raises `DnsUnavailableError`."""
        ...


@dataclass(frozen=True, slots=True)
class MailExchangers:
    """The hosts to try, best first. `authenticated` tells that nobody on the network could have
    chosen them: DNSSEC proved the MX records, or the configuration names the host. `are_named`
    tells the latter."""

    hosts: tuple[str, ...]
    authenticated: bool
    are_named: bool = False


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """Where a host is. `canonical` is its name behind all aliases, `authenticated` whether DNSSEC
    proved addresses and aliases; a name that `is_alias` has another canonical one."""

    addresses: tuple[str, ...]
    canonical: str
    authenticated: bool
    is_alias: bool = False


def address_literal(text: str) -> str:
    """The address in `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 section 4.1.3), or an empty
    text if it is no such literal."""
    if not (text.startswith("[") and text.endswith("]")):
        return ""
    inner = text[1:-1]
    inner = inner[5:] if inner[:5].lower() == "ipv6:" else inner
    try:
        return str(ipaddress.ip_address(inner))
    except ValueError:
        return ""


async def mail_exchangers(
    dns: Lookup, channel: Channel, domain: str, is_ours: Callable[[str], bool]
) -> MailExchangers:
    """Return the hosts for `domain` (lower-case A-labels, or an address literal).

    `is_ours` tells whether a host name is this server's. Raises `DestinationError`.
    """
    named = channel.daemon or (domain if channel.exchangers is Exchangers.NONE else "")
    if named or address_literal(domain):
        host = (named or domain).lower().rstrip(".")
        # Postfix's way to write a host without MX look-up.
        if host.startswith("[") and not address_literal(host):
            host = host.strip("[]")
        return MailExchangers((host,), authenticated=True, are_named=True)
    answer = await dns.lookup(domain, "MX")
    if not answer.exists:
        raise DestinationError(
            f"the domain {domain} does not exist", temporary=False, status="5.1.2"
        )
    records = [one for one in answer.records if isinstance(one, MX)]
    if not records:
        return MailExchangers((domain,), answer.authenticated)
    listed = _listed(records)
    if not listed:
        raise DestinationError(
            f"the domain {domain} accepts no mail (null MX)", temporary=False, status="5.1.10"
        )
    ordered = _ordered(listed, is_ours)
    if not ordered:
        raise DestinationError(
            f"mail for {domain} loops back to this server", temporary=False, status="5.4.6"
        )
    return MailExchangers(tuple(ordered[:MOST_HOSTS]), answer.authenticated)


def _listed(records: Sequence[MX]) -> list[tuple[int, str]]:
    """Preference and host of each; a host named `.` is none (RFC 7505 section 3)."""
    named = (
        (record.preference, record.exchange.to_text(omit_final_dot=True).lower())
        for record in records
    )
    return [(preference, host) for preference, host in named if host not in {"", ".", "@"}]


def _ordered(listed: list[tuple[int, str]], is_ours: Callable[[str], bool]) -> list[str]:
    """By preference, in random order within one; ourselves and all that are no better left out
    (RFC 5321 section 5.1)."""
    bound = min((preference for preference, host in listed if is_ours(host)), default=None)
    kept = [each for each in listed if bound is None or each[0] < bound]
    random.shuffle(kept)
    return list(dict.fromkeys(host for _, host in sorted(kept, key=lambda each: each[0])))


async def host_addresses(dns: Lookup, host: str) -> HostAddresses:
    """Return the addresses of a host, families in turn, IPv6 first.

    Raises `DestinationError` where it has none: for good if the DNS says so.
    """
    if literal := address_literal(host):
        return HostAddresses((literal,), host, authenticated=False)
    if host == "localhost":
        # RFC 6761 section 6.3: never asked for.
        return HostAddresses(_LOCALHOST, host, authenticated=False)
    answers: list[Answer] = []
    unavailable: DnsUnavailableError | None = None
    for kind in ("AAAA", "A"):
        try:
            answers.append(await dns.lookup(host, kind))
        except DnsUnavailableError as failure:
            unavailable = failure
    six = [one.address for answer in answers for one in answer.records if isinstance(one, AAAA)]
    four = [one.address for answer in answers for one in answer.records if isinstance(one, A)]
    addresses = [each for each in chain.from_iterable(zip_longest(six, four)) if each]
    # Servers that fail for AAAA alone are many, and their other half is as good as it ever was.
    if unavailable is not None and not addresses:
        raise unavailable
    if not addresses:
        raise DestinationError(f"{host} has no address", temporary=False, status="5.4.4")
    return HostAddresses(
        addresses=tuple(addresses[:MOST_ADDRESSES]),
        canonical=answers[0].name,
        authenticated=all(answer.authenticated for answer in answers),
        is_alias=answers[0].is_alias,
    )
