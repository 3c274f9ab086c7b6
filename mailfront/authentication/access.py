"""Whether an account may log in, once its owner has proved who they are.

Takes the entry, the service and the peer; judges the status of the account and then
`mailAllowedServiceAccess`, the original's access filter: rules `+services:clients` joined by `$`.
Allow rules are tried first, then deny rules; without a match access is granted, unless there are
allow rules only. Clients are matched by address. A filter that cannot be read, or that needs
names, netgroups or ident to judge, shuts the account: it was written to keep somebody out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mailfront.directory.entry import AccountStatus, Entry
from mailfront.errors import DirectoryError
from mailfront.interfaces.authenticator import Refusal
from mailfront.interfaces.peer import Peer

_FILTER_NAMES = {
    "imta": frozenset({"smtp", "smtps"}),
    "imap": frozenset({"imap", "imaps"}),
    "pop": frozenset({"pop", "pops"}),
    "http": frozenset({"http"}),
}
_SERVICES = frozenset().union(*_FILTER_NAMES.values(), {"smime", "all", "*"})
_EXCEPT = re.compile(r"\s+EXCEPT\s+", re.IGNORECASE)
_ADDRESS_PREFIX = re.compile(r"(?:[0-9]{1,3}\.){1,3}")


@dataclass(frozen=True, slots=True)
class AccessRule:
    """One rule: a sign, services and clients, each with its nested exceptions (right to left)."""

    allows: bool
    services: tuple[tuple[str, ...], ...]
    clients: tuple[tuple[str, ...], ...]


def judge_access(entry: Entry, service: str, peer: Peer) -> Refusal | None:
    """Return why `entry` may not use `service` (imta, imap, pop, http) from `peer`, or None.

    The texts may tell about the account, because the password was right.
    """
    if entry.status is AccountStatus.ACTIVE and not entry.service_access:
        return None
    match entry.status:
        case AccountStatus.INACTIVE:
            return Refusal("This account is not active at present.", "inactive", temporary=True)
        case AccountStatus.HOLD:
            return Refusal("This account is on hold.", "on hold")
        case AccountStatus.DELETED:
            return Refusal("Invalid user name or password.", "deleted")
    try:
        rules = [rule for text in entry.service_access for rule in parse_filter(text)]
    except DirectoryError as error:
        return Refusal("Access is not allowed.", f"access filter: {error.what}")
    if not is_granted(rules, service, peer.address):
        return Refusal("Access is not allowed.", "access filter")
    return None


@lru_cache(maxsize=1024)
def parse_filter(text: str) -> tuple[AccessRule, ...]:
    """Return the rules of one attribute value. Raises `DirectoryError`."""
    return tuple(_parse_rule(rule.strip()) for rule in text.split("$"))


def is_granted(rules: list[AccessRule], service: str, address: str) -> bool:
    """Return what `rules` say about `service` for a client at `address`."""
    names = _FILTER_NAMES.get(service, frozenset({service}))

    def is_service(item: str) -> bool:
        return item in ("all", "*") or item in names

    def is_client(item: str) -> bool:
        return _client_matches(item, address)

    def matches(rule: AccessRule) -> bool:
        return _list_matches(rule.services, is_service) and _list_matches(rule.clients, is_client)

    allow = [rule for rule in rules if rule.allows]
    deny = [rule for rule in rules if not rule.allows]
    if any(matches(rule) for rule in allow):
        return True
    if any(matches(rule) for rule in deny):
        return False
    return not allow or bool(deny)


def _parse_rule(rule: str) -> AccessRule:
    services, colon, clients = rule[1:].partition(":")
    if rule[:1] not in ("+", "-") or not colon:
        raise DirectoryError("a rule is not of the form +services:clients")
    parsed_services = _parse_lists(services)
    parsed_clients = _parse_lists(clients)
    for names in parsed_services:
        if unknown := set(names) - _SERVICES:
            raise DirectoryError(f"unknown service {min(unknown)!r}")
    for patterns in parsed_clients:
        for pattern in patterns:
            _network(pattern)
    return AccessRule(rule[0] == "+", parsed_services, parsed_clients)


def _parse_lists(text: str) -> tuple[tuple[str, ...], ...]:
    lists = tuple(
        tuple(item.strip().lower() for item in part.split(",") if item.strip())
        for part in _EXCEPT.split(text.strip())
    )
    if not all(lists):
        raise DirectoryError("an empty list in a rule")
    return lists


def _list_matches(lists: tuple[tuple[str, ...], ...], matches: Callable[[str], bool]) -> bool:
    """`a EXCEPT b EXCEPT c` is `a EXCEPT (b EXCEPT c)`."""
    result = False
    for items in reversed(lists):
        result = any(matches(item) for item in items) and not result
    return result


def _network(pattern: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network of a client pattern; None for everybody. Raises `DirectoryError`."""
    if pattern in ("all", "*"):
        return None
    if _ADDRESS_PREFIX.fullmatch(pattern):
        parts = pattern.rstrip(".").split(".")
        pattern = ".".join([*parts, *["0"] * (4 - len(parts))]) + f"/{8 * len(parts)}"
    try:
        return ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        raise DirectoryError(f"the client pattern {pattern!r} is not supported") from None


def _client_matches(pattern: str, address: str) -> bool:
    network = _network(pattern)
    if network is None:
        return True
    try:
        client = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(client, ipaddress.IPv6Address) and client.ipv4_mapped is not None:
        client = client.ipv4_mapped
    return client in network
