"""The MTA-STS policy that we publish for our own domains, and whether we can keep to it.

Takes the options and the host name, gives the policy's text and hosts; compares them with the
certificates that are served (RFC 8461 section 4: their names must be those of the policy).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailfront.configuration.machine import machine_name
from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError
from mailfront.keystore.chain import is_self_signed
from mailfront.keystore.host_names import patterns_for
from mailfront.keystore.internal_token import InternalToken
from mailfront.keystore.records import CertificateRecord
from mailfront.outgoing.mta_sts.fetch import HOST_PREFIX
from mailfront.outgoing.mta_sts.policy import is_server_pattern, policy_text
from mailfront.outgoing.transport_policy import StsMode, StsPolicy
from mailfront.server.certificates import nicknames_of
from mailfront.tls.certificate_names import names_of

MODE_OPTION = "service.http.mtasts.mode"
MX_OPTION = "service.http.mtasts.mx"
# RFC 8461 section 3.2 speaks of weeks; less hardly protects anybody.
_SHORT_AGE = 86_400


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """`hosts` are the names under which HTTPS serves `text`."""

    mode: StsMode
    max_age: int
    servers: tuple[str, ...]
    hosts: frozenset[str]

    @property
    def text(self) -> str:
        """The policy file."""
        return policy_text(self.mode, self.max_age, self.servers)


def published_policy(configuration: Configuration, hostname: str) -> PublishedPolicy | None:
    """Return the policy that the options ask for, or None. Raises `ConfigurationError`."""
    mode = configuration.string(MODE_OPTION)
    if not mode:
        return None
    servers = configuration.names(MX_OPTION) or (hostname,)
    for name in servers:
        if not is_server_pattern(name):
            raise ConfigurationError(
                f"{MX_OPTION}: {name!r} is no name of a mail server",
                remedy="write names of hosts, or *.DOMAIN",
            )
    own = configuration.string("service.defaultdomain")
    domains = configuration.names("service.http.mtasts.domains") or ((own,) if own else ())
    if not domains:
        raise ConfigurationError(
            f"{MODE_OPTION} is set, and no domain",
            remedy="set service.defaultdomain or service.http.mtasts.domains",
        )
    return PublishedPolicy(
        StsMode(mode),
        configuration.integer("service.http.mtasts.maxage"),
        tuple(name.lower() for name in servers),
        frozenset(f"{HOST_PREFIX}{domain.lower()}" for domain in domains),
    )


def check_published_policy(configuration: Configuration, token: InternalToken) -> list[str]:
    """Return what does not fit between the policy and what is served. Raises
    `ConfigurationError`."""
    hostname = configuration.string("service.hostname") or machine_name()
    policy = published_policy(configuration, hostname)
    return [] if policy is None else list(_misfits(policy, hostname, configuration, token))


def _misfits(
    policy: PublishedPolicy, hostname: str, configuration: Configuration, token: InternalToken
) -> Iterator[str]:
    if not configuration.boolean("service.http.enable"):
        yield f"{MODE_OPTION}: webmail is not served (service.http.enable), so no policy is"
    for host in sorted(policy.hosts):
        if not _covers(_presented(configuration, token, "http"), host):
            yield f"{MODE_OPTION}: no certificate that HTTPS presents is for {host}"
    if policy.mode is StsMode.NONE:
        return
    if policy.max_age < _SHORT_AGE:
        yield "service.http.mtasts.maxage: a policy of less than a day protects hardly anybody"
    if not StsPolicy("", policy.mode, policy.servers).allows(hostname):
        yield f"{MX_OPTION}: this server, {hostname}, is not in the policy"
    records = _presented(configuration, token, "imta")
    for name in policy.servers:
        if not name.startswith("*.") and not _covers(records, name):
            yield f"{MX_OPTION}: no certificate that SMTP presents is for {name}"
    own = nicknames_of(configuration, "imta")
    if all(is_self_signed(each.certificate) for each in records if each.nickname in own):
        yield f"{MODE_OPTION}: the certificate of SMTP is self-signed: other servers believe none"


def _presented(
    configuration: Configuration, token: InternalToken, service: str
) -> list[CertificateRecord]:
    """The certificates of the personality, and those that may be chosen by name."""
    own = nicknames_of(configuration, service)
    by_name = configuration.boolean("local.service.ssl.sni")
    records = token.inventory().records
    return [each for each in records if each.nickname in own or (by_name and each.has_key)]


def _covers(records: list[CertificateRecord], host: str) -> bool:
    known = {name for record in records for name in names_of(record.certificate)}
    return any(pattern in known for pattern in patterns_for(host))
