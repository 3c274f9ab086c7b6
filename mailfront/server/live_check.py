"""`mailfront check --live`: is what the ports present what configuration and keystore ask for?

Takes a server root and its opened token; connects to every configured port as a client does and
compares. Returns findings per port; raises `OperatorError` for a configuration that cannot be read.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import OperatorError
from mailfront.keystore.chain import is_self_signed
from mailfront.keystore.formats import sha256_fingerprint
from mailfront.keystore.keystore import CredentialSource
from mailfront.keystore.trust import TrustFlags
from mailfront.listener.service_port import PortSettings
from mailfront.protocol.starttls_client import StarttlsProtocol
from mailfront.protocol.tls_probe.code_points import SUITES_12, SUITES_13, VERSIONS, name_of
from mailfront.server.certificates import (
    ALPN,
    ServiceContexts,
    configured_nicknames,
)
from mailfront.server.ports import offers_starttls, planned_ports
from mailfront.tls.certificate_names import CertificateNames, names_of
from mailfront.tls.context import ServerContext
from mailfront.tls.doctor.examination import examine
from mailfront.tls.doctor.facts import Examination
from mailfront.tls.doctor.findings import Severity, judge
from mailfront.tls.doctor.target import Target, target_of

_PROTOCOLS = {
    "imta": StarttlsProtocol.SMTP,
    "imap": StarttlsProtocol.IMAP,
    "pop": StarttlsProtocol.POP3,
    "http": None,
}
# Where a client on this machine reaches a server that listens on all addresses.
_LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_NUMBERS = {name: number for number, name in VERSIONS.items()}


@dataclass(frozen=True, slots=True)
class LivePort:
    """One port: its name, what was found there (None: no connection), problems and advice."""

    name: str
    facts: Examination | None
    problems: tuple[str, ...]
    advice: tuple[str, ...] = ()


def trusted_authorities(token: CredentialSource) -> list[x509.Certificate]:
    """The CAs of the keystore that are trusted for servers."""
    return [
        record.certificate
        for record in token.inventory().records
        if TrustFlags.SERVERS in record.trust
    ]


def check_live(
    configuration: Configuration, token: CredentialSource, *, clear: Collection[str] = ()
) -> Iterator[LivePort]:
    """Examine every port that speaks TLS, one after the other; those named in `clear` do not."""
    contexts = ServiceContexts(_PROTOCOLS)
    contexts.load(configuration, token)
    for port in planned_ports(configuration):
        if not port.implicit_tls and (
            port.service == "http"
            or port.name in clear
            or not offers_starttls(configuration, port.service)
        ):
            continue
        if port.proxies is not None:
            behind = "not examined: it serves load balancers alone (mailfront doctor examines them)"
            yield LivePort(port.name, None, (), (behind,))
            continue
        context = contexts.slots[port.service].current
        if context is None:
            problem = contexts.slots[port.service].problem
            yield LivePort(port.name, None, (problem,))
            continue
        target = _target(port, configuration)
        # Those in fact: a token may be away.
        own = context.nickname.split(",")
        nicknames = _chosen_by_name(configuration, token, own, target.name) or own
        authorities = [*trusted_authorities(token), *_own_self_signed(token, nicknames)]
        expected = {token.require(nickname).sha256 for nickname in nicknames}
        yield _check_port(target, port.name, context, expected, authorities)


def _chosen_by_name(
    configuration: Configuration, token: CredentialSource, own: Sequence[str], name: str
) -> Sequence[str] | None:
    """The nicknames presented to a client that asks for `name`, unless the service's `own` are."""
    if not configuration.boolean("local.service.ssl.sni"):
        return None
    own_names = [names_of(token.require(nickname).certificate) for nickname in own]
    configured = configured_nicknames(configuration, ALPN)
    names = CertificateNames.of_records(token.inventory().records, configured=configured)
    return names.find(name, frozenset().union(*own_names))


def _own_self_signed(token: CredentialSource, nicknames: Sequence[str]) -> list[x509.Certificate]:
    """Self-signed personalities: that clients do not know them is no news to their operator."""
    certificates = [token.require(nickname).certificate for nickname in nicknames]
    return [certificate for certificate in certificates if is_self_signed(certificate)]


def _target(port: PortSettings, configuration: Configuration) -> Target:
    return target_of(
        _LOOPBACK.get(port.address, port.address),
        port.port,
        configuration.string("service.hostname"),
        _PROTOCOLS[port.service],
        implicit=port.implicit_tls,
    )


def _check_port(
    target: Target,
    name: str,
    context: ServerContext,
    expected: Collection[str],
    authorities: Sequence[x509.Certificate],
) -> LivePort:
    try:
        facts = examine(target, authorities)
    except OperatorError as failure:
        return LivePort(name, None, (f"{failure.what}: is the server running?",))
    findings = judge(facts, datetime.now(UTC))
    said = [(one.severity, f"{one.what} ({one.standard}): {one.remedy}") for one in findings]
    problems = [text for severity, text in said if severity >= Severity.WARNING]
    return LivePort(
        name,
        facts,
        (*deviations(facts, context, expected), *problems),
        tuple(text for severity, text in said if severity < Severity.WARNING),
    )


def deviations(
    facts: Examination, context: ServerContext, expected: Collection[str]
) -> Iterator[str]:
    """Where what is served differs from the context that the configuration gives.

    `expected` are the SHA-256 fingerprints of the certificates that may be presented.
    """
    leaf = facts.leaf
    if leaf is not None and sha256_fingerprint(leaf) not in expected:
        yield (
            f"presents another certificate ({sha256_fingerprint(leaf)[:11]}) than "
            f"{context.nickname} of the keystore ({context.fingerprint[:11]}): "
            "mailfront status --strict tells why"
        )
    lowest = context.ssl_context.minimum_version
    if too_old := [
        name for name in facts.accepted_versions if _NUMBERS[name] < _lowest_number(lowest)
    ]:
        yield f"accepts {', '.join(too_old)}, which the profile does not allow"
    allowed = {
        name_of(cipher["id"] & 0xFFFF, SUITES_12 | SUITES_13)
        for cipher in context.ssl_context.get_ciphers()
    }
    served = {suite for suites in facts.suites.values() for suite in suites.suites}
    if surplus := sorted(served - allowed):
        yield f"accepts suites that the profile does not allow: {', '.join(surplus)}"


def _lowest_number(version: ssl.TLSVersion) -> int:
    """The number of a version; OpenSSL's word for "the oldest there is" is negative."""
    return max(int(version), 0)
