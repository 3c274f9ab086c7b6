"""Which channel a domain leads to, and on which channel a client comes in.

Takes the rules and channels of one version of imta.cnf. The most specific rule counts: the domain,
the domain above it and so on (`.example.org`), at last `.`; of networks the smallest, at last `[]`.
The order in the file never matters, since no two rules have the same pattern for the same.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from mailfront.channels.channel import Channel, Demand
from mailfront.channels.imta_lines import FileIdentity
from mailfront.channels.rewrite_rule import Address, Kind, RewriteRule
from mailfront.errors import AddressError, RoutingError
from mailfront.protocol.mail_address import canonical_domain

PORT_CHANNELS = MappingProxyType(
    {"smtp": "tcp_local", "submission": "tcp_submit", "submissions": "tcp_submit"}
)
"""On which channel the clients of each port come in."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for a domain goes: the rule that says so, the channel that it names, and the
    domain in lower-case A-labels, or an address literal (`[192.0.2.1]`)."""

    channel: Channel
    rule: RewriteRule
    domain: str


class RuleIndex:
    """Rules by their patterns. `add` returns the earlier rule that has the same one, if any."""

    def __init__(self) -> None:
        self._names: dict[tuple[Kind, str], RewriteRule] = {}
        self._networks: dict[tuple[int, int, int], RewriteRule] = {}
        self._lengths: dict[int, list[int]] = {4: [], 6: []}

    def add(self, rule: RewriteRule) -> RewriteRule | None:
        """Take a rule in, unless there is one like it."""
        if rule.network is None:
            return self._kept(self._names.setdefault((rule.kind, rule.domain), rule), rule)
        network = rule.network
        length, version = network.prefixlen, network.version
        if length not in self._lengths[version]:
            self._lengths[version] = sorted([*self._lengths[version], length], reverse=True)
        key = (version, length, int(network.network_address))
        return self._kept(self._networks.setdefault(key, rule), rule)

    @property
    def has_networks(self) -> bool:
        """Whether any rule is for addresses of a network."""
        return bool(self._networks)

    def of_domain(self, domain: str) -> RewriteRule | None:
        """The rule for a domain (lower-case A-labels)."""
        found = self._names.get((Kind.ANY_FIRST, "")) or self._names.get((Kind.DOMAIN, domain))
        above = domain
        while found is None and "." in above:
            above = above.partition(".")[2]
            found = self._names.get((Kind.SUBDOMAINS, above))
        return found or self._names.get((Kind.ANY, ""))

    def of_address(self, address: Address) -> RewriteRule | None:
        """The rule for an address literal, `.` included."""
        any_other = self._names.get((Kind.ANY_LITERAL, "")) or self._names.get((Kind.ANY, ""))
        return self._names.get((Kind.ANY_FIRST, "")) or self.of_network_with(address) or any_other

    def of_network_with(self, address: Address) -> RewriteRule | None:
        """The rule for the smallest network with this address."""
        bits = address.max_prefixlen
        for length in self._lengths[address.version]:
            prefix = int(address) >> (bits - length) << (bits - length)
            if rule := self._networks.get((address.version, length, prefix)):
                return rule
        return None

    def _kept(self, kept: RewriteRule, offered: RewriteRule) -> RewriteRule | None:
        return None if kept is offered else kept


@dataclass(frozen=True, slots=True)
class ChannelTable:
    """One version of imta.cnf. `channels` are those of the file and those that every server has
    (`missing` names which of them are not in the file), by name in lower case.

    `warnings` tell what has no effect or weakens the server; `without_effect` the keywords that
    say nothing here; `files` what was read.
    """

    channels: Mapping[str, Channel]
    rules: Sequence[RewriteRule]
    recipients: RuleIndex
    senders: RuleIndex
    hosts: Mapping[str, Channel]
    warnings: tuple[str, ...] = ()
    without_effect: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    files: tuple[FileIdentity, ...] = field(default=())

    def route(self, domain: str) -> Route:
        """Return where mail for `domain` goes: a domain name, or an address literal in brackets.

        Raises `RoutingError` if no rule is for it, if it is no domain, or if the channel delivers
        nothing.
        """
        name, rule = self._rule_for(domain)
        if rule is None:
            raise RoutingError(f"no rewrite rule in imta.cnf is for {name}")
        channel = self.hosts[rule.host]
        if not (channel.sends or channel.local):
            raise RoutingError(
                f"{rule.place}: leads to the channel {channel.name}, which delivers nothing here"
            )
        return Route(channel, rule, name)

    def channel_of_port(self, port: str) -> Channel:
        """Return the channel on which clients of a port (`smtp`, `submission`) come in."""
        return self.channels[PORT_CHANNELS[port]]

    def ports_in_clear(self) -> frozenset[str]:
        """The ports on which clients are offered no STARTTLS (`notlsserver`)."""
        return frozenset(
            port for port in PORT_CHANNELS if self.channel_of_port(port).tls_server is Demand.NEVER
        )

    def channel_of_client(self, arrival: Channel, address: str) -> Channel:
        """Return the channel for a client with this IP address that comes in on `arrival`: the one
        that a rule for its network names, if both channels allow that (`switchchannel`)."""
        if not arrival.switches or not self.senders.has_networks:
            return arrival
        try:
            rule = self.senders.of_network_with(_address(address))
        except ValueError:
            return arrival
        if rule is None or not self.hosts[rule.host].switched_to:
            return arrival
        return self.hosts[rule.host]

    def _rule_for(self, domain: str) -> tuple[str, RewriteRule | None]:
        if domain.startswith("["):
            literal = domain.removesuffix("]")[1:]
            if literal[:5].lower() == "ipv6:":
                literal = literal[5:]
            try:
                address = _address(literal)
            except ValueError:
                raise RoutingError("an address literal without an IP address") from None
            tag = "IPv6:" if address.version == 6 else ""
            return f"[{tag}{address}]", self.recipients.of_address(address)
        try:
            name = canonical_domain(domain)
        except AddressError as error:
            raise RoutingError(str(error)) from None
        return name, self.recipients.of_domain(name)


def _address(text: str) -> Address:
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
