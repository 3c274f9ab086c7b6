"""What is demanded of the TLS with one server, and why: a decision without input or output.

Takes what channel, policy map, DNS, MTA-STS and the message say; gives a `TlsDemand`, or raises
`DestinationError` where the server must not be used. The first that speaks decides, in this order:

1. REQUIRETLS of the message (RFC 8689 section 4.2.1): an authenticated server in any case;
2. a line of the policy map, the operator's exception for the destination; it cannot take away the
   encryption that `musttls` demands;
3. `notls`: the channel never uses TLS;
4. `TLS-Required: No` of the message (RFC 8689 section 3): DANE and MTA-STS do not count for it;
5. DANE (RFC 7672), which MTA-STS must not override (RFC 8461 section 2);
6. MTA-STS (RFC 8461) with `enforce`;
7. `musttls`: TLS with a server that a trusted CA vouches for;
8. `maytls`: TLS where it is offered, with anybody; in clear where it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailfront.channels.channel import Demand
from mailfront.errors import DestinationError
from mailfront.outgoing.dane import DaneState, DaneStatus, TlsaRecord
from mailfront.outgoing.policy_map import Level, PolicyEntry
from mailfront.outgoing.transport_policy import StsMode, StsPolicy

_HOSTNAME, _NEXTHOP, _DOT_NEXTHOP = "hostname", "nexthop", "dot-nexthop"


class Protection(Enum):
    """How much is demanded; the value is its name for people."""

    CLEAR = "no TLS"
    OPPORTUNISTIC = "TLS if offered"
    ENCRYPTED = "TLS"
    VERIFIED = "TLS, verified by a CA"
    DANE = "TLS, verified by DANE"
    FINGERPRINT = "TLS, verified by its fingerprint"


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """`names` are those that the certificate may have, the first asked for by SNI too unless
    `server_name` is set; `records` and `fingerprints` are what it must fit. With `require_tls` the
    server must offer REQUIRETLS. `reason` says which rule decided."""

    protection: Protection
    reason: str
    server_name: str = ""
    names: tuple[str, ...] = ()
    records: tuple[TlsaRecord, ...] = ()
    fingerprints: tuple[str, ...] = ()
    require_tls: bool = False

    @property
    def is_mandatory(self) -> bool:
        """Whether nothing may be sent in clear."""
        return self.protection not in {Protection.CLEAR, Protection.OPPORTUNISTIC}

    def __str__(self) -> str:
        return f"{self.protection.value} ({self.reason})"


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """All that a decision rests on. `nexthop` is the recipient's domain, or the smarthost;
    `authenticated` tells that nobody on the network can have chosen the host."""

    host: str
    nexthop: str
    channel: Demand
    authenticated: bool
    dane: DaneState
    entry: PolicyEntry | None = None
    sts: StsPolicy | None = None
    require_tls: bool = False
    tls_optional: bool = False


def decide(facts: TlsFacts) -> TlsDemand:
    """Return what is demanded. Raises `DestinationError` if the server must not be used."""
    if facts.require_tls:
        return _required(facts)
    if facts.entry is not None:
        return _by_entry(facts, facts.entry)
    if facts.channel is Demand.NEVER:
        return TlsDemand(Protection.CLEAR, "the channel says notls")
    if facts.tls_optional:
        if facts.channel is Demand.MUST:
            return _must(facts)
        return _opportunistic(facts, "maytls, and the message says TLS-Required: No")
    return _by_standing_policy(facts)


def _by_standing_policy(facts: TlsFacts) -> TlsDemand:
    dane = facts.dane
    if dane.status is DaneStatus.FAILED:
        raise _unusable(f"{facts.host}: {dane.problem}", "4.7.5")
    if dane.status is DaneStatus.USABLE:
        return _dane(facts, "TLSA records of the server")
    if facts.sts is not None and facts.sts.mode is StsMode.ENFORCE:
        return _sts(facts, facts.sts)
    if facts.channel is Demand.MUST:
        return _must(facts)
    if dane.status is DaneStatus.UNUSABLE:
        return _encrypted(facts, "TLSA records of the server, of which none can be used")
    return _opportunistic(facts, "maytls")


def _by_entry(facts: TlsFacts, entry: PolicyEntry) -> TlsDemand:
    level, reason = entry.level, str(entry)
    if level in {Level.NONE, Level.MAY} and facts.channel is Demand.MUST:
        return _must(facts)
    if level is Level.NONE:
        return TlsDemand(Protection.CLEAR, reason)
    if level is Level.MAY:
        return _opportunistic(facts, reason)
    if level is Level.ENCRYPT:
        return _encrypted(facts, reason)
    if level is Level.FINGERPRINT:
        return TlsDemand(
            Protection.FINGERPRINT, reason, server_name=facts.host, fingerprints=entry.matches
        )
    if level in {Level.VERIFY, Level.SECURE}:
        default = (_HOSTNAME,) if level is Level.VERIFY else (_NEXTHOP, _DOT_NEXTHOP)
        names = tuple(_name(each, facts) for each in entry.matches or default)
        return _verified(facts, names, reason)
    return _dane_by_entry(facts, level, reason)


def _dane_by_entry(facts: TlsFacts, level: Level, reason: str) -> TlsDemand:
    dane = facts.dane
    if dane.status is DaneStatus.FAILED:
        raise _unusable(f"{facts.host}: {dane.problem}", "4.7.5")
    if dane.status is DaneStatus.USABLE:
        return _dane(facts, reason)
    if level is Level.DANE_ONLY:
        raise _unusable(f"{facts.host}: {reason} demands DANE: {dane.status.value}", "4.7.5")
    if facts.channel is Demand.MUST:
        return _must(facts)
    if dane.status is DaneStatus.UNUSABLE:
        return _encrypted(facts, f"{reason}; no TLSA record can be used")
    return _opportunistic(facts, f"{reason}; {dane.status.value}")


def _required(facts: TlsFacts) -> TlsDemand:
    """RFC 8689 section 4.2.1: the server's name must be beyond doubt, and so must the server."""
    reason = "the message says REQUIRETLS"
    if facts.channel is Demand.NEVER:
        raise DestinationError(
            "the message says REQUIRETLS, the channel notls", temporary=False, status="5.7.30"
        )
    dane, sts = facts.dane, facts.sts
    if dane.status is DaneStatus.FAILED:
        raise _unusable(f"{facts.host}: {dane.problem}", "4.7.5")
    if dane.status is DaneStatus.USABLE:
        found = _dane(facts, f"{reason}, the server has TLSA records")
    elif sts is not None and sts.mode is StsMode.ENFORCE:
        found = _sts(facts, sts)
    elif facts.authenticated:
        found = _verified(facts, (facts.host,), reason)
    else:
        raise DestinationError(
            f"REQUIRETLS: nothing proves that {facts.host} serves {facts.nexthop} "
            "(neither DNSSEC nor MTA-STS)",
            temporary=False,
            status="5.7.30",
        )
    return TlsDemand(
        found.protection, f"{reason}; {found.reason}" if found.reason != reason else reason,
        found.server_name, found.names, found.records, require_tls=True,
    )  # fmt: skip


def _sts(facts: TlsFacts, sts: StsPolicy) -> TlsDemand:
    if not sts.allows(facts.host):
        raise _unusable(f"{facts.host} is not in the MTA-STS policy of {sts.domain}", "4.7.5")
    return _verified(facts, (facts.host,), f"MTA-STS of {sts.domain}")


def _must(facts: TlsFacts) -> TlsDemand:
    if facts.dane.status is DaneStatus.USABLE:
        return _dane(facts, "musttls, the server has TLSA records")
    # The recipient's own domain is as good a name as that of the host the DNS gave for it.
    names = tuple(dict.fromkeys((facts.host, facts.nexthop)))
    return _verified(facts, names, "musttls")


def _dane(facts: TlsFacts, reason: str) -> TlsDemand:
    # RFC 7672 section 3.2.2.
    names = tuple(dict.fromkeys((facts.dane.base, facts.host, facts.nexthop)))
    return TlsDemand(
        Protection.DANE, reason, server_name=facts.dane.base, names=names,
        records=facts.dane.records,
    )  # fmt: skip


def _verified(facts: TlsFacts, names: tuple[str, ...], reason: str) -> TlsDemand:
    return TlsDemand(Protection.VERIFIED, reason, server_name=facts.host, names=names)


def _encrypted(facts: TlsFacts, reason: str) -> TlsDemand:
    return TlsDemand(Protection.ENCRYPTED, reason, server_name=facts.host, names=(facts.host,))


def _opportunistic(facts: TlsFacts, reason: str) -> TlsDemand:
    return TlsDemand(Protection.OPPORTUNISTIC, reason, server_name=facts.host, names=(facts.host,))


def _name(word: str, facts: TlsFacts) -> str:
    """What a word of `match=` stands for (postconf(5))."""
    if word == _HOSTNAME:
        return facts.host
    if word == _NEXTHOP:
        return facts.nexthop
    return f".{facts.nexthop}" if word == _DOT_NEXTHOP else word


def _unusable(what: str, status: str) -> DestinationError:
    return DestinationError(what, temporary=True, status=status)
