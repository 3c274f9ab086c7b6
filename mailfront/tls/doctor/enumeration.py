"""Which versions, suites and groups a server takes, one ClientHello after another.

A server chooses from what it is offered; what it chose is left out of the next offer, until it
refuses. Takes a `Prober`, which sends an offer and gives the answer; knows no sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mailfront.protocol.tls_probe.answer import Answer
from mailfront.protocol.tls_probe.code_points import (
    GROUPS,
    SHA1_SCHEMES,
    SUITES_12,
    SUITES_13,
    TLS12,
    TLS13,
    name_of,
)
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.doctor.facts import SuiteFacts

Prober = Callable[[Offer], Answer]

_GROUPS_12 = tuple(group for group in GROUPS if not 0x11EB <= group <= 0x11ED)
_ECDHE = tuple(number for number, name in SUITES_12.items() if "_ECDHE_" in name)


def accepts(probe: Prober, version: int, server_name: str) -> Answer | None:
    """The answer if the server speaks this version, else None."""
    answer = probe(_offer(version, server_name))
    return answer if answer.is_accepted and answer.version == version else None


def enumerate_suites(probe: Prober, version: int, server_name: str) -> SuiteFacts:
    """The suites of a version; see the module."""
    base = _offer(version, server_name)
    names = SUITES_13 if version == TLS13 else SUITES_12
    left, found, prime = list(names), [], 0
    while left:
        answer = probe(replace(base, suites=tuple(left)))
        if not answer.is_accepted or answer.version != version or answer.suite not in left:
            break
        left.remove(answer.suite)
        found.append(answer.suite)
        prime = min(prime or answer.prime_bits, answer.prime_bits or prime)
    return SuiteFacts(
        tuple(name_of(suite, names) for suite in found),
        _has_own_order(probe, base, found),
        prime,
    )


def _has_own_order(probe: Prober, base: Offer, found: list[int]) -> bool | None:
    """Whether the server keeps its order when the client's is the reverse.

    ChaCha20 comes last in that offer: servers rightly obey a client that puts it first.
    """
    names = SUITES_13 | SUITES_12
    if len(found) < 2:
        return None
    chacha = [suite for suite in found if "CHACHA20" in names[suite]]
    turned = [suite for suite in found[::-1] if suite not in chacha] + chacha
    if turned[0] == found[0]:
        return None
    return probe(replace(base, suites=tuple(turned))).suite == found[0]


def enumerate_groups(probe: Prober, version: int, server_name: str) -> tuple[str, ...]:
    """The key exchange groups of TLS 1.3 or 1.2.

    Without a key share a TLS 1.3 server names its group in a HelloRetryRequest, so hybrids that we
    could not compute are seen too.
    """
    base = _offer(version, server_name)
    left = list(GROUPS if version == TLS13 else _GROUPS_12)
    if version != TLS13:
        base = replace(base, suites=_ECDHE)
    found = []
    while left:
        answer = probe(replace(base, groups=tuple(left)))
        if not answer.is_accepted or answer.version != version or answer.group not in left:
            break
        left.remove(answer.group)
        found.append(answer.group)
    return tuple(name_of(group, GROUPS) for group in found)


def signs_with_sha1(probe: Prober, server_name: str) -> bool:
    """Whether a TLS 1.2 server signs its key exchange with SHA-1 if that is all it is offered."""
    answer = probe(replace(_offer(TLS12, server_name), signature_schemes=SHA1_SCHEMES))
    return answer.is_accepted and answer.signature_scheme in SHA1_SCHEMES


def compresses(probe: Prober, server_name: str) -> bool:
    """Whether a TLS 1.2 server accepts compression."""
    return bool(probe(replace(_offer(TLS12, server_name), compression=True)).compression)


def _offer(version: int, server_name: str) -> Offer:
    groups = tuple(GROUPS) if version == TLS13 else _GROUPS_12
    return Offer(version, server_name=server_name, groups=groups)
