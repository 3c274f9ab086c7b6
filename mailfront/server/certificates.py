"""The contexts of all services: which nicknames, profile and tickets the options ask of each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from mailfront.configuration.msg_conf import Configuration
from mailfront.errors import ConfigurationError, OperatorError
from mailfront.keystore.internal_token import Inventory
from mailfront.keystore.keystore import CredentialSource
from mailfront.keystore.nicknames import is_internal
from mailfront.server.acceleration import Acceleration
from mailfront.server.client_certificates import ClientCertificates
from mailfront.server.policies import policy_of
from mailfront.server.stapling import Stapling
from mailfront.server.token_contexts import Load, load_personality_or_fallback
from mailfront.tls.alpn import PROTOCOLS
from mailfront.tls.certificate_names import CertificateNames
from mailfront.tls.openssl import unavailable_settings
from mailfront.tls.personality import ContextSlot
from mailfront.tls.succession import MAXIMUM_LINES, Succession
from mailfront.tls.token_handshakes import renew_module

# Every service that presents a certificate, with its ALPN names.
ALPN = PROTOCOLS
_PERSONALITY_OF_ALL = "encryption.rsa.nssslpersonalityssl"
# A module is begun anew for its keys in two steps; what did not help twice will not the third time.
_RENEWALS = (False, True)


def nicknames_of(configuration: Configuration, service: str) -> tuple[str, ...]:
    """The personality of `service`: its own nicknames, or those of all services."""
    option = nickname_option(configuration, service)
    names = configuration.names(option)
    if option != _PERSONALITY_OF_ALL:
        return names
    token = configuration.string("encryption.rsa.nsssltoken").strip()
    if not token or is_internal(token):
        return names
    return tuple(name if ":" in name else f"{token}:{name}" for name in names)


def fallback_nicknames(configuration: Configuration, service: str) -> tuple[str, ...]:
    """What `service` presents while a token is gone and its personality has nothing else."""
    return configuration.names(f"local.{service}.fallbacknicknames")


def nickname_option(configuration: Configuration, service: str) -> str:
    """The name of the option that decides the personality of `service`."""
    own = f"local.{service}.sslnicknames"
    return own if configuration.names(own) else _PERSONALITY_OF_ALL


def configured_nicknames(configuration: Configuration, services: Iterable[str]) -> frozenset[str]:
    """The nicknames that options name for any of `services`."""
    return frozenset(
        nickname for service in services for nickname in nicknames_of(configuration, service)
    )


class ServiceContexts:
    """One context slot per service, and the certificates that clients are shown by name (SNI):
    `succession` has those in force, `names` what they are for; None where that is turned off."""

    def __init__(self, services: Iterable[str], stapling: Stapling | None = None) -> None:
        staples = stapling.staples if stapling is not None else None
        self.slots = {service: ContextSlot(service, ALPN[service], staples) for service in services}
        self._stapling = stapling
        self.succession = Succession()
        self.names: CertificateNames | None = None
        self.configured: frozenset[str] = frozenset()
        self.client_certificates = ClientCertificates()
        # Set by whoever serves with the keystore's tokens.
        self.acceleration: Acceleration | None = None
        self._beyond_renewal: frozenset[Path] = frozenset()

    def load(
        self, configuration: Configuration, source: CredentialSource, *, recheck: bool = False
    ) -> list[str]:
        """Bring every slot up to date; return the services that got a new context.

        A service whose new certificate or policy cannot be used keeps the old one
        (`ContextSlot.problem`). Raises `ConfigurationError`, naming the option, if it has none to
        keep. With `recheck` the keys on PKCS#11 tokens are tried; a service whose token is gone
        presents what is left, or nothing (`server.token_contexts`).
        """
        # Reading all of a large keystore costs, so the services share what was read.
        inventory = functools.cache(source.inventory)
        if self.acceleration is not None:
            source = self.acceleration
            if recheck:
                self.acceleration.looked()
        changed, broken = self._load_slots(configuration, source, inventory, recheck=recheck)
        for finalise in _RENEWALS:
            # Its tokens answer others, so what this process has of the module is void.
            libraries = broken - self._beyond_renewal
            if not libraries:
                break
            for library in libraries:
                renew_module(library, finalise=finalise)
            if self.acceleration is not None:
                self.acceleration.try_again()
            more, broken = self._load_slots(configuration, source, inventory, recheck=True)
            changed |= more
        self._beyond_renewal = broken
        if self.acceleration is not None:
            self.acceleration.tell()
        self._follow_names(configuration, inventory)
        if self._stapling is not None:
            by_name = self.succession.records if self.names is not None else ()
            self._stapling.follow(configuration, self.slots.values(), by_name, inventory)
        return [service for service in self.slots if service in changed]

    def _load_slots(
        self,
        configuration: Configuration,
        source: CredentialSource,
        inventory: Callable[[], Inventory],
        *,
        recheck: bool,
    ) -> tuple[set[str], frozenset[Path]]:
        """Return the services that changed, and the modules whose keys do not sign."""
        changed: set[str] = set()
        broken: frozenset[Path] = frozenset()
        hours = configuration.integer("local.ssl.ticketlifetime")
        for service, slot in self.slots.items():
            slot.ticket_keys.set_lifetime(hours)
            nicknames = nicknames_of(configuration, service)
            try:
                policy = policy_of(configuration, service)
            except ConfigurationError as failure:
                if slot.current is None:
                    raise
                slot.keep_old(str(failure))
                continue
            try:
                tickets = configuration.boolean(f"local.{service}.sessiontickets")
                load: Load = functools.partial(
                    slot.load, source, policy=policy, tickets=tickets, inventory=inventory,
                    recheck=recheck,
                )  # fmt: skip
                if self.acceleration is not None:
                    load = self.acceleration.guarded(load)
                fallback = fallback_nicknames(configuration, service)
                outcome = load_personality_or_fallback(slot, source, nicknames, fallback, load)
                broken |= outcome.broken
                if outcome.changed:
                    changed.add(service)
            except OperatorError as failure:
                option = nickname_option(configuration, service)
                raise ConfigurationError(
                    f"{option} = {','.join(nicknames)}: {failure.what}", remedy=failure.remedy
                ) from failure
        if self.acceleration is not None:
            broken |= self.acceleration.take_broken()
        return changed, broken

    def forget_overdue_ticket_keys(self) -> None:
        """Even where nobody connects, no key stays in memory for longer than it opens."""
        for slot in self.slots.values():
            slot.ticket_keys.forget_overdue()

    def _follow_names(
        self, configuration: Configuration, inventory: Callable[[], Inventory]
    ) -> None:
        self.names = None
        if configuration.boolean("local.service.ssl.sni"):
            now = datetime.now(UTC)
            self.configured = configured_nicknames(configuration, self.slots)
            policies = [slot.current.policy for slot in self.slots.values() if slot.current]
            self.succession.follow(inventory(), [*dict.fromkeys(policies)], now, self.configured)
            self.names = CertificateNames(self.succession.named, now, configured=self.configured)
        else:
            self.succession.forget()
        for slot in self.slots.values():
            slot.serve_names(self.names, self.succession.open)

    def choice_is_due(self, now: datetime) -> bool:
        """Whether, because a certificate began or ended, another one is to be presented."""
        changes_at = self.names.changes_at if self.names is not None else None
        return changes_at is not None and now > changes_at

    @property
    def degraded(self) -> bool:
        """Whether a token is gone that a service wants."""
        faulty = self.acceleration is not None and self.acceleration.faulty
        return faulty or any(slot.degraded for slot in self.slots.values())

    def problems(self) -> list[str]:
        """Why services present an older certificate than the one configured."""
        of_services = [
            f"{service}: {slot.problem}" for service, slot in self.slots.items() if slot.problem
        ]
        of_clients = [self.client_certificates.problem] if self.client_certificates.problem else []
        return of_services + self.succession.problems() + of_clients

    def warnings(self) -> list[str]:
        """What the policies and personalities in force are warned of, and what this Python or
        OpenSSL keeps a policy from setting."""
        found = [
            f"{service}: {warning}"
            for service, slot in self.slots.items()
            if slot.current is not None
            for warning in slot.current.warnings()
        ]
        found += self.client_certificates.warnings()
        if self.acceleration is not None:
            found += self.acceleration.warnings()
        return found + contest_warnings(self.names) + unavailable_settings()


def contest_warnings(names: CertificateNames | None) -> list[str]:
    """Which certificates are for the same names, each pair once, up to a number of them."""
    contests = [str(contest) for contest in names.contests] if names is not None else []
    more = len(contests) - MAXIMUM_LINES
    told = contests[:MAXIMUM_LINES]
    return [*told, *([f"{more} more certificates are for names of others"] if more > 0 else [])]
