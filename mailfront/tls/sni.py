"""Server Name Indication (RFC 6066 section 3): the certificate for the name a client asks for.

Takes what the keystore holds and gives, per name, the context that presents it. A name costs one
look-up of itself and one of its wildcard (RFC 9525 section 6.3), however many certificates there
are. A context is built when its certificate is first asked for, and the ones that were not used
for longest are let go. Names of the service's own personality, unknown names and no name at all
get the personality.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from mailfront.errors import KeystoreError, OperatorError
from mailfront.keystore.formats import certificate_der
from mailfront.keystore.host_names import patterns_for
from mailfront.keystore.records import CertificateRecord, Credentials
from mailfront.tls.context import ServerContext, build_server_context
from mailfront.tls.describe import MailSslObject
from mailfront.tls.key_policy import key_fault
from mailfront.tls.policy import Policy

_log = logging.getLogger("mailfront.tls")

# A context with its certificate takes some 25 KiB; building one takes a few milliseconds.
MAXIMUM_CONTEXTS = 1000

Group = tuple[str, ...]


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """The host names and wildcards of a certificate, in lower case; the common name counts for
    nothing (RFC 9525 section 6.1)."""
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return frozenset()
    names = (name.lower() for name in alternative.value.get_values_for_type(x509.DNSName))
    return frozenset(name for name in names if "*" not in name.removeprefix("*."))


def identity_of(certificate: x509.Certificate, chain: Iterable[x509.Certificate] = ()) -> bytes:
    """What differs when clients would be shown something else."""
    digest = hashlib.sha256(certificate_der(certificate))
    for issuer in chain:
        digest.update(certificate_der(issuer))
    return digest.digest()


class CertificateNames:
    """Which certificates of the keystore are for which names: per name one of each key type."""

    def __init__(self, records: Iterable[CertificateRecord], now: datetime | None = None) -> None:
        """Only certificates with a key, and made for servers, count. Where several of one key
        type are for a name, the valid one that lasts longest is taken."""
        now = now or datetime.now(UTC)
        best: dict[str, dict[str, CertificateRecord]] = {}
        for record in sorted(records, key=lambda record: _rank(record, now)):
            if record.has_key and _is_for_servers(record.certificate):
                for name in names_of(record.certificate):
                    best.setdefault(name, {})[record.key_type] = record
        self._groups: dict[str, Group] = {}
        self.identities: dict[str, bytes] = {}
        for name, by_type in best.items():
            group = tuple(by_type[key_type].nickname for key_type in sorted(by_type))
            self._groups[name] = group
            for record in by_type.values():
                if record.nickname not in self.identities:
                    identity = identity_of(record.certificate, record.chain)
                    self.identities[record.nickname] = identity

    def __len__(self) -> int:
        return len(self._groups)

    def find(self, name: str, own: frozenset[str] = frozenset()) -> Group | None:
        """The nicknames of the certificates for the host `name`; None if there are none, or if
        `own` has the name or an equally near wildcard."""
        for pattern in patterns_for(name):
            if pattern in own:
                return None
            if (group := self._groups.get(pattern)) is not None:
                return group
        return None


def _rank(record: CertificateRecord, now: datetime) -> tuple[bool, datetime, str]:
    certificate = record.certificate
    valid = certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc
    return valid, certificate.not_valid_after_utc, record.nickname


def _is_for_servers(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    wanted = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE)
    return any(purpose in wanted for purpose in usage)


@dataclass(frozen=True, slots=True)
class _Supply:
    """All that a choice depends on, so that one assignment changes all of it at once."""

    names: CertificateNames
    own: frozenset[str]
    credentials: Callable[[str], Credentials]
    policy: Policy
    # In the order of their use. None: cannot be used, which was said.
    contexts: dict[Group, ServerContext | None] = field(default_factory=dict)


class ServerNames:
    """The choice of one service among the certificates of the keystore.

    `choose` is called in the event loop, `follow` and `turn_off` in any thread. `built` counts the
    contexts that were made so far.
    """

    def __init__(self, service: str, alpn: Sequence[str]) -> None:
        self.built = 0
        self._service = service
        self._alpn = tuple(alpn)
        self._supply: _Supply | None = None

    def turn_off(self) -> None:
        """From now on every client gets the service's personality."""
        self._supply = None

    def follow(
        self,
        names: CertificateNames,
        personality: Iterable[x509.Certificate],
        credentials: Callable[[str], Credentials],
        policy: Policy,
    ) -> None:
        """Choose among `names` from now on; what did not change is not built again."""
        own = frozenset(name for each in personality for name in names_of(each))
        kept: dict[Group, ServerContext | None] = {}
        old = self._supply
        if old is not None and old.policy == policy:
            kept = {
                group: context
                for group, context in old.contexts.copy().items()
                if context is not None
                and all(
                    nickname in names.identities
                    and names.identities[nickname] == old.names.identities.get(nickname)
                    for nickname in group
                )
            }
        self._supply = _Supply(names, own, credentials, policy, kept)

    def choose(
        self, tls: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> None:
        """The SNI callback of the service's context.

        Only what depends on the certificate changes: versions, suites, tickets and their keys
        stay those of the service's own context.
        """
        if not isinstance(tls, MailSslObject):
            return
        tls.requested_name = name
        # OpenSSL goes on asking it about tickets, and ssl's callbacks want it alive.
        tls.service_context = context
        supply = self._supply
        if name is None or supply is None:
            return
        group = supply.names.find(name, supply.own)
        if group is None:
            return
        chosen = self._context(supply, group)
        if chosen is not None:
            tls.context = chosen.ssl_context
            tls.served_nickname = chosen.nickname

    def _context(self, supply: _Supply, group: Group) -> ServerContext | None:
        contexts = supply.contexts
        if group in contexts:
            context = contexts.pop(group)
        else:
            context = self._build(supply, group)
            if len(contexts) >= MAXIMUM_CONTEXTS:
                del contexts[next(iter(contexts))]
        contexts[group] = context
        return context

    def _build(self, supply: _Supply, group: Group) -> ServerContext | None:
        self.built += 1
        try:
            personality = [_present_credentials(supply, nickname) for nickname in group]
            fit = [
                credentials
                for credentials in personality
                if not key_fault(credentials.certificate.public_key(), supply.policy)
            ]
            if not fit:
                key = personality[0].certificate.public_key()
                raise KeystoreError(key_fault(key, supply.policy))
            # Tickets are the affair of the context in which the handshake began.
            return build_server_context(fit, supply.policy, alpn=self._alpn, tickets=False)
        except OperatorError as failure:
            _log.warning(
                "service=%s nickname=%s is not presented to those who ask for its names: %s",
                self._service, ",".join(group), failure,
            )  # fmt: skip
            return None


def _present_credentials(supply: _Supply, nickname: str) -> Credentials:
    credentials = supply.credentials(nickname)
    if identity_of(*_chain(credentials)) != supply.names.identities[nickname]:
        raise KeystoreError("it was replaced a moment ago; the next look takes it over")
    return credentials


def _chain(credentials: Credentials) -> tuple[x509.Certificate, list[x509.Certificate]]:
    leaf, *issuers = x509.load_pem_x509_certificates(credentials.chain_pem)
    return leaf, issuers
