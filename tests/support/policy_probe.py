"""What clients really get under a policy: ClientHello by ClientHello, over memory.

`python -m tests.support.policy_probe` writes the answers of every policy, for the OpenSSL linked
here, to `tests/integration/policies/`; the test beside it compares. A published policy must go on
getting the same answers: another default is another date.
"""

from __future__ import annotations

import json
import os
import ssl
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa

from mailfront.protocol.tls_probe.answer import Answer
from mailfront.protocol.tls_probe.code_points import (
    GROUPS,
    SIGNATURE_SCHEMES,
    SUITES_12,
    SUITES_13,
    TLS12,
    TLS13,
    VERSIONS,
    X25519,
)
from mailfront.protocol.tls_probe.offer import Offer
from mailfront.tls.context import build_server_context
from mailfront.tls.doctor.enumeration import enumerate_groups, enumerate_suites
from mailfront.tls.policy import Policy, choose_suites, choose_versions, make_policy
from mailfront.tls.profiles import PROFILES, profile_named
from tests.support.authority import self_signed

SNAPSHOTS = Path(__file__).parents[1] / "integration" / "policies"
OPENSSL = ".".join(map(str, ssl.OPENSSL_VERSION_INFO[:2]))
SNAPSHOT = SNAPSHOTS / f"openssl-{OPENSSL}.json"
DOWN_TO_TLS10 = "legacy-2026-11, encryption.tlsminversion = TLSv1.0"
PROBED = (*(profile.dated_name for profile in PROFILES), DOWN_TO_TLS10)

Answers = dict[str, object]
Probe = Callable[[Offer], Answer]


def policy_probed_as(name: str) -> Policy:
    """The policy of a name in `PROBED`."""
    profile = profile_named(name.partition(",")[0])
    versions = choose_versions(profile, "TLSv1.0" if name == DOWN_TO_TLS10 else "")
    return make_policy(profile, versions, choose_suites(profile, versions))


def dual_context(policy: Policy) -> ssl.SSLContext:
    """A server context with an ECDSA and an RSA certificate."""
    personality = [self_signed("ecdsa"), self_signed("rsa", key=_RSA_KEY)]
    with warnings.catch_warnings():
        # Python warns of versions that the policy warns of too.
        warnings.simplefilter("ignore", DeprecationWarning)
        return build_server_context(personality, policy, alpn=(), tickets=True).ssl_context


_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def prober(context: ssl.SSLContext) -> Probe:
    """Sends an offer to a fresh connection of the context and reads the first answer."""

    def probe(offer: Offer) -> Answer:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(offer.record())
        # It wants more, or refuses: the outgoing octets tell which.
        with suppress(ssl.SSLError):
            server.do_handshake()
        answer = Answer()
        answer.feed(outgoing.read())
        return answer

    return probe


def answers(policy: Policy) -> Answers:
    """Everything that a client can find out about the policy."""
    probe = prober(dual_context(policy))
    versions = [version for version in VERSIONS if _speaks(probe, version)]
    suites = {VERSIONS[version]: enumerate_suites(probe, version, "") for version in versions}
    return {
        "versions": [VERSIONS[version] for version in versions],
        "suites": {version: list(facts.suites) for version, facts in suites.items()},
        "server decides": {version: facts.server_order for version, facts in suites.items()},
        "ChaCha20 for who puts it first": {
            VERSIONS[version]: _obeys_chacha(probe, version)
            for version in versions
            if version >= TLS12
        },
        "groups": {
            VERSIONS[version]: list(enumerate_groups(probe, version, "")) for version in versions
        },
        "group for a share of X25519 only": _group_with_share(probe) if TLS13 in versions else None,
        "signature algorithms": {
            VERSIONS[version]: [
                name
                for number, name in SIGNATURE_SCHEMES.items()
                if _signs_with(probe, version, number)
            ]
            for version in versions
            if version >= TLS12
        },
        "signature first chosen": _first_signature(probe) if TLS12 in versions else None,
        "compression": bool(probe(Offer(TLS12, compression=True)).compression),
    }


def _speaks(probe: Probe, version: int) -> bool:
    answer = probe(Offer(version))
    return answer.is_accepted and answer.version == version


def _obeys_chacha(probe: Probe, version: int) -> bool:
    names = SUITES_13 if version == TLS13 else SUITES_12
    ordered = sorted(names, key=lambda suite: "CHACHA20" not in names[suite])
    return "CHACHA20" in names.get(probe(Offer(version, suites=tuple(ordered))).suite, "")


def _group_with_share(probe: Probe) -> str:
    """Which group a client gets that has all but sent a share for X25519 alone."""
    return GROUPS.get(probe(_with_share(Offer(TLS13))).group, "none")


def _with_share(offer: Offer) -> Offer:
    return replace(offer, key_shares=((X25519, os.urandom(32)),))


def _signs_with(probe: Probe, version: int, scheme: int) -> bool:
    offer = Offer(version, signature_schemes=(scheme,))
    if version == TLS13:
        answer = probe(_with_share(replace(offer, groups=(X25519,))))
        return answer.is_accepted
    ephemeral = tuple(number for number, name in SUITES_12.items() if "_ECDHE_" in name)
    return probe(replace(offer, suites=ephemeral)).signature_scheme == scheme


def _first_signature(probe: Probe) -> str:
    return SIGNATURE_SCHEMES.get(probe(Offer(TLS12)).signature_scheme, "none")


def main() -> None:
    """Write the snapshot of the OpenSSL linked here."""
    found = {name: answers(policy_probed_as(name)) for name in PROBED}
    SNAPSHOTS.mkdir(exist_ok=True)
    SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
